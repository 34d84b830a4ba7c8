"""The result of a comparison, which runs it counts, and the sample sizes it refuses."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.estimators import Estimate
from lib.effects.compare.units import Pair, Unit, Windows
from lib.formatting import number, percent
from lib.study import Metric

FORK_PAIRS = 3  # pairs from which a comparison is made on the pairs
FEWEST = 3  # runs an arm (or pairs) from which an interval may carry a verdict
FEWEST_SIGNS = 6  # pairs from which the smallest sign-flip p is below .05
FEWEST_LABELS = 4  # runs in each arm from which the smallest label permutation p is
LARGEST_RATIO = 3  # of the arms' sizes, see `unequal`


@dataclass(frozen=True)
class Exclusion:
    """A run that is not counted for a metric, and why."""

    run_id: str
    seed: str
    arm: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """What was compared and what came of it, on the metric's own scale (logs for a log metric).

    `values` are the numbers that the estimate is the mean of: a pair's difference, a run's jump, or the detached runs'
    d (with `control_values` beside them). `interval` is None where none may be shown; `p` is None where no test may be
    read. `refusal` says why there is no verdict, empty where there may be one.
    """

    metric: Metric
    arm: str
    control: str
    design: str
    method: str
    units: tuple[Unit, ...] = ()
    controls: tuple[Unit, ...] = ()
    pairs: tuple[Pair, ...] = ()
    unpaired: tuple[str, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    end: float = math.nan
    half: float = math.nan
    values: tuple[float, ...] = ()
    control_values: tuple[float, ...] = ()
    estimate: float = math.nan
    interval: tuple[float, float] | None = None
    p: float | None = None
    p_floor: float | None = None
    refusal: str = ""
    caveats: tuple[str, ...] = ()

    @property
    def n_control(self) -> int:
        """Controls compared with; 0 where there is none."""
        return len(self.controls)


def unequal(n_t: int, n_c: int) -> bool:
    """Whether the arms differ so much in size that Welch's test finds what is not there.

    Beyond a factor of 3; with only 3 runs in the smaller arm at a factor of 3 already (measured: 9 against 3 finds 6.8%).
    """
    small, large = sorted((n_t, n_c))
    return large > LARGEST_RATIO * small or (small <= FEWEST and large == LARGEST_RATIO * small)


def too_short(units: Sequence[Unit], window: Windows) -> tuple[list[Unit], list[Exclusion]]:
    """The runs whose metric goes on for long enough beyond their detach, and those that end before."""
    kept, out = [], []
    for unit in units:
        last = unit.rows.last
        if last < 0:
            out.append(Exclusion(unit.run_id, unit.seed, unit.arm, "logs no usable row"))
        elif last < unit.at + window.reach:
            reason = f"ends before T + 0.1 S (last row at {last:,})"
            out.append(Exclusion(unit.run_id, unit.seed, unit.arm, reason))
        else:
            kept.append(unit)
    return kept, out


def end_of(units: Sequence[Unit]) -> float:
    """E, the smallest last step among the runs; NaN where there is none."""
    return min((u.rows.last for u in units), default=math.nan)


def over_runs(found: Comparison, what: str) -> Comparison:
    """The comparison with the mean of its values, by t with n - 1 degrees of freedom, and what n refuses."""
    n = len(found.values)
    found = replace(found, estimate=float(np.mean(found.values)) if n else math.nan)
    numbers = listed(found.metric, found.values)
    if n < 2:
        return replace(
            found, refusal=f"n = {n}: too few {what} for any inference ({numbers})" if n else f"no {what} count"
        )
    found = judged(found, lambda: estimators.mean_t(found.values))
    if n < FEWEST and not found.refusal:
        return replace(found, p=None, refusal=f"n = {n}: too few {what} for a verdict ({numbers})")
    return found


def judged(found: Comparison, test: Callable[[], Estimate]) -> Comparison:
    """The comparison with its interval and p; refused where the runs do not differ at all."""
    spread = max(np.ptp(found.values), np.ptp(found.control_values) if found.control_values else 0.0)
    if spread <= 1e-12 * max(map(abs, (*found.values, *found.control_values))):
        return replace(found, refusal="every run gives the same number: no spread to judge by")
    estimate = test()
    return replace(found, interval=(float(estimate.low), float(estimate.high)), p=float(estimate.p))


def listed(metric: Metric, values: Sequence[float]) -> str:
    """The runs' own numbers, as `shown`."""
    return ", ".join(shown(metric, v) for v in values)


def shown(metric: Metric, value: float) -> str:
    """A change as people read it: percent for a log metric, else in the metric's unit, signed."""
    return percent(math.expm1(value), sign="+") if metric.scale == "log" else number(value, 4, "+")
