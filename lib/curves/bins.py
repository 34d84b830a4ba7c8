"""Align first: each run smoothed on its own rows, on its own side of the detach, and brought onto its task's bins."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl

from lib.curves import wall_time
from lib.curves.smoothing import smoothed
from lib.curves.view_settings import View
from lib.formatting import listing, plural
from lib.runs import History, Treatment, anchor, counted, is_finite, is_positive, uncounted
from lib.study import Metric, Task

Steps = TypeVar("Steps", pl.Expr, np.ndarray)

#: The finest grid: a thousandth of the training.
FINEST = 1000
#: The most bins of a run: a history far longer than the training it is said to be has wider ones.
MOST = 20_000
_BIN: dict[str, type[pl.DataType]] = {"bin": pl.Int32, "value": pl.Float64, "x_sum": pl.Float64, "x_weight": pl.UInt32}
_RUN = {
    "run_id": pl.String,
    "arm": pl.String,
    "seed": pl.String,
    "detach": pl.Int64,
    "origin": pl.Int64,
    "shown": pl.Boolean,
    "placed": pl.Boolean,
}


def bin_width(steps: Iterable[np.ndarray], finest: float) -> float:
    """The width of a metric's bins in environment steps: the median row spacing within a run, at least `finest`.

    It is larger only where most rows of a run, all but its first and last hundredth, would fill more than `MOST` bins.

    Parameters
    ----------
    steps : by run, the steps at which the metric was logged.
    finest : the width where the median is smaller, or where no run logged twice.
    """
    # Spacings up to the finest width are only counted: there may be millions of them.
    fine, largest_fine, wide = 0, 0, [np.empty(0, dtype=np.int64)]
    for step in steps:
        if len(step) > MOST:
            finest = max(finest, (step[-1 - len(step) // 100] - step[len(step) // 100]) / MOST)
        spacing = np.diff(step)
        is_wide = spacing > finest
        wide.append(spacing[is_wide])
        fine += len(spacing) - len(wide[-1])
        largest_fine = max(largest_fine, spacing.max(initial=0, where=~is_wide))
    spacings = np.sort(np.concatenate(wide))
    count = fine + len(spacings)
    middle = [largest_fine if i < fine else spacings[i - fine] for i in ((count - 1) // 2, count // 2)] if count else []
    return max(finest, float(sum(middle)) / 2)


def shown(treated: Sequence[Treatment], view: View) -> tuple[Treatment, ...]:
    """The runs that the view shows: of its arms, without those left out."""
    return tuple(t for t in kept(treated, view) if not view.arms or t.arm in view.arms)


def kept(treated: Sequence[Treatment], view: View) -> tuple[Treatment, ...]:
    """The runs without those left out; on the exact grid copies and superseded runs stay, as in the original notebook."""
    chosen = [t for t in treated if t.run_id not in view.left_out]
    return tuple(t for t in chosen if not t.reason_left_out) if view.grid == "exact" else counted(chosen)


def runs_not_drawn(task: Task, treated: Sequence[Treatment], view: View) -> str:
    """A sentence on the runs of a task that no curve shows although nobody left them out in the view; else ""."""
    chosen = [t for t in treated if t.run_id not in view.left_out]
    ids = {t.run_id for t in kept(chosen, view)}
    reasons = {run_id: reason for run_id, reason in uncounted(chosen).items() if run_id not in ids}
    if not reasons:
        return ""
    runs = listing(f"{run_id} ({reason})" for run_id, reason in reasons.items())
    return f"{task.title}: {plural(len(reasons), 'run')} not drawn: {runs}."


def run_frame(treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """One row per run: arm, seed, where its smoothing is split and its bins start, whether it is shown and placed on x.

    Hidden arms count, so that hiding one moves no value of another. Runs without a detach step of their own take the
    one that their task shares. Where each run has its own (a randomised design, several ratios), bins start at the
    run's own detach in event time and for arms that share one, else at 0; a control then has no place in event time.
    """
    ids_shown = {t.run_id for t in shown(treated, view)}
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
        rows.append((t.run_id, t.arm, t.seed, split, origin, t.run_id in ids_shown, placed))
    return pl.DataFrame(rows, schema=_RUN, orient="row")


def bins(
    history: History, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """One value per run, metric and bin: all of a history that curves need, whatever their aggregate, band and arms.

    Bins are (origin + k w, origin + (k + 1) w], w as `bin_width` says: none straddles the step it starts from.

    Returns
    -------
    Frame: run_id, metric (both Enum), bin (k), value (the mean of the run's points in the bin, smoothed where the
    metric is; of their logs for log metrics), x_sum and x_weight (the sum of the points' places on the view's x axis
    and their number; for wall time the mean of them and 1, since there every run weighs the same).
    """
    runs = run_frame(treated, view).rows(named=True)
    placed = [run for run in runs if run["placed"]]
    began = wall_time.first_timestamps(history) if view.x == "wall" else {}
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for metric in metrics:
            steps_of = partial(history.series, metric=metric.key, columns=["step"])
            steps = (step for (step,) in pool.map(steps_of, [run["run_id"] for run in runs]))
            grid = _Grid(history, task, view, metric, bin_width(steps, task.total_steps / FINEST), began)
            rows += [row for row in pool.map(grid.bins, placed) if row]
    names = {"run_id": pl.Enum(sorted({t.run_id for t in treated})), "metric": pl.Enum([m.key for m in metrics])}
    lists = {name: pl.List(kind) for name, kind in _BIN.items()}
    return pl.DataFrame(rows, schema={**names, **lists}, orient="row").explode(*_BIN)


def on_axis(step: Steps, origin: Any, task: Task, view: View) -> Steps:
    """Steps on the view's x axis."""
    if view.x in ("since", "since_percent"):
        step = step - origin
    return step * (100 / task.total_steps) if view.x in ("percent", "since_percent") else step


@dataclass(frozen=True)
class _Grid:
    """The bins of one metric: their width, and by run the first timestamp, from which wall time counts."""

    history: History
    task: Task
    view: View
    metric: Metric
    width: float
    began: Mapping[str, float]

    def bins(self, run: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """One run's bins: its id, the metric, and a series per column of `_BIN`; None where no curve can show it."""
        columns = ("step", "value", "time") if self.view.x == "wall" else ("step", "value")
        step, value, *time = self.history.series(run["run_id"], self.metric.key, columns)
        hours = wall_time.elapsed(step, time[0], self.began.get(run["run_id"])) if time else None
        drawable = is_finite(value)
        if self.metric.scale == "log":
            drawable &= is_positive(value)
        if (time and hours is None) or not drawable.any():
            return None
        if not drawable.all():
            step, value = step[drawable], value[drawable]
        value = np.log(value) if self.metric.scale == "log" else value
        if self.metric.smoothed and (window := self.view.smoothing(self.task)):
            value = smoothed(step, value, run["detach"], window)
        number = (step - run["origin"]) / self.width
        np.ceil(number, out=number)
        start = np.append(0, np.flatnonzero(number[1:] != number[:-1]) + 1)
        points = np.diff(start, append=len(step)).astype(np.uint32)
        if hours is None:
            x, weight = on_axis(np.add.reduceat(step, start), points * run["origin"], self.task, self.view), points
        else:
            x, weight = np.add.reduceat(hours[drawable], start) / points, np.ones_like(points)
        arrays = (number[start].astype(np.int32), np.add.reduceat(value, start) / points, x.astype(float), weight)
        return run["run_id"], self.metric.key, *map(pl.Series, arrays)
