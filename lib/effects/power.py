"""How many more seeds a claim would need."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from lib.effects.compare.comparison import FEWEST, Comparison
from lib.effects.compare.designs import Material
from lib.effects.compare.estimators import ALPHA
from lib.effects.effects_table import change_base, comparisons

POWER = 0.8
SHOWN = (10, 25)  # percent
MOST = 200  # seeds an arm that a hint looks at

HINTS = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "design": pl.String,
        "percent": pl.Int64,
        "seeds": pl.Int64,
        "text": pl.String,
    }
)


def power_hints(given: Material) -> pl.DataFrame:
    """How many seeds would show a change of 10% or 25% in four studies of five, for every metric and arm.

    From the spread of the runs' own numbers seen so far, by the power of the design's t test (noncentral t, two-sided at
    5%): pairs for fork pairs, runs in each arm for a difference in differences, runs for a jump. Percent of the level
    that `change_pct` refers to; log metrics change by that ratio.

    Returns
    -------
    Columns as `HINTS`; `seeds` is null where it cannot be said or would take more than 200.
    """
    found = comparisons(given)
    rows = [(given.task.key, c.metric.key, c.arm, c.design, *hint) for c in found for hint in _hints(c)]
    return pl.DataFrame(rows, schema=HINTS, orient="row")


def _hints(found: Comparison) -> Iterator[tuple[int, int | None, str]]:
    what = {"fork": "fork pairs", "did": "seeds in each arm"}.get(found.design, "seeds")
    for percent in SHOWN:
        size = _target(found, percent)
        if len(found.values) < FEWEST or (found.design == "did" and len(found.control_values) < FEWEST):
            yield percent, None, f"{percent}%: too few runs to see their spread ({FEWEST} are needed)"
        elif size is None:
            yield percent, None, f"{percent}%: the level is too near 0 for a percent of it"
        else:
            seeds = seeds_needed(found, size)
            many = f"about {seeds} {what}" if seeds else f"more than {MOST} {what}"
            yield percent, seeds, f"{percent}%: {many} (t test, {POWER:.0%} power, spread as seen)"


def _target(found: Comparison, percent: int) -> float | None:
    """The change to show, on the scale of the comparison's numbers."""
    share = percent / 100
    if found.metric.scale == "log":
        return float(np.log1p(share if found.metric.expect == "increase" else -share))
    base, _ = change_base(found)
    return None if base is None else share * base


def seeds_needed(found: Comparison, size: float) -> int | None:
    """The fewest runs (an arm, or pairs) whose t test finds a change of `size` with 80% power; None above `MOST`."""
    from scipy import stats

    n = np.arange(FEWEST, MOST + 1)
    variance = np.var(found.values, ddof=1)
    df = n - 1
    if found.design == "did":
        variance, df = variance + np.var(found.control_values, ddof=1), 2 * df
    if variance == 0:
        return FEWEST
    shift = abs(size) / np.sqrt(variance / n)
    least = stats.t.ppf(1 - ALPHA / 2, df)
    enough = np.flatnonzero(stats.nct.sf(least, df, shift) >= POWER)
    return int(n[enough[0]]) if len(enough) else None
