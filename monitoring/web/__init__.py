"""The web page and the API: reads the ledger, changes nothing."""
