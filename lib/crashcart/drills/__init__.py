"""Drills: steady state, a fault, the recovery, steady state again, and a score."""
