"""Contract-driven extraction from Oracle and SQL Server into a Delta lake."""
