"""How many runs an effect or a margin needs, by design, and what they cost."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lib.effects.compare.comparison import FEWEST, Comparison
from lib.effects.compare.estimators import ALPHA
from lib.effects.study_analysis import TaskAnalysis
from lib.formatting import plural

POWER = 0.8
#: Changes that a plan looks at by default, in percent.
CHANGES = (10.0, 25.0)
#: The largest size that a plan looks at: runs per arm, or pairs.
MOST = 200

#: One row per size: `n` are runs per arm, or pairs, `runs` all of them and `steps` the environment steps that they train.
CURVE = pl.Schema(
    dict.fromkeys(("task", "metric", "arm", "design", "target"), pl.String)
    | {"n": pl.Int64, "power": pl.Float64, "runs": pl.Int64, "steps": pl.Int64}
)
#: One row per metric, arm, design and target: the fewest `n` of `CURVE` with 80% power, null beyond `MOST`.
NEEDED = pl.Schema(
    dict.fromkeys(("task", "metric", "arm", "design", "target"), pl.String)
    | dict.fromkeys(("n", "runs", "steps"), pl.Int64)
    | {"text": pl.String}
)
_UNITS = {"fork": "fork pair", "did": "seed", "jump": "seed"}


@dataclass(frozen=True)
class Spread:
    """The variance, over runs, of the numbers that a design's estimate is the mean of.

    `design` is `fork` (differences of pairs), `did` (each arm's after - before) or `jump`; `variance` is that of one pair,
    of one run of either arm together, or of one run. `total` and `detach` are environment steps.
    """

    design: str
    variance: float
    total: int
    detach: float

    @property
    def groups(self) -> int:
        """The arms whose runs are counted apart."""
        return 2 if self.design == "did" else 1

    def cost(self, n: int) -> tuple[int, int]:
        """The runs and the environment steps of a size: a fork's second run trains from the detach on alone."""
        if self.design == "fork":
            return 2 * n, round(n * (2 * self.total - self.detach))
        return self.groups * n, self.groups * n * self.total


def power(spread: Spread, size: float, n: NDArray[np.int64], is_margin: bool = False) -> NDArray[np.float64]:
    """The power of the design's t test at these sizes.

    Parameters
    ----------
    size : the change to show, two-sided at 5%; of a margin, the distance of the harmful bound from a true change of 0,
        one-sided at 5%, on the scale of the estimate.
    n : (m,), runs per arm, or pairs.

    Notes
    -----
    By the noncentral t with n - 1 degrees of freedom per arm; the spread is taken for that of the runs to come.
    """
    from scipy import stats

    df = spread.groups * (n - 1)
    if spread.variance == 0:
        return np.ones(len(n))
    least = stats.t.ppf(1 - (ALPHA if is_margin else ALPHA / 2), df)
    return np.asarray(stats.nct.sf(least, df, abs(size) / np.sqrt(spread.variance / n)))


def plan(tasks: Sequence[TaskAnalysis], changes: Sequence[float] = CHANGES) -> pl.DataFrame:
    """The fewest runs for each change in percent, and for each declared margin: columns `NEEDED`.

    The spread is that of the runs of these tasks: a pilot, or another study.
    """
    rows = [_needed(task, c, s, t) for task in tasks for c, s, t in _targets(task, changes)]
    return pl.DataFrame(rows, schema=NEEDED, orient="row")


def power_curve(tasks: Sequence[TaskAnalysis], changes: Sequence[float] = CHANGES) -> pl.DataFrame:
    """The power at every size up to `MOST`: columns `CURVE`."""
    n = np.arange(FEWEST, MOST + 1)
    frames = [
        pl.DataFrame(
            {"n": n, "power": power(spread, target.size, n, target.is_margin)},
        ).with_columns(
            pl.Series("runs", [spread.cost(int(k))[0] for k in n]),
            pl.Series("steps", [spread.cost(int(k))[1] for k in n]),
            task=pl.lit(task.task.key), metric=pl.lit(c.metric.key), arm=pl.lit(c.arm),
            design=pl.lit(spread.design), target=pl.lit(target.text),
        )
        for task in tasks for c, spread, target in _targets(task, changes) if not math.isnan(target.size)
    ]  # fmt: skip
    return pl.concat(
        [CURVE.to_frame(), *(frame.select(pl.col(k).cast(v) for k, v in CURVE.items()) for frame in frames)]
    )


@dataclass(frozen=True)
class _Target:
    """What is to be shown; `size` is on the scale of the estimate, NaN where there is no percent of the level."""

    text: str
    size: float
    is_margin: bool = False


def _targets(task: TaskAnalysis, changes: Sequence[float]) -> Iterator[tuple[Comparison, Spread, _Target]]:
    for comparison in task.comparisons:
        for spread in spreads(task, comparison):
            for target in _sizes(comparison, changes):
                if not (target.is_margin and spread.design == "jump"):  # a margin needs a control arm
                    yield comparison, spread, target


def spreads(task: TaskAnalysis, comparison: Comparison) -> Iterator[Spread]:
    """The spread of each design that the counted runs of a comparison tell of, with three runs or more.

    Without a control arm its runs are taken to spread as the detached ones do.
    """
    total = task.task.total_steps
    steps = [unit.detach_step for unit in comparison.units]
    detach = float(np.mean(steps)) if steps else math.nan

    def spread(design: str, *groups: Sequence[float]) -> Iterator[Spread]:
        finite = [[v for v in group if math.isfinite(v)] for group in groups]
        if min(map(len, finite)) >= FEWEST:
            yield Spread(design, float(sum(np.var(group, ddof=1) for group in finite)), total, detach)

    if comparison.design == "fork":
        yield from spread("fork", comparison.values)
    detached = [unit.change for unit in comparison.units]
    yield from spread("did", detached, [unit.change for unit in comparison.controls] or detached)
    yield from spread("jump", _jumps(task, comparison))


def _jumps(task: TaskAnalysis, comparison: Comparison) -> list[float]:
    """Each detached run's jump, on the scale of the estimate."""
    of_claim = (pl.col("metric") == comparison.metric.key) & (pl.col("arm") == comparison.arm)
    jumps = task.fits.filter(of_claim).unique("run_id", maintain_order=True)["jump"].to_list()
    return [math.log1p(jump) for jump in jumps] if comparison.metric.scale == "log" else jumps


def _sizes(comparison: Comparison, changes: Sequence[float]) -> Iterator[_Target]:
    metric, base = comparison.metric, comparison.base()[0]
    for percent in changes:
        text, share = f"a change of {percent:g}%", percent / 100
        if metric.scale == "log":
            yield _Target(text, math.log1p(share if metric.expect == "increase" else -share))
        else:
            yield _Target(text, math.nan if base is None else share * base)
    if metric.margin is None and metric.margin_abs is None:
        return
    text = f"no worse than {metric.margin_text}"
    if metric.scale == "log":
        yield _Target(text, math.log1p(metric.margin or 0.0), is_margin=True)
    elif metric.margin_abs is not None:
        yield _Target(text, metric.margin_abs, is_margin=True)
    else:
        yield _Target(text, math.nan if base is None else (metric.margin or 0.0) * base, is_margin=True)


def _needed(task: TaskAnalysis, comparison: Comparison, spread: Spread, target: _Target) -> tuple[object, ...]:
    claim = (task.task.key, comparison.metric.key, comparison.arm, spread.design, target.text)
    if math.isnan(target.size):
        return (*claim, None, None, None, "the level is too near 0 for a percent of it")
    n = np.arange(FEWEST, MOST + 1)
    enough = np.flatnonzero(power(spread, target.size, n, target.is_margin) >= POWER)
    unit, ending = _UNITS[spread.design], " in each arm" if spread.design == "did" else ""
    if not len(enough):
        return (*claim, None, None, None, f"more than {MOST} {unit}s{ending}")
    least = int(n[enough[0]])
    runs, steps = spread.cost(least)
    return (*claim, least, runs, steps, f"{plural(least, unit)}{ending}: {runs} runs, {steps:,} environment steps")
