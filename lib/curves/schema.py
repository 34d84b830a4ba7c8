"""The columns of curves."""

COLUMNS = ("task", "arm", "metric", "step", "mean", "std", "n", "lower", "upper")
