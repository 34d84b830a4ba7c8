"""Align first: each run smoothed on its own rows, on its own side of the detach, and brought onto its task's bins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl

from lib.curves import wall_time
from lib.curves.smoothing import smoothed
from lib.curves.view_settings import Axis, View
from lib.formatting import listing, plural
from lib.runs import (
    GROUP_SIZE,
    NUMBERS,
    SPACING,
    History,
    MedianSpacing,
    Treatment,
    anchor,
    counted,
    each,
    is_finite,
    is_positive,
    spacing_counts,
    uncounted,
)
from lib.study import Metric, Task

Steps = TypeVar("Steps", pl.Expr, np.ndarray)

#: The finest grid: a thousandth of the training.
FINEST = 1000
#: The most bins of a run: a history far longer than the training it is said to be has wider ones.
MOST = 20_000
_BIN: dict[str, type[pl.DataType]] = {"bin": pl.Int64, "value": pl.Float64, "x_sum": pl.Float64, "x_weight": pl.UInt32}
#: The bins of one run and metric, as `bins` describes them.
BIN = np.dtype([("bin", "<i8"), ("value", "<f8"), ("x_sum", "<f8"), ("x_weight", "<u4")])
_RUN = {
    "run_id": pl.String,
    "arm": pl.String,
    "seed": pl.String,
    "detach": pl.Int64,
    "origin": pl.Int64,
    "shown": pl.Boolean,
    "placed": pl.Boolean,
}


def width_spacings(step: np.ndarray, finest: float) -> np.ndarray:
    """What the width of a metric's bins takes from one run, for `MedianSpacing`: the width is their median.

    It is larger only where most rows of a run, all but its first and last hundredth, would fill more than `MOST` bins.

    Parameters
    ----------
    step : of the run's rows.
    finest : the width where the median is smaller, or where no run logged twice.
    """
    edge = len(step) // 100
    return spacing_counts(step, finest, (step[-1 - edge] - step[edge]) / MOST if len(step) > MOST else 0.0)


def visible_runs(treatments: Sequence[Treatment], view: View) -> tuple[Treatment, ...]:
    """The runs that the view shows: of its arms, without those left out."""
    return tuple(t for t in included_runs(treatments, view) if not view.arms or t.arm in view.arms)


def included_runs(treatments: Sequence[Treatment], view: View) -> tuple[Treatment, ...]:
    """The runs without those left out; on the exact grid copies and superseded runs stay, as in the original notebook."""
    runs = [t for t in treatments if t.run_id not in view.left_out]
    return tuple(t for t in runs if not t.reason_left_out) if view.grid == "exact" else counted(runs)


def runs_not_drawn(task: Task, treatments: Sequence[Treatment], view: View) -> str:
    """A sentence on the runs of a task that no curve shows although nobody left them out in the view; else ""."""
    view_treatments = [t for t in treatments if t.run_id not in view.left_out]
    ids = {t.run_id for t in included_runs(view_treatments, view)}
    reasons = {run_id: reason for run_id, reason in uncounted(view_treatments).items() if run_id not in ids}
    if not reasons:
        return ""
    runs = listing(f"{run_id} ({reason})" for run_id, reason in reasons.items())
    return f"{task.title}: {plural(len(reasons), 'run')} not drawn: {runs}."


def run_frame(treatments: Sequence[Treatment], view: View) -> pl.DataFrame:
    """One row per run: arm, seed, where its smoothing is split and its bins start, whether it is shown and placed on x.

    Hidden arms count, so that hiding one moves no value of another. Runs without a detach step of their own take the
    one that their task shares. Where each run has its own (a randomised design, several ratios), bins start at the
    run's own detach in event time and for arms that share one, else at 0; a control then has no place in event time.
    """
    visible_ids = {t.run_id for t in visible_runs(treatments, view)}
    treatments = included_runs(treatments, view)
    shared = anchor(treatments)
    by_arm = {arm: anchor([t for t in treatments if t.arm == arm]) for arm in {t.arm for t in treatments}}
    event_time = view.x in ("since", "since_percent")
    rows = []
    for t in treatments:
        own = t.detach_step
        origin = shared if own is None else (own if event_time else by_arm[t.arm])
        split = (shared or None) if own is None else own
        placed = not event_time or own is not None or shared > 0
        rows.append((t.run_id, t.arm, t.seed, split, origin, t.run_id in visible_ids, placed))
    return pl.DataFrame(rows, schema=_RUN, orient="row")


def bins(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """One value per run, metric and bin: all of a history that curves need, whatever their aggregate, band and arms.

    Bins are (origin + k w, origin + (k + 1) w], w as `width_spacings` says: none straddles the step it starts from.

    Returns
    -------
    Frame: run_id, metric (both Enum), bin (k), value (the mean of the run's points in the bin, smoothed where the
    metric is; of their logs for log metrics), x_sum and x_weight (the sum of the points' places on the view's x axis
    and their number; for wall time the mean of them and 1, since there every run weighs the same).
    """
    names = {"run_id": pl.Enum(sorted({t.run_id for t in treatments})), "metric": pl.Enum([m.key for m in metrics])}
    rows = [
        (run_id, metric.key, *(pl.Series(array[name]) for name in _BIN))
        for run_id, arrays in run_bins(history, task, metrics, treatments, view)
        for metric, array in zip(metrics, arrays, strict=True)
        if len(array)
    ]
    lists = {name: pl.List(kind) for name, kind in _BIN.items()}
    return pl.DataFrame(rows, schema={**names, **lists}, orient="row").explode(*_BIN)


def run_bins(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """One run after the other: its id and by metric its bins, an array of `BIN` sorted by bin.

    What was kept of a run is read, and not its rows.
    """
    runs = run_frame(treatments, view).rows(named=True)
    began = wall_time.first_timestamps(history) if view.x == "wall" else {}
    finest = task.total_steps / FINEST
    widths = [MedianSpacing(finest) for _ in metrics]
    of_runs = ((run["run_id"], history.of_run(run["run_id"])) for run in runs)
    for arrays in each(partial(_run_spacings, [metric.key for metric in metrics], finest), of_runs, GROUP_SIZE):
        for width, array in zip(widths, arrays, strict=True):
            width.add(array)
    grids = [_Grid.of(metric, task, view, width.steps()) for metric, width in zip(metrics, widths, strict=True)]
    rows = [run for run in runs if run["placed"]]
    inputs = (
        _RunInput(run["run_id"], history.of_run(run["run_id"]), run["detach"], run["origin"], began.get(run["run_id"]))
        for run in rows
    )
    yield from zip((run["run_id"] for run in rows), each(partial(_bins_of_run, grids), inputs), strict=True)


def _run_spacings(keys: Sequence[str], finest: float, run: tuple[str, History]) -> list[np.ndarray]:
    """The spacings of one run's metrics, as they were kept or from its rows."""
    run_id, history = run

    def compute(key: str) -> np.ndarray:
        (step,) = history.series(run_id, key, ["step"])
        return width_spacings(step, finest)

    return history.cached_on_disk(
        run_id, NUMBERS, SPACING, {f"spacings\0{key}\0{finest}": partial(compute, key) for key in keys}
    )


def on_axis(step: Steps, origin: Any, task: Task, view: View) -> Steps:
    """Steps on the view's x axis."""
    return _on_axis(step, origin, view.x, task.total_steps)


def _on_axis(step: Steps, origin: Any, x: Axis, total_steps: int) -> Steps:
    if x in ("since", "since_percent"):
        step = step - origin
    return step * (100 / total_steps) if x in ("percent", "since_percent") else step


@dataclass(frozen=True)
class _Grid:
    """What the bins of a metric are made by, alike for all runs: their width and the smoothing window in steps."""

    key: str
    log: bool
    window: int
    width: float
    x: Axis
    total_steps: int

    @classmethod
    def of(cls, metric: Metric, task: Task, view: View, width: float) -> "_Grid":
        """The grid of a metric in a view."""
        window = view.smoothing(task) if metric.smoothed else 0
        return cls(metric.key, metric.scale == "log", window, width, view.x, task.total_steps)


@dataclass(frozen=True)
class _RunInput:
    """One run: where its smoothing is split and its bins start, and the first timestamp, from which wall time counts."""

    run_id: str
    history: History
    detach: int | None
    origin: int
    began: float | None


def _bins_of_run(grids: Sequence[_Grid], run: _RunInput) -> list[np.ndarray]:
    """The bins of one run by metric, as they were kept or from its rows."""
    at = f"{run.detach} {run.origin} {run.began}"
    rule = "bins " + " ".join(sorted({f"{grid.x} {grid.window}" for grid in grids}))
    return run.history.cached_on_disk(
        run.run_id, rule, BIN, {f"{grid} {at}": partial(_bins, grid, run) for grid in grids}
    )


def _bins(grid: _Grid, run: _RunInput) -> np.ndarray:
    """One run's bins of a metric; none where no curve can show it."""
    columns = ("step", "value", "time") if grid.x == "wall" else ("step", "value")
    step, value, *time = run.history.series(run.run_id, grid.key, columns)
    hours = wall_time.elapsed(step, time[0], run.began) if time else None
    drawable = is_finite(value)
    if grid.log:
        drawable &= is_positive(value)
    if (time and hours is None) or not drawable.any():
        return np.empty(0, dtype=BIN)
    if not drawable.all():
        step, value = step[drawable], value[drawable]
    value = np.log(value) if grid.log else value
    if grid.window:
        value = smoothed(step, value, run.detach, grid.window)
    number = (step - run.origin) / grid.width
    np.ceil(number, out=number)
    start = np.append(0, np.flatnonzero(number[1:] != number[:-1]) + 1)
    points = np.diff(start, append=len(step)).astype(np.uint32)
    bins = np.empty(len(start), dtype=BIN)
    bins["bin"], bins["value"], bins["x_weight"] = number[start], np.add.reduceat(value, start) / points, points
    if hours is None:
        # As a float: the product of the counts, whole numbers of 32 bits, and a step may be beyond them.
        origins = points * float(run.origin)
        bins["x_sum"] = _on_axis(np.add.reduceat(step, start), origins, grid.x, grid.total_steps)
    else:
        bins["x_sum"], bins["x_weight"] = np.add.reduceat(hours[drawable], start) / points, 1
    return bins
