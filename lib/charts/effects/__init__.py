"""Charts of effects, one kind per module."""
