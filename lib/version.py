"""The tool's version."""

#: As pyproject.toml has it; exports and citations name it.
VERSION = "0.1.0"
