"""Align first: each run smoothed on its own rows, on its own side of the detach, and brought onto its task's bins.

Bins are (T + k w, T + (k + 1) w], so that none straddles the detach step T.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl

from lib.curves import wall_time
from lib.curves.smoothing import _smoothed
from lib.curves.view_settings import View
from lib.runs import Part, Treatment, anchor, metric_widths, ordered
from lib.study import Metric, Task

Steps = TypeVar("Steps", pl.Expr, np.ndarray)

#: The finest grid: a thousandth of the training.
FINEST = 1000
_BIN: dict[str, type[pl.DataType]] = {"bin": pl.Int32, "value": pl.Float64, "x_sum": pl.Float64, "x_weight": pl.UInt32}
_WIDTHS = pl.Schema({"metric": pl.String, "width": pl.Float64})
_RUN = ("run_id", "arm", "seed", "detach", "origin", "shown", "placed")


def bin_widths(history: pl.LazyFrame, task: Task, metrics: Sequence[Metric]) -> pl.LazyFrame:
    """The width of the aligned bins by metric, in environment steps: columns metric, width.

    It is the larger of the metric's median row spacing within a run and a thousandth of the task's total steps.
    """

    def found() -> pl.DataFrame:
        parts = ordered(history, task.total_steps / FINEST).parts
        keys = {m.key for m in metrics}
        widths = metric_widths([p for p in parts if p.metric in keys], task.total_steps / FINEST)
        return pl.DataFrame(list(widths.items()), schema=_WIDTHS, orient="row")

    return pl.defer(found, schema=_WIDTHS)


def shown(treated: Sequence[Treatment], view: View) -> tuple[Treatment, ...]:
    """The runs that the view shows: of its arms, without those left out."""
    return tuple(t for t in kept(treated, view) if not view.arms or t.arm in view.arms)


def kept(treated: Sequence[Treatment], view: View) -> tuple[Treatment, ...]:
    """The runs without those left out."""
    return tuple(t for t in treated if t.run_id not in view.left_out)


def run_frame(treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """One row a run: arm, seed, where its smoothing is split and its bins start, whether it is shown and has a place on x.

    Hidden arms count, so that hiding one moves no value of another.
    Runs without a detach step of their own take the one their task shares. Where each run has its own (a randomised
    design, several ratios), bins start at the run's own detach in event time and for arms that share one, else at 0;
    a control then has no place in event time.
    """
    drawn = {t.run_id for t in shown(treated, view)}
    treated = kept(treated, view)
    shared = anchor(treated)
    by_arm = {arm: anchor([t for t in treated if t.arm == arm]) for arm in {t.arm for t in treated}}
    event_time = view.x in ("since", "since_percent")
    rows = []
    for t in treated:
        own = t.detach_step
        origin = shared if own is None else (own if event_time else by_arm[t.arm])
        split = (shared or None) if own is None else own
        placed = not event_time or own is not None or shared > 0
        rows.append((t.run_id, t.arm, t.seed, split, origin, t.run_id in drawn, placed))
    schema = dict(zip(_RUN, (pl.String, pl.String, pl.String, pl.Int64, pl.Int64, pl.Boolean, pl.Boolean), strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")


def bins(
    history: pl.LazyFrame, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """One value a run a bin: all of a history that curves need, whatever their aggregate, band and arms.

    Bins are (origin + k w, origin + (k + 1) w], w as `bin_widths` says: none straddles the step it starts from.

    Returns
    -------
    LazyFrame: run_id, metric (both Enum), bin (k), value (the mean of the run's points in the bin, smoothed where the
    metric is; of their logs for log metrics), x_sum and x_weight (the sum of the points' places on the view's x axis
    and their number; for wall time the mean of them and 1, since there every run weighs the same).
    """
    ids, keys = pl.Enum(sorted({t.run_id for t in treated})), pl.Enum([m.key for m in metrics])
    schema: dict[str, pl.DataType | type[pl.DataType]] = {"run_id": ids, "metric": keys, **_BIN}
    return pl.defer(lambda: _binned(history, task, metrics, run_frame(treated, view), view, ids, keys), schema=schema)


def _binned(
    history: pl.LazyFrame,
    task: Task,
    metrics: Sequence[Metric],
    runs: pl.DataFrame,
    view: View,
    ids: pl.Enum,
    keys: pl.Enum,
) -> pl.DataFrame:
    """`bins`, a run's metric at a time: never more than a few are held of a history."""
    placed = {run["run_id"]: run for run in runs.iter_rows(named=True)}
    by_key = {m.key: m for m in metrics}
    finest = task.total_steps / FINEST
    held = ordered(history, finest)
    parts = [p for p in held.parts if p.run_id in placed and p.metric in by_key]
    timed = view.x == "wall"
    grid = _Grid(
        task, view, placed, by_key, metric_widths(parts, finest), wall_time.first_timestamps(history) if timed else {}
    )
    drawn = [part for part in parts if placed[part.run_id]["placed"]]
    columns = ["step", "value", "time"][: 3 if timed else 2]
    found = [bins for bins in held.each(drawn, columns, grid.bins) if bins is not None]
    if not found:
        return pl.DataFrame(schema={"run_id": ids, "metric": keys, **_BIN})
    sizes = [len(arrays[0]) for _, arrays in found]
    names = {
        "run_id": (ids, [part.run_id for part, _ in found]),
        "metric": (keys, [part.metric for part, _ in found]),
    }
    arrays = zip(*(arrays for _, arrays in found), strict=True)
    return pl.DataFrame(
        {name: _repeated(kind, values, sizes) for name, (kind, values) in names.items()}
        | dict(zip(_BIN, (np.concatenate(column) for column in arrays), strict=True))
    )


def _repeated(kind: pl.Enum, values: list[str], sizes: list[int]) -> pl.Series:
    """A column of names, each so many times."""
    at = {name: i for i, name in enumerate(kind.categories)}
    return pl.Series(kind.categories, dtype=kind).gather(np.repeat([at[value] for value in values], sizes))


def _drawable(value: np.ndarray, metric: Metric) -> np.ndarray:
    """Which points a curve can show: finite ones, and positive ones of a log metric."""
    kept: np.ndarray = np.isfinite(value)
    return kept & (value > 0) if metric.scale == "log" else kept


def on_axis(step: Steps, origin: Any, task: Task, view: View) -> Steps:
    """Steps on the view's x axis."""
    if view.x in ("since", "since_percent"):
        step = step - origin
    return step * (100 / task.total_steps) if view.x in ("percent", "since_percent") else step


@dataclass(frozen=True)
class _Grid:
    """Where a task's bins lie: the runs' places by id, the metrics by key, widths by metric, starts for wall time."""

    task: Task
    view: View
    runs: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Metric]
    widths: Mapping[str, float]
    began: Mapping[str, float]

    def bins(
        self, part: Part, step: np.ndarray, value: np.ndarray, *time: np.ndarray
    ) -> tuple[Part, tuple[np.ndarray, ...]] | None:
        """The bins of one run's metric, an array a column of `_BIN`; None where no curve can show it."""
        run, metric = self.runs[part.run_id], self.metrics[part.metric]
        hours = wall_time.elapsed(step, time[0], self.began.get(part.run_id)) if time else None
        kept = _drawable(value, metric)
        if (time and hours is None) or not kept.any():
            return None
        step, value = step[kept], np.log(value[kept]) if metric.scale == "log" else value[kept]
        if metric.smoothed and (window := self.view.smoothing(self.task)):
            value = _smoothed(step, value, run["detach"], window)
        number = np.ceil((step - run["origin"]) / self.widths[metric.key]).astype(np.int32)
        start = np.append(0, np.flatnonzero(number[1:] != number[:-1]) + 1)
        points = np.diff(start, append=len(step)).astype(np.uint32)
        if hours is None:
            x, weight = on_axis(step.astype(float), run["origin"], self.task, self.view), points
            x = np.add.reduceat(x, start)
        else:
            x, weight = np.add.reduceat(hours[kept], start) / points, np.ones_like(points)
        return part, (number[start], np.add.reduceat(value, start) / points, x, weight)
