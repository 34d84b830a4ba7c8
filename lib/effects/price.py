"""What the detach saved: the training speed after it, by the same designs as the effects, from the times of logged rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lib.effects.compare.comparison import Comparison, mean
from lib.effects.compare.designs import compare
from lib.effects.compare.task_data import TaskData
from lib.effects.compare.units import Rows
from lib.formatting import number
from lib.runs import History
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
    `untold` are the runs that do not tell their speed, `left_out` the pieces of the others that are left out.
    """

    comparison: Comparison
    total: int
    detach_step: float
    untold: tuple[str, ...] = ()
    left_out: int = 0
    caveats: tuple[str, ...] = ()

    @property
    def after(self) -> float:
        """Steps per second of the detached runs after the detach; NaN where no run tells."""
        return math.exp(mean([unit.after for unit in self.comparison.units]))

    @property
    def without(self) -> float:
        """Steps per second that the runs would have after that step without the detach, by the comparison's estimate."""
        return self.after / math.exp(self.comparison.estimate)

    @property
    def run_hours(self) -> float:
        """The hours that a whole run trains without a detach, pauses and long evaluations apart."""
        return self.total / self.without / HOUR

    @property
    def saved(self) -> tuple[float, ...]:
        """The hours per run that the detach saved, and the ends of their 95% interval where there is one; empty untold."""
        if math.isnan(self.comparison.estimate):
            return ()
        hours = (self.total - self.detach_step) / self.without / HOUR
        return tuple(
            -hours * math.expm1(-change) for change in (self.comparison.estimate, *(self.comparison.interval or ()))
        )


def prices(data: TaskData, history: History) -> tuple[Price, ...]:
    """The price of each detached arm of a task.

    Parameters
    ----------
    history : has the times of the rows; of each run those of the metric that it logged most often are read.
    """
    return tuple(_price(data, history, arm) for arm in data.arms)


def _clock(data: TaskData, history: History, run_id: str) -> tuple[NDArray[np.int64], _Array]:
    """The steps and times of the metric that a run logged most often."""
    most = max((metric.key for metric in data.study.metrics), key=lambda key: len(data.rows.series(run_id, key)[0]))
    steps, times = history.series(run_id, most, ("step", "time"))
    return steps, times.astype(float)


def _price(data: TaskData, history: History, arm: str) -> Price:
    at, total = data.detach_steps(arm), data.task.total_steps
    by_run = {run_id: speeds(*_clock(data, history, run_id), step, total) for run_id, step in at.items()}
    rows = Rows(lambda run_id, _: (by_run[run_id].steps, by_run[run_id].values))
    comparison = compare(replace(data, rows=rows), SPEED, arm)
    steps = [unit.detach_step for unit in comparison.units]
    return Price(
        comparison,
        total,
        float(np.mean(steps)) if steps else math.nan,
        tuple(run_id for run_id, speed in by_run.items() if not len(speed.steps)),
        sum(by_run[unit.run_id].left_out for unit in comparison.runs),
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
