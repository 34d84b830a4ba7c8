"""The verdict of each row of effects.csv."""

from collections.abc import Mapping
from typing import Any

from lib.effects.compare.estimators import ALPHA

EXPLORATORY = "exploratory: window changed after looking"
SUPPORTED, CONTRADICTED, NOT_SHOWN, CANNOT_SAY = "supported", "contradicted", "not shown", "cannot say"


def verdict(row: Mapping[str, Any], *, exploratory: bool = False) -> tuple[str, str]:
    """What a row of effects allows to be said, and why where that needs a word.

    Parameters
    ----------
    row : columns of `EFFECTS`, with p_holm.
    exploratory : whether the windows are not the declared ones.
    """
    if exploratory:
        return CANNOT_SAY, EXPLORATORY
    low, high, p = row["ci_low"], row["ci_high"], row["p_value"]
    if p is None or low is None or high is None:
        return CANNOT_SAY, ""  # the row's own reasons open with the refusal
    if low <= 0 <= high:
        return NOT_SHOWN, "the 95% interval includes 0"
    if p >= ALPHA:
        return NOT_SHOWN, f"the interval excludes 0 but the design's own test does not (p = {p:.2g})"
    adjusted = row["p_holm"] if row["p_holm"] is not None else p
    if adjusted >= ALPHA:
        return NOT_SHOWN, f"p = {adjusted:.2g} after Holm's correction over the study's claims"
    as_expected = (low > 0) == (row["expectation"] == "increase")
    return (SUPPORTED if as_expected else CONTRADICTED), ""
