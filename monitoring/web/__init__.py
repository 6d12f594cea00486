"""The web page and the API: reads the ledger, and writes only whether an answer of the advisor helped."""
