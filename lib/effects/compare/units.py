"""One number per run: windows in environment steps, raw rows inside them."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.runs import Treatment, is_finite, is_positive
from lib.study import Evidence, Metric, Task

#: A run counts where its metric reaches at least this fraction of the total steps beyond its detach.
REACH = 0.1
#: A metric whose last row lies more than so many of its own spacings before its run's end is short.
SPACINGS = 2

#: Bytes of rows that stay at hand: those of a small study are read once.
AT_HAND = 32 << 20


@dataclass(frozen=True)
class Windows:
    """The declared windows in environment steps: [T - before, T] and (T + settle, T + settle + after]."""

    total: int
    before: float
    after: float
    settle: float

    @property
    def reach(self) -> float:
        """How far beyond its detach a run must log to count."""
        return REACH * self.total

    def text(self) -> str:
        """Both windows as words: `10,000 steps before the detach against every step after it`."""
        return f"{self.before:,.0f} steps before the detach against {self.after_text('it')}"

    def after_text(self, what: str = "the detach") -> str:
        """The window after the detach as words: all that fork pairs look at."""
        later = f"{what} from {self.settle:,.0f} steps on" if self.settle else what
        return f"every step after {later}" if math.isinf(self.after) else f"{self.after:,.0f} steps after {later}"


def windows(task: Task, evidence: Evidence) -> Windows:
    """The windows of a task: values up to 1 are fractions of its total steps, larger ones steps."""

    def steps(value: float) -> float:
        return value * task.total_steps if value <= 1 else float(value)

    after = math.inf if evidence.after == "rest" else steps(float(evidence.after))
    return Windows(task.total_steps, steps(evidence.before), after, steps(evidence.settle))


class Series(NamedTuple):
    """Rows by step: the values as logged, of a log metric only those above 0."""

    steps: NDArray[np.int64]
    raw: NDArray[np.float64]
    log: bool = False

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers that are averaged and fitted: logs of a log metric."""
        return np.log(self.raw) if self.log else self.raw

    def within(self, low: float, high: float, *, closed: bool) -> "Series":
        """The rows on (low, high], or on [low, high] where closed."""
        start = np.searchsorted(self.steps, low, "left" if closed else "right")
        end = np.searchsorted(self.steps, high, "right")
        return Series(self.steps[start:end], self.raw[start:end], self.log)


@dataclass(frozen=True)
class RunRows:
    """One run's usable rows of a metric beside its detach step T (a control's is its counterpart's); read when needed.

    `not_finite` and `not_positive` count the rows left out; `first` and `last` are the first and last step with a usable
    value, -1 where there is none. `end` is where the run ends for this metric: at its last row of any kind, or, where the
    metric is short, at the metric's own last row.
    """

    run_id: str
    seed: str
    arm: str
    state: str
    detach_step: int
    end: int
    first: int
    last: int
    not_finite: int
    not_positive: int
    read: Callable[[], Series] = field(repr=False, compare=False)


class Rows:
    """The rows of runs, read when they are asked for; those asked for last stay at hand, up to `AT_HAND` bytes.

    Parameters
    ----------
    read : gives steps and values by run id and metric key.
    """

    def __init__(self, read: Callable[[str, str], tuple[np.ndarray, ...]]) -> None:
        self._read = read
        self._at_hand, self._bytes, self._lock = OrderedDict[tuple[str, str], tuple[np.ndarray, ...]](), 0, Lock()
        self._facts: dict[tuple[str, str, bool], tuple[int, int, int, int, int]] = {}

    def series(self, run_id: str, key: str) -> tuple[np.ndarray, ...]:
        """Steps and values of a run's metric."""
        of = run_id, key
        with self._lock:
            if of in self._at_hand:
                self._at_hand.move_to_end(of)
                return self._at_hand[of]
        rows = self._read(run_id, key)
        with self._lock:
            if of not in self._at_hand:
                self._at_hand[of] = rows
                self._bytes += _size(rows)
            while self._bytes > AT_HAND:
                self._bytes -= _size(self._at_hand.popitem(last=False)[1])
        return rows

    def usable(self, run_id: str, key: str, log: bool) -> Series:
        """The rows that are finite, and of a log metric positive."""
        steps, values = self.series(run_id, key)
        finite = is_finite(values)
        chosen = finite & is_positive(values) if log else finite
        return Series(steps, values, log) if chosen.all() else Series(steps[chosen], values[chosen], log)

    def of_run(self, metric: Metric, run: Treatment, detach_step: int) -> RunRows:
        """A run's usable rows of a metric; what they say of its end is read once."""
        log = metric.scale == "log"
        of = run.run_id, metric.key, log
        if of not in self._facts:
            self._facts[of] = self._read_facts(*of, run.last_step)
        end, first, last, not_finite, not_positive = self._facts[of]
        return RunRows(
            run.run_id,
            run.seed,
            run.arm,
            run.state,
            detach_step,
            end,
            first,
            last,
            not_finite,
            not_positive,
            partial(self.usable, *of),
        )

    def _read_facts(self, run_id: str, key: str, log: bool, run_end: int | None) -> tuple[int, int, int, int, int]:
        values = self.series(run_id, key)[1]
        finite = int(is_finite(values).sum())
        steps = self.usable(run_id, key, log).steps
        ends = (int(steps[0]), int(steps[-1])) if len(steps) else (-1, -1)
        return metric_end(steps, run_end), *ends, len(values) - finite, finite - len(steps)


def _size(rows: tuple[np.ndarray, ...]) -> int:
    return sum(array.nbytes for array in rows)


def metric_end(steps: NDArray[np.int64], run_end: int | None) -> int:
    """The step at which a run ends for a metric that has usable rows at these steps; -1 where it has none."""
    if not len(steps):
        return -1
    last = int(steps[-1])
    if run_end is None or last >= run_end:
        return last
    spacing = float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0
    return last if last < run_end - SPACINGS * spacing else run_end


@dataclass(frozen=True)
class Unit:
    """One run in a comparison, as numbers.

    `before` and `after` are means over the rows of their windows (of logs for a log metric), NaN where a window holds
    none; `lowest` and `highest` are the extremes of the whole run, in the metric's unit.
    """

    run_id: str
    seed: str
    arm: str
    detach_step: int
    before: float
    after: float
    n_before: int
    n_after: int
    lowest: float
    highest: float
    not_finite: int
    not_positive: int

    @property
    def change(self) -> float:
        """d = after - before."""
        return self.after - self.before


def measure(run: RunRows, window: Windows, end: float) -> Unit:
    """The run's numbers: a row logged exactly at T counts as before, and nothing beyond `end` counts."""
    start, rows = run.detach_step + window.settle, run.read()
    before = rows.within(run.detach_step - window.before, run.detach_step, closed=True).values
    after = rows.within(start, min(end, start + window.after), closed=False).values
    return Unit(
        run.run_id,
        run.seed,
        run.arm,
        run.detach_step,
        float(before.mean()) if len(before) else math.nan,
        float(after.mean()) if len(after) else math.nan,
        len(before),
        len(after),
        float(rows.raw.min()),
        float(rows.raw.max()),
        run.not_finite,
        run.not_positive,
    )
