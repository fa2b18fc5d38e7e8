"""Facts: typed, read-only records of a target's state, one file per service."""
