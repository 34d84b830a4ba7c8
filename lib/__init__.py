"""Did the detach help: from W&B runs to curves, effects and reports."""

#: Of the tool, as pyproject.toml has it; exports and citations name it.
VERSION = "0.1.0"
