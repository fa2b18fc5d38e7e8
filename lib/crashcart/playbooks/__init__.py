"""Playbooks: YAML in, a plan out."""
