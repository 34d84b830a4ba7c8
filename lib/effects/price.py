"""What the detach saved: the training speed after it, by the same designs as the effects, from the times of logged rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lib.effects.compare.comparison import Comparison, mean
from lib.effects.compare.designs import compare
from lib.effects.compare.task_data import TaskData
from lib.effects.compare.units import Rows, Source, Usable, numbers
from lib.formatting import number
from lib.study import Metric

#: Environment steps per second of wall time, as a metric of its own: its changes are ratios.
SPEED = Metric("steps per second", "reward", "increase", label="Training speed", scale="log")

HOUR = 3600.0
PIECES = 200  # of training: a run's speed is taken over pieces of so many steps
NEIGHBOURS = 11  # pieces whose median a piece is held against
IRREGULAR = 2.0  # times that median, either way: the run paused there, evaluated, or its clock was set
COPIED = 100.0  # times the slowest lasting speed: the rows were logged from a history, not trained
FASTEST_ROWS = 1e-3  # seconds per row: faster ones were written after the fact
OTHER_SPEED = 1.2  # ratio of the arms' speeds before the detach from which they are not alike

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Speeds:
    """One run's training speed: the last step of each piece, its steps per second, and how many pieces are left out."""

    steps: NDArray[np.int64]
    values: _Array
    left_out: int = 0


_UNTOLD = Speeds(np.empty(0, np.int64), np.empty(0))


def speeds(steps: NDArray[np.int64], times: _Array, detach_step: int, total: int) -> Speeds:
    """A run's speed over pieces of training that never straddle its detach; empty where its times do not tell it.

    Parameters
    ----------
    steps, times : (rows,), environment steps in ascending order and wall times in seconds, NaN where a row has none.
    detach_step : where pieces begin and end.
    total : the task's environment steps.

    Notes
    -----
    A piece that takes more than twice as long as the median of the pieces around it, or less than half, is left out: the
    run paused there, evaluated for long, or went on by another clock. Rows logged a hundred times faster than the run
    trains are a history that a fork logged again; where all rows are so fast, they were written after the fact.
    """
    timed = np.isfinite(times)
    steps, times = steps[timed], times[timed]
    sides = [_pieces(steps[s], times[s], detach_step, total) for s in (steps <= detach_step, steps >= detach_step)]
    medians = [_running_median(side.speeds) for side in sides]
    limit = COPIED * min((float(m.min()) for m in medians if len(m)), default=math.inf)
    ends, values, seconds, left_out = [], [], [], 0
    for side, median in zip(sides, medians, strict=True):
        trained = median < limit
        regular = trained & (side.speeds <= IRREGULAR * median) & (side.speeds >= median / IRREGULAR)
        left_out += int((trained & ~regular).sum())
        ends.append(side.ends[regular])
        values.append(side.speeds[regular])
        seconds.append(side.seconds_per_row[regular])
    rows = np.concatenate(seconds)
    if not len(rows) or np.median(rows) < FASTEST_ROWS:
        return _UNTOLD
    return Speeds(np.concatenate(ends), np.concatenate(values), left_out)


@dataclass(frozen=True)
class _Pieces:
    """The pieces of one side of a detach: last step, steps per second (inf where no time passes), seconds per row."""

    ends: NDArray[np.int64]
    speeds: _Array
    seconds_per_row: _Array


def _pieces(steps: NDArray[np.int64], times: _Array, detach_step: int, total: int) -> _Pieces:
    width = total / PIECES
    last = np.flatnonzero(np.diff(np.ceil((steps - detach_step) / width), append=math.inf))
    edges = np.union1d([0], last) if len(last) else last
    length, seconds, rows = np.diff(steps[edges]), np.diff(times[edges]), np.diff(edges)
    whole = length >= width / 2  # the first row may lie late in its piece
    length, seconds, rows = length[whole], seconds[whole], rows[whole]
    passed = seconds > 0
    values = np.divide(length, seconds, out=np.full(len(length), math.inf), where=passed)
    return _Pieces(steps[edges[1:]][whole], values, np.where(passed, seconds, 0.0) / rows)


def _running_median(values: _Array) -> _Array:
    """The median of each value and those around it; of fewer at the ends."""
    if not len(values):
        return values
    reach = NEIGHBOURS // 2
    around = sliding_window_view(np.pad(values, reach, constant_values=math.nan), NEIGHBOURS)
    return np.asarray(np.nanmedian(around, axis=1))


@dataclass(frozen=True)
class Price:
    """What detaching an arm's runs saved.

    `comparison` is that of `SPEED` by the arm's design. `total` and `detach_step` (the arm's mean) are environment steps;
    `silent_runs` are the runs that do not tell their speed, `left_out` the pieces of the others that are left out.
    """

    comparison: Comparison
    total: int
    detach_step: float
    silent_runs: tuple[str, ...] = ()
    left_out: int = 0
    caveats: tuple[str, ...] = ()

    @property
    def after(self) -> float:
        """Steps per second of the detached runs after the detach; NaN where no run tells."""
        return math.exp(mean([unit.after for unit in self.comparison.units]))

    @property
    def without_detach(self) -> float:
        """Steps per second that the runs would have after that step without the detach, by the comparison's estimate."""
        return self.after / math.exp(self.comparison.estimate)

    @property
    def run_hours(self) -> float:
        """The hours that a whole run trains without a detach, pauses and long evaluations apart."""
        return self.total / self.without_detach / HOUR

    @property
    def saved(self) -> tuple[float, ...]:
        """The hours per run that the detach saved, and the ends of their 95% interval where there is one; empty untold."""
        if math.isnan(self.comparison.estimate):
            return ()
        hours = (self.total - self.detach_step) / self.without_detach / HOUR
        return tuple(
            -hours * math.expm1(-change) for change in (self.comparison.estimate, *(self.comparison.interval or ()))
        )


@dataclass(frozen=True, slots=True)
class _Speed(Source):
    """A run's training speed, from the times of the metric that it logged most often."""

    key: str
    detach_step: int
    total: int

    def series(self) -> tuple[NDArray[Any], ...]:
        """The last step of each piece and its steps per second, then how many pieces are left out."""
        return self.history.cached_in_memory(repr(self), self._speeds)

    def _speeds(self) -> tuple[NDArray[Any], ...]:
        steps, times = self.history.series(self.run_id, self.key, ("step", "time"))
        speed = speeds(steps, times.astype(float), self.detach_step, self.total)
        return speed.steps, speed.values, np.array([speed.left_out])


def _left_out(usable: Usable) -> NDArray[np.float64]:
    """The pieces that are left out."""
    return usable.source.series()[2].astype(float)


def prices(data: TaskData) -> tuple[Price, ...]:
    """The price of each detached arm of a task."""
    return tuple(_price(data, arm) for arm in data.arms)


def _price(data: TaskData, arm: str) -> Price:
    at, total = data.detach_steps(arm), data.task.total_steps
    runs = [(data.by_id[run_id], step) for run_id, step in at.items()]
    counts = [[run.facts.rows for run in data.rows.of_runs(metric, runs)] for metric in data.study.metrics]
    most = dict(zip(at, np.argmax(counts, axis=0), strict=True))

    def source(run_id: str, _: str) -> _Speed:
        return _Speed(data.history, run_id, data.study.metrics[most[run_id]].key, at[run_id], total)

    rows = Rows(source)
    comparison = compare(replace(data, rows=rows), SPEED, arm)
    left_out = numbers(_left_out, ((rows.usable(SPEED, unit.run_id),) for unit in comparison.runs))
    steps = [unit.detach_step for unit in comparison.units]
    return Price(
        comparison,
        total,
        float(np.mean(steps)) if steps else math.nan,
        tuple(run.run_id for run in rows.of_runs(SPEED, runs) if not run.facts.rows),
        int(sum(array[0] for array in left_out)),
        tuple(_caveats(comparison)),
    )


def _caveats(comparison: Comparison) -> Iterator[str]:
    """What may make the arms' speeds differ besides the detach."""
    before, control = (mean([u.before for u in units]) for units in (comparison.units, comparison.controls))
    if comparison.design == "fork" and math.isnan(before):
        yield "the speed before the detach is not told: whether the arms ran on alike machines is unknown"
    elif abs(before - control) > math.log(OTHER_SPEED):
        speeds = f"{number(math.exp(before))} against {number(math.exp(control))} steps per second"
        yield f"before the detach the arms ran at other speeds already ({speeds}): other machines, or another load"
