"""The history table: one row per run, metric and step; and its rows as arrays, one metric at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

#: One row a logged point, in the order of steps. A logged step at which none of the study's keys was logged
#: is one row whose metric, value and time are null: the history keeps every step that a run logged.
HISTORY = pl.Schema(
    {
        "run_id": pl.String,
        "metric": pl.String,
        "step": pl.Int64,
        "value": pl.Float64,
        "time": pl.Float64,
    }
)
#: A Parquet file of the store has one stretch after the other, each in row groups of its own. The file's metadata says
#: so below this name, as JSON: `run_id`, and of every row group its `metrics` and, where that takes few words, `spacings`
#: (the spacings of its steps, and how many there are of each).
LAYOUT = "layout"
#: So many different spacings, and none so large, are few words.
_FEW, _LARGE = 32, 1 << 16


@dataclass(frozen=True)
class Points:
    """A stretch of one run's history: a metric (None: steps without any) and its steps, values and times."""

    metric: str | None
    frame: pl.DataFrame


def spacings(step: np.ndarray) -> tuple[list[int], list[int]] | None:
    """The different spacings of steps and how many there are of each; None where these are many."""
    spacing = np.diff(step)
    if not len(spacing) or spacing.min() < 0 or spacing.max() >= _LARGE:
        return None
    counts = np.bincount(spacing)
    found = np.flatnonzero(counts)
    return (found.tolist(), counts[found].tolist()) if len(found) <= _FEW else None


def table(run_id: str, points: Sequence[Points]) -> pl.DataFrame:
    """The stretches as one table with the columns of `HISTORY`."""
    names = pl.lit(run_id).alias("run_id")
    frames = [
        p.frame.select(names, pl.lit(p.metric, dtype=pl.String).alias("metric"), "step", "value", "time")
        for p in points
    ]
    return pl.concat([pl.DataFrame(schema=HISTORY), *frames])


def points_of(history: pl.DataFrame) -> list[Points]:
    """The stretches of one run's table, in its order."""
    ends = history["metric"].rle().struct.field("len").cum_sum().to_list()
    rows = history.select("step", "value", "time")
    return [Points(history["metric"][start], rows[start:end]) for start, end in pairwise([0, *ends])]
