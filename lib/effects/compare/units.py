"""One number per run: windows in environment steps, raw rows inside them."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.formatting import plural
from lib.runs import GROUP_SIZE, NUMBERS, History, Treatment, each, is_finite, is_positive
from lib.study import Evidence, Metric, Task

#: A run counts where its metric reaches at least this fraction of the total steps beyond its detach.
REACH = 0.1
#: A metric whose last row lies more than so many of its own spacings before its run's end is short.
SPACINGS = 2

Numbers = NDArray[np.float64]


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
        return f"{plural(round(self.before), 'step')} before the detach against {self.after_text('it')}"

    def after_text(self, what: str = "the detach") -> str:
        """The window after the detach as words: all that fork pairs look at."""
        later = f"{what} from {plural(round(self.settle), 'step')} on" if self.settle else what
        return (
            f"every step after {later}"
            if math.isinf(self.after)
            else f"{plural(round(self.after), 'step')} after {later}"
        )


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


@dataclass(frozen=True, slots=True)
class Source:
    """Steps and values of one run; its text tells what they are. In another process it has the history of its run alone."""

    history: History = field(repr=False, compare=False)
    run_id: str

    def __reduce__(self) -> tuple[Any, ...]:
        _, *others = (getattr(self, part.name) for part in fields(self))
        return type(self), (self.history.of_run(self.run_id), *others)

    def series(self) -> tuple[np.ndarray, ...]:
        """Steps and values, and what else comes with them."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Logged(Source):
    """What a run logged of a metric."""

    key: str

    def series(self) -> tuple[np.ndarray, ...]:
        """Steps and values."""
        return self.history.series(self.run_id, self.key)


@dataclass(frozen=True, slots=True)
class Usable:
    """The rows of a source that are finite, and of a log metric positive; they are read when they are needed."""

    source: Source
    log: bool

    def read(self) -> Series:
        """The rows."""
        steps, values = self.source.series()[:2]
        finite = is_finite(values)
        is_usable = finite & is_positive(values) if self.log else finite
        return (
            Series(steps, values, self.log)
            if is_usable.all()
            else Series(steps[is_usable], values[is_usable], self.log)
        )


def numbers(function: Callable[..., NDArray[np.float64]], calls: Iterable[tuple[Any, ...]]) -> Iterator[Numbers]:
    """What a function gives of the rows of runs, in the order of its calls: as it was kept, or computed where runs are.

    Parameters
    ----------
    function : of `Usable` and of what follows it in a call; gives an array of one dimension.
    calls : their texts, and the bytes of arrays, tell everything that the numbers depend on beside the run.
    """
    return each(partial(_numbers_of, function), calls, GROUP_SIZE)


def _numbers_of(function: Callable[..., NDArray[np.float64]], call: tuple[Any, ...]) -> Numbers:
    usable: Usable = call[0]
    name = "\0".join(map(_text, (function, *call)))
    compute = {name: partial(function, *call)}
    return usable.source.history.cached_on_disk(usable.source.run_id, NUMBERS, np.float64, compute)[0]


def _text(part: Any) -> str:
    if isinstance(part, np.ndarray):
        return hashlib.blake2b(part.tobytes(), digest_size=16).hexdigest()
    return f"{part.__module__}.{part.__qualname__}" if callable(part) else repr(part)


class Facts(NamedTuple):
    """What the rows of a run's metric say of its end.

    `rows` counts all of them, `not_finite` and `not_positive` those left out; `first` and `last` are the first and last step
    with a usable value, -1 where there is none. `end` is where the run ends for this metric: at its last row of any kind, or,
    where the metric is short, at the metric's own last row.
    """

    rows: int
    end: int
    first: int
    last: int
    not_finite: int
    not_positive: int


@dataclass(frozen=True, slots=True)
class RunRows:
    """One run's usable rows of a metric beside its detach step T (a control's is its counterpart's)."""

    run_id: str
    seed: str
    arm: str
    state: str
    detach_step: int
    facts: Facts
    usable: Usable = field(repr=False, compare=False)


class Rows:
    """The rows of a task's runs.

    Parameters
    ----------
    source : gives the source of a run by its id and a metric's key.
    """

    def __init__(self, source: Callable[[str, str], Source]) -> None:
        self._source = source
        self._facts: dict[tuple[str, bool], dict[str, Facts]] = {}

    def of_runs(self, metric: Metric, runs: Sequence[tuple[Treatment, int]]) -> list[RunRows]:
        """The rows of a metric of some runs, each beside a detach step; what they say of its end is read once."""
        facts = self._facts.setdefault((metric.key, metric.scale == "log"), {})
        usable = {t.run_id: self.usable(metric, t.run_id) for t, _ in runs}
        new = {t.run_id: t.last_step for t, _ in runs if t.run_id not in facts}
        calls = ((usable[run_id], last_step) for run_id, last_step in new.items())
        for run_id, array in zip(new, numbers(_facts, calls), strict=True):
            facts[run_id] = Facts(*map(int, array))
        return [RunRows(t.run_id, t.seed, t.arm, t.state, step, facts[t.run_id], usable[t.run_id]) for t, step in runs]

    def usable(self, metric: Metric, run_id: str) -> Usable:
        """The usable rows of a run's metric."""
        return Usable(self._source(run_id, metric.key), metric.scale == "log")


def _facts(usable: Usable, run_end: int | None) -> Numbers:
    values = usable.source.series()[1]
    finite = int(is_finite(values).sum())
    steps = usable.read().steps
    ends = (steps[0], steps[-1]) if len(steps) else (-1, -1)
    counts = len(values) - finite, finite - len(steps)
    return np.array([len(values), metric_end(steps, run_end), *ends, *counts], dtype=float)


def metric_end(steps: NDArray[np.int64], run_end: int | None) -> int:
    """The step at which a run ends for a metric that has usable rows at these steps; -1 where it has none."""
    if not len(steps):
        return -1
    last = int(steps[-1])
    if run_end is None or last >= run_end:
        return last
    spacing = float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0
    return last if last < run_end - SPACINGS * spacing else run_end


class Unit(NamedTuple):
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


#: The first fields of a unit are texts, the others numbers.
_TEXTS = 3
_NUMBERS = np.dtype([(name, "<f8" if Unit.__annotations__[name] is float else "<i8") for name in Unit._fields[_TEXTS:]])


class Units:
    """The runs of a comparison, one `Unit` after the other; as columns, which of thousands of runs take a third of the memory."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._texts = [tuple(unit[i] for unit in units) for i in range(_TEXTS)]
        self._numbers = np.array([unit[_TEXTS:] for unit in units], dtype=_NUMBERS)

    def __repr__(self) -> str:
        return f"Units({[*self]})"

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Unit]:
        return (Unit(*texts, *numbers) for *texts, numbers in zip(*self._texts, self._numbers.tolist(), strict=True))


def measure(runs: Sequence[RunRows], window: Windows, end: float) -> list[Unit]:
    """The runs' numbers: a row logged exactly at T counts as before, and nothing beyond `end` counts."""
    of_runs = numbers(_window_numbers, ((run.usable, run.detach_step, window, end) for run in runs))
    return [
        Unit(
            run.run_id,
            run.seed,
            run.arm,
            run.detach_step,
            before,
            after,
            int(n_before),
            int(n_after),
            lowest,
            highest,
            run.facts.not_finite,
            run.facts.not_positive,
        )
        for run, (before, after, n_before, n_after, lowest, highest) in zip(
            runs, (array.tolist() for array in of_runs), strict=True
        )
    ]


def _window_numbers(usable: Usable, detach_step: int, window: Windows, end: float) -> Numbers:
    """The means before and after, the rows that they are of, and the extremes."""
    start, rows = detach_step + window.settle, usable.read()
    before = rows.within(detach_step - window.before, detach_step, closed=True).values
    after = rows.within(start, min(end, start + window.after), closed=False).values
    means = [float(part.mean()) if len(part) else math.nan for part in (before, after)]
    return np.array([*means, len(before), len(after), rows.raw.min(), rows.raw.max()], dtype=float)
