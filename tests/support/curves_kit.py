"""Curves of small histories, by hand."""

import polars as pl

from lib.curves import COLUMNS, View, curves
from lib.study import Metric, Task
from tests.support.frames import history

PLAIN = View(smooth=False)
Y = Metric("y", "reward", "increase")
TASK = Task("task", 100)
SMOOTHED = Metric("train/reward", "reward", "increase")


def draw(points, treatments, view=PLAIN, metrics=(Y,), task=TASK):
    frame = curves(history(points), task, metrics, treatments, view)
    assert tuple(frame.columns) == COLUMNS
    assert frame.schema["n"] == pl.UInt32
    assert all(frame.schema[c] == pl.Float64 for c in ("step", "mean", "std", "lower", "upper"))
    return frame


def line(frame, *columns):
    return frame.select(columns or ("step", "mean", "n")).rows()
