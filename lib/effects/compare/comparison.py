"""The result of a comparison, which runs it counts, and the sample sizes it refuses."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.estimators import Estimate
from lib.effects.compare.fork_pairs import Pair
from lib.effects.compare.quantiles import quantiles
from lib.effects.compare.units import Numbers, RunRows, Unit, Units, Usable, numbers
from lib.formatting import number, percent
from lib.runs import LARGEST
from lib.study import Metric

FORK_PAIRS = 3  # pairs from which a comparison is made on the pairs
FEWEST = 3  # runs per arm (or pairs) from which an interval may carry a verdict
FEWEST_SIGNS = 6  # pairs from which the smallest sign-flip p is below .05
FEWEST_LABELS = 4  # runs in each arm from which the smallest label permutation p is
SMALL_BASE = 0.1  # of the metric's range: a percent change of less than this is refused


@dataclass(frozen=True)
class Exclusion:
    """A run that is not counted for a metric, and why; `ended_early` where it stopped before the others.

    `remedy` is what would make it count; empty where nothing would, as for a copy.
    """

    run_id: str
    seed: str
    arm: str
    reason: str
    ended_early: bool = False
    remedy: str = ""


@dataclass(frozen=True)
class Gate:
    """A condition that a comparison fails: what the checklist calls it, the reason, and whether a verdict needs it."""

    check: str
    reason: str
    needed: bool = True


@dataclass(frozen=True)
class Comparison:
    """One metric of one arm, compared: numbers on the metric's own scale (logs for a log metric), no raw rows.

    `values` are the numbers that the estimate is the mean of: a pair's difference, a run's jump, or the detached runs'
    d (with `control_values` beside them). `interval` is None where none may be shown, `df` its degrees of freedom; `p`
    is None where no test may be read. `refusal` says why there is no verdict, empty where there may be one. `end` is E,
    the last step that counts, `half_width` the h of jumps, both in environment steps; `near_rows` are the fewest rows a
    side within h that a jump rests on. `span` is the scale of the estimate: the distance of the 5 and 95% quantiles of
    the rows of its runs up to E, 1 for a log metric. `gates` are the conditions that it fails: those that are needed
    take its p and its verdict, never its estimate and interval.
    """

    metric: Metric
    arm: str
    control: str
    design: str
    method: str
    units: Units | tuple[Unit, ...] = ()
    controls: Units | tuple[Unit, ...] = ()
    pairs: tuple[Pair, ...] = ()
    unpaired: tuple[str, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    end: float = math.nan
    half_width: float = math.nan
    near_rows: int = 0
    span: float = math.nan
    values: tuple[float, ...] = ()
    control_values: tuple[float, ...] = ()
    estimate: float = math.nan
    interval: tuple[float, float] | None = None
    df: float = math.nan
    p: float | None = None
    p_floor: float | None = None
    refusal: str = ""
    caveats: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()

    @property
    def runs(self) -> tuple[Unit, ...]:
        """Every run that counts, the arm's first."""
        return (*self.units, *self.controls)

    @property
    def levels(self) -> list[float]:
        """What a change is a percent of, by pair or run of the arm: a control's after for fork pairs, else a run's before."""
        return [u.after for u in self.controls] if self.design == "fork" else [u.before for u in self.units]

    @cached_property
    def base(self) -> tuple[float | None, str]:
        """What a change is a percent of, the mean of the levels without its sign; or None and why not."""
        base = mean(self.levels)
        if math.isnan(base):
            return None, ""
        value_range = max(u.highest for u in self.runs) - min(u.lowest for u in self.runs)
        if base == 0 or abs(base) < SMALL_BASE * value_range:
            size = f"under {SMALL_BASE:.0%} of the metric's range" if base else "0"
            return None, f"no percent: the level is {size}"
        return abs(base), ""

    def percent(self, change: float) -> tuple[float | None, str]:
        """A change in percent of its base, or None and why not; for a log metric the change is a ratio already."""
        if math.isnan(change):
            return None, ""
        if self.metric.scale == "log":
            return 100 * math.expm1(change), ""
        base, reason = self.base
        return (100 * change / base if base else None), reason


def mean(values: Sequence[float]) -> float:
    """The mean of the values that are there; NaN where none is."""
    finite = [v for v in values if not math.isnan(v)]
    return float(np.mean(finite)) if finite else math.nan


def level(metric: Metric, value: float) -> float | None:
    """A level on the metric's own scale (a geometric mean for logs); None for NaN."""
    if math.isnan(value):
        return None
    return math.exp(value) if metric.scale == "log" else value


def change(metric: Metric, value: float) -> float | None:
    """A change as effects.csv has it: in the metric's unit, or a ratio minus 1 for logs; None for NaN."""
    if math.isnan(value):
        return None
    return math.expm1(value) if metric.scale == "log" else value


def end_of(runs: Sequence[RunRows]) -> float:
    """E, the smallest end among the runs; NaN where there is none."""
    return min((run.facts.end for run in runs), default=math.nan)


def span(metric: Metric, runs: Sequence[RunRows], end: float) -> float:
    """The scale of a task: the span of its runs' rows up to `end`; 1 for a log metric, whose changes are ratios."""
    if metric.scale == "log":
        return 1.0
    if not runs:
        return math.nan

    def parts(function: Callable[..., Numbers], *arguments: Any) -> Iterator[Numbers]:
        return numbers(_of_values, ((run.usable, end, function, *arguments) for run in runs))

    low, high = quantiles(parts, (0.05, 0.95))
    return high - low


def _of_values(usable: Usable, end: float, function: Callable[..., Numbers], *arguments: Any) -> Numbers:
    """What a function gives of the values up to `end`."""
    return function(usable.read().within(-math.inf, end, closed=True).raw, *arguments)


def over_runs(comparison: Comparison, what: str) -> Comparison:
    """The comparison with the mean of its values, by t with n - 1 degrees of freedom, and what n refuses."""
    n, values = len(comparison.values), comparison.values
    if not n:
        return replace(comparison, refusal=f"no {what} count")
    comparison = replace(comparison, estimate=float(np.mean(values)))
    numbers = listed(comparison.metric, values)
    if n < 2:
        return replace(comparison, refusal=f"n = {n}: too few {what} for any inference ({numbers})")
    comparison = judged(comparison, what, lambda: estimators.mean_t(values))
    if n < FEWEST and not comparison.refusal:
        return replace(comparison, p=None, refusal=f"n = {n}: too few {what} for a verdict ({numbers})")
    return comparison


def judged(comparison: Comparison, what: str, test: Callable[[], Estimate]) -> Comparison:
    """The comparison with its interval and p; refused where its runs or pairs (`what`) do not differ at all."""
    arms = [values for values in (comparison.values, comparison.control_values) if values]
    if max(map(np.ptp, arms)) <= max(1 / LARGEST, 1e-12 * max(abs(v) for values in arms for v in values)):
        return replace(comparison, refusal=f"all {what} give the same number: no spread to judge by")
    estimate = test()
    return replace(
        comparison, interval=(float(estimate.low), float(estimate.high)), df=float(estimate.df), p=float(estimate.p)
    )


def listed(metric: Metric, values: Sequence[float]) -> str:
    """The runs' own numbers: percent for a log metric, else in the metric's unit, signed."""
    if metric.scale == "log":
        return ", ".join(percent(math.expm1(v), sign="+") for v in values)
    return ", ".join(number(v, 4, "+") for v in values)
