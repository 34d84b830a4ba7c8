"""Text of others inside Markdown."""

import re


def escaped(text: str) -> str:
    """The text as Markdown that shows it, and does nothing else."""
    return re.sub(r"([\\`*_{}\[\]()#+!|$~<>:&-])", r"\\\1", text)


def escaped_label(text: str) -> str:
    """The same for a control's label: with as few backslashes as possible, since a screen reader says them."""
    return re.sub(r"[\\`*\[\]$~<>:|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
