"""Charts of reward and loss curves."""
