"""The engine: the reconcile loop, the rollout around it, and resume."""
