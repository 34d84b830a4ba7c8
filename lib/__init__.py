"""Did the detach help: from W&B runs to curves, effects and reports."""
