"""Checkpoints: from what a user types to weights on disk, and to a model that answers."""
