"""One number per run: windows in environment steps, raw rows inside them, and fork pairs."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from lib.runs import History, Treatment
from lib.study import Evidence, Metric, Task

#: A run counts where its metric reaches at least this fraction of the total steps beyond its detach.
REACH = 0.1
#: A comparison that ends before this fraction of the total steps carries a caveat.
WHOLE = 0.95

Rows = Mapping[tuple[str, str], tuple[NDArray[np.int64], NDArray[np.float64]]]


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
class Series:
    """One run's finite raw rows of one metric, sorted by step, as logged; `log` where the metric is a log one.

    `not_finite` and `not_positive` count the rows left out.
    """

    steps: NDArray[np.int64]
    raw: NDArray[np.float64]
    not_finite: int = 0
    not_positive: int = 0
    log: bool = False

    @property
    def values(self) -> NDArray[np.float64]:
        """What is averaged: logs of a log metric, made when they are asked for (a study's rows may fill the memory)."""
        return np.log(self.raw) if self.log else self.raw

    @property
    def last(self) -> int:
        """The last step with a usable value; -1 where there is none."""
        return int(self.steps[-1]) if len(self.steps) else -1

    def window(self, low: float, high: float, *, closed: bool) -> "Series":
        """The rows on (low, high], or on [low, high] where closed."""
        start, end = (
            np.searchsorted(self.steps, low, "left" if closed else "right"),
            np.searchsorted(self.steps, high, "right"),
        )
        return replace(self, steps=self.steps[start:end], raw=self.raw[start:end])


def load(history: History, runs: Sequence[str], keys: Sequence[str]) -> Rows:
    """The raw rows of these runs and metrics, by (run, metric): steps and values as logged, in the order of steps."""
    series = {(run_id, key): history.series(run_id, key) for run_id in runs for key in keys}
    return {name: (steps, values) for name, (steps, values) in series.items() if len(steps)}


def series(rows: Rows, run_id: str, metric: Metric) -> Series:
    """A run's usable rows of a metric; empty where it logged none."""
    none = np.array([], dtype=np.int64), np.array([], dtype=np.float64)
    steps, values = rows.get((run_id, metric.key), none)
    finite = np.isfinite(values)
    lost, bad = int((~finite).sum()), 0
    if lost:
        steps, values = steps[finite], values[finite]
    log = metric.scale == "log"
    if log and (bad := int((values <= 0).sum())):
        steps, values = steps[values > 0], values[values > 0]
    return Series(steps, values, lost, bad, log)


@dataclass(frozen=True)
class Unit:
    """One run in a comparison: its detach step T (a control's is that of its counterpart) and its two numbers.

    `before` and `after` are means over the rows of their windows (of logs for a log metric), NaN where a window holds
    none.
    """

    run_id: str
    seed: str
    arm: str
    at: int
    rows: Series
    before: float = math.nan
    after: float = math.nan
    n_before: int = 0
    n_after: int = 0

    @property
    def change(self) -> float:
        """d = after - before."""
        return self.after - self.before


def measure(unit: Unit, window: Windows, end: float) -> Unit:
    """The unit with its numbers: a row logged exactly at T counts as before, and nothing beyond `end` counts."""
    left = unit.rows.window(unit.at - window.before, unit.at, closed=True).values
    start = unit.at + window.settle
    right = unit.rows.window(start, min(end, start + window.after), closed=False).values
    return Unit(
        unit.run_id,
        unit.seed,
        unit.arm,
        unit.at,
        unit.rows,
        before=float(left.mean()) if len(left) else math.nan,
        after=float(right.mean()) if len(right) else math.nan,
        n_before=len(left),
        n_after=len(right),
    )


@dataclass(frozen=True)
class Pair:
    """A detached run and the control that shares its history up to the detach at `at`."""

    detached: str
    control: str
    at: int
    seed: str

    @property
    def name(self) -> str:
        """The pair in tables: its seed, or the detached run."""
        return self.seed or self.detached


def fork_pairs(rows: Rows, keys: Sequence[str], treated: Sequence[Treatment]) -> tuple[Pair, ...]:
    """Runs of two arms whose metrics are equal at every step strictly below the detach.

    Parameters
    ----------
    rows : as `load` gives them.
    keys : the study's metrics.
    treated : the treatments of one detached arm and of the controls.

    Returns
    -------
    One pair a detached run at most, and each control in one pair: of several that match the one of the same seed, else
    the first by seed. Runs that logged nothing below the detach pair with none.
    """
    order = sorted(treated, key=lambda t: (t.seed, t.run_id))
    controls = [t for t in order if t.detach_step is None]
    free = {t.run_id: t for t in controls}
    found: list[Pair] = []
    history = cache(partial(_fingerprint, rows, keys))
    candidates = []
    for run in (t for t in order if t.detach_step is not None):
        own = history(run.run_id, run.detach_step or 0)
        same = [c for c in controls if own and own == history(c.run_id, run.detach_step or 0)]
        candidates.append((run, same))
    for by_seed in (True, False):  # pairs of one seed first, so that no other run takes their control
        for run, same in candidates:
            if any(p.detached == run.run_id for p in found):
                continue
            fitting = [c for c in same if c.run_id in free and (c.seed == run.seed or not by_seed)]
            if fitting:
                del free[fitting[0].run_id]
                found.append(Pair(run.run_id, fitting[0].run_id, run.detach_step or 0, run.seed))
    return tuple(sorted(found, key=lambda p: (p.seed, p.detached)))


def _fingerprint(rows: Rows, keys: Sequence[str], run_id: str, at: int) -> str:
    """A digest of every row of the metrics strictly below a step; empty where there is none."""
    digest, seen = hashlib.blake2b(digest_size=16), 0
    for key in sorted(keys):
        if (run_id, key) not in rows:
            continue
        steps, values = rows[run_id, key]
        early = steps < at
        seen += int(early.sum())
        plain = np.where(np.isnan(values[early]), np.nan, values[early]) + 0.0  # one NaN, and no -0.0
        if len(plain):
            digest.update(f"{key}\0{len(plain)}\0".encode())
            digest.update(steps[early].tobytes())
            digest.update(plain.tobytes())
    return digest.hexdigest() if seen else ""
