"""Reports: observers of a run's events."""
