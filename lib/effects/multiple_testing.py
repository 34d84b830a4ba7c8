"""Holm's correction of p-values."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p of every claim that has one, in the given order; None stays None."""
    ascending = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, i) in enumerate(ascending):
        least = max(least, min(1.0, p * (len(ascending) - rank)))
        adjusted[i] = least
    return adjusted
