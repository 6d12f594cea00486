"""What all SQL dialects share: how names and texts are quoted, and how partitions are labelled. Pure."""
