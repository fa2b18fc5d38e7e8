"""The journal: a run's append-only, hash-chained record."""
