env            = "staging"
retention_days = 7
