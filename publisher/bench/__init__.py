"""Commit to record: the only part that runs a model."""
