"""Where the ports meet: load a table, build a layer, record a sync gap, repair it, run the day."""
