env            = "prod"
retention_days = 30
