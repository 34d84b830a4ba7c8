"""How many more seeds a claim would need."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from lib.effects.compare.comparison import FEWEST, Comparison
from lib.effects.compare.estimators import ALPHA

POWER = 0.8
SHOWN = (10, 25)  # percent
MOST = 200  # seeds per arm that a hint looks at

HINTS = pl.Schema(
    dict.fromkeys(("task", "metric", "arm", "design"), pl.String)
    | dict.fromkeys(("percent", "seeds"), pl.Int64)
    | {"text": pl.String}
)


def power_hints(task: str, comparisons: Iterable[Comparison]) -> pl.DataFrame:
    """How many seeds would show a change of 10% or 25% in four studies of five, for every comparison.

    From the spread of the runs so far, by the power of the design's t test (noncentral t, two-sided at 5%): pairs for fork
    pairs, runs in each arm for a difference in differences, runs for a jump. Percent of the level that `change_pct`
    refers to; log metrics change by that ratio.

    Returns
    -------
    Columns as `HINTS`; `seeds` is null where it cannot be said or would take more than 200.
    """
    rows = [(task, c.metric.key, c.arm, c.design, *hint) for c in comparisons for hint in _hints(c)]
    return pl.DataFrame(rows, schema=HINTS, orient="row")


def _hints(comparison: Comparison) -> Iterator[tuple[int, int | None, str]]:
    unit = {"fork": "fork pairs", "did": "seeds in each arm"}.get(comparison.design, "seeds")
    arms = [comparison.values, *([comparison.control_values] if comparison.design == "did" else [])]
    for percent in SHOWN:
        size = _target(comparison, percent)
        if min(map(len, arms)) < FEWEST:
            yield percent, None, f"{percent}%: too few runs to see their spread ({FEWEST} are needed)"
        elif size is None:
            yield percent, None, f"{percent}%: the level is too near 0 for a percent of it"
        else:
            seeds = seeds_needed(comparison, size)
            count = f"about {seeds} {unit}" if seeds else f"more than {MOST} {unit}"
            yield percent, seeds, f"{percent}%: {count} (t test, {POWER:.0%} power, spread as seen)"


def _target(comparison: Comparison, percent: int) -> float | None:
    """The change to show, on the scale of the comparison's numbers."""
    share = percent / 100
    if comparison.metric.scale == "log":
        return float(np.log1p(share if comparison.metric.expect == "increase" else -share))
    base, _ = comparison.base()
    return None if base is None else share * base


def seeds_needed(comparison: Comparison, size: float) -> int | None:
    """The fewest runs (per arm, or pairs) whose t test finds a change of `size` with 80% power; None above `MOST`."""
    from scipy import stats

    n = np.arange(FEWEST, MOST + 1)
    variance = np.var(comparison.values, ddof=1)
    df = n - 1
    if comparison.design == "did":
        variance, df = variance + np.var(comparison.control_values, ddof=1), 2 * df
    if variance == 0:
        return FEWEST
    shift = abs(size) / np.sqrt(variance / n)
    least = stats.t.ppf(1 - ALPHA / 2, df)
    enough = np.flatnonzero(stats.nct.sf(least, df, shift) >= POWER)
    return int(n[enough[0]]) if len(enough) else None
