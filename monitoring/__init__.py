"""Views and advice for people, from the ledger. Reads the ledger, writes nothing."""
