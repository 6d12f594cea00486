"""What people are shown of the ledger: views, advice. Reads the ledger, writes nothing."""
