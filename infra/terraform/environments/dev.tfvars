env            = "dev"
retention_days = 7
