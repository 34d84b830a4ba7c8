"""The history table: one row per run, metric and step; and its rows one metric at a time."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Values beyond this, or in logarithms below its inverse, count as infinite: what is computed of them would be, such as
#: a sum of their squares.
LARGEST = 1e150

#: One row per logged point. A logged step at which none of the study's keys was logged is one row whose metric, value
#: and time are null: the history keeps every step that a run logged. Steps are environment steps, times seconds.
HISTORY = pl.Schema(
    {
        "run_id": pl.String,
        "metric": pl.String,
        "step": pl.Int64,
        "value": pl.Float64,
        "time": pl.Float64,
    }
)


@dataclass(frozen=True)
class Points:
    """One run's points of one metric (None: steps without any): a frame of step, value and time, by step."""

    metric: str | None
    frame: pl.DataFrame


def points_of(history: pl.DataFrame) -> list[Points]:
    """The points of one run's table: metrics in the table's order, each by step."""
    return [
        Points(rows["metric"][0], rows.select("step", "value", "time").sort("step", maintain_order=True))
        for rows in history.partition_by("metric", maintain_order=True)
    ]


def is_finite(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """By value, whether it is finite, and can be computed with."""
    return np.abs(values) <= LARGEST


def is_positive(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """By value, whether it has a logarithm that can be computed with."""
    return values >= 1 / LARGEST
