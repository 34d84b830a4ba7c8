"""One number per run: windows in environment steps, raw rows inside them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib.runs import Treatment, is_finite, is_positive
from lib.study import Evidence, Metric, Task

#: A run counts where its metric reaches at least this fraction of the total steps beyond its detach.
REACH = 0.1
#: A metric whose last row lies more than so many of its own spacings before its run's end is short.
SPACINGS = 2

Rows = Mapping[tuple[str, str], tuple[np.ndarray, ...]]  # by run and metric: steps and values


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


@dataclass(frozen=True)
class RunRows:
    """One run's usable rows of a metric, sorted by step, beside its detach step T (a control's is its counterpart's).

    `raw` are the values as logged; of a log metric (`log`) only those above 0. `not_finite` and `not_positive` count the
    rows left out. `end` is where the run ends for this metric: at its last row of any kind, or, where the metric is short,
    at the metric's own last row.
    """

    run_id: str
    seed: str
    arm: str
    state: str
    detach_step: int
    end: int
    steps: NDArray[np.int64]
    raw: NDArray[np.float64]
    log: bool = False
    not_finite: int = 0
    not_positive: int = 0

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers that are averaged and fitted: logs of a log metric."""
        return np.log(self.raw) if self.log else self.raw

    @property
    def last(self) -> int:
        """The last step with a usable value; -1 where there is none."""
        return int(self.steps[-1]) if len(self.steps) else -1

    def within(self, low: float, high: float, *, closed: bool) -> "RunRows":
        """The rows on (low, high], or on [low, high] where closed."""
        start = np.searchsorted(self.steps, low, "left" if closed else "right")
        end = np.searchsorted(self.steps, high, "right")
        return replace(self, steps=self.steps[start:end], raw=self.raw[start:end])


def run_rows(rows: Rows, metric: Metric, run: Treatment, detach_step: int) -> RunRows:
    """A run's usable rows of a metric; empty where it logged none."""
    steps, values = rows[run.run_id, metric.key]
    log = metric.scale == "log"
    finite = is_finite(values)
    usable = finite & is_positive(values) if log else finite
    lost = int((~finite).sum()), int((finite & ~usable).sum())
    if any(lost):
        steps, values = steps[usable], values[usable]
    end = metric_end(steps, run.last_step)
    return RunRows(run.run_id, run.seed, run.arm, run.state, detach_step, end, steps, values, log, *lost)


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
    start = run.detach_step + window.settle
    before = run.within(run.detach_step - window.before, run.detach_step, closed=True).values
    after = run.within(start, min(end, start + window.after), closed=False).values
    return Unit(
        run.run_id,
        run.seed,
        run.arm,
        run.detach_step,
        float(before.mean()) if len(before) else math.nan,
        float(after.mean()) if len(after) else math.nan,
        len(before),
        len(after),
        float(run.raw.min()),
        float(run.raw.max()),
        run.not_finite,
        run.not_positive,
    )
