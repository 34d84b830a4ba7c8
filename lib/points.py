"""The rows of a history, a metric at a time, and the schema of the table that they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
#: so below this name, as JSON: the metric of every row group.
LAYOUT = "layout"


@dataclass(frozen=True)
class Points:
    """A stretch of one run's history: a metric (None: steps without any) and its steps, values and times."""

    metric: str | None
    frame: pl.DataFrame


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
