"""What every SQL dialect needs and nobody else: how names and texts are quoted, how partitions are labelled. Pure."""
