"""How many runs an effect or a margin needs, by design, and what they cost."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.comparison import FEWEST
from lib.effects.compare.equivalence import margin_level
from lib.effects.compare.estimators import ALPHA
from lib.effects.multiple_testing import GUARDRAIL, holm_family, margin_family
from lib.effects.spread import Pilot, Spread
from lib.formatting import number, plural
from lib.study import Metric, Study

POWER = 0.8
#: Changes that a plan looks at by default, in percent.
CHANGES = (10.0, 25.0)
#: The largest size that a plan looks at: runs per arm, or pairs.
MOST = 200
#: Estimates of the spread that a power is the mean over, and the generator of their lattice.
_DRAWS, _STEP = 251, 60

_CLAIM = dict.fromkeys(("task", "metric", "arm", "design", "target"), pl.String)
#: One row per size: `n` are runs per arm, or pairs (across tasks in each), `power` that of the claim alone, at 5%, and
#: `power_corrected` as one of the claims of its family; `runs` are all of them, `steps` the environment steps that
#: they train and `hours` how long, null where the runs of the pilot do not tell.
CURVE = pl.Schema(
    _CLAIM
    | {"n": pl.Int64, "power": pl.Float64, "power_corrected": pl.Float64}
    | {"runs": pl.Int64, "steps": pl.Int64, "hours": pl.Float64}
)
#: One row per claim, design and target: the fewest `n` of `CURVE` with 80% power, null beyond `MOST`. `claims` are those
#: of its family, with which it is corrected, and `n_corrected` is the fewest n with that.
NEEDED = pl.Schema(
    _CLAIM
    | dict.fromkeys(("n", "runs", "steps"), pl.Int64)
    | {"hours": pl.Float64, "text": pl.String}
    | dict.fromkeys(("claims", "n_corrected"), pl.Int64)
)
_UNITS = {"fork": "fork pair", "did": "seed", "jump": "seed"}
_DESIGN_TEXTS = {"fork": "fork pairs", "did": "two arms", "jump": "detached only (the jump)"}
_NO_PERCENT = "the level is too near 0 for a percent of it"


def power(
    spread: Spread, size: float, n: NDArray[np.int64], level: float = ALPHA / 2, claims: int = 1
) -> NDArray[np.float64]:
    """The power of the design's t test at these sizes.

    Parameters
    ----------
    size : the change to show; of a margin, the distance of the harmful bound from a true change of 0. On the scale of the
        estimate.
    n : (m,), runs per arm, or pairs.
    level : of the one-sided test; a change is tested both ways.
    claims : how many claims are corrected together: the test is at the level / claims, the worst that Holm's correction asks for.

    Notes
    -----
    The spread is taken for that of the runs to come, whose own estimates of it, from which Welch and Satterthwaite take the
    degrees of freedom, are averaged over: with one group of runs that is the noncentral t.
    """
    from scipy.special import ndtr, stdtrit

    variance = sum(spread.variances)
    if variance == 0:
        return np.ones(len(n))
    shares = np.array(spread.variances) / variance
    parts = np.stack([_estimated(int(size), len(shares)) for size in n]) * shares[:, None]
    total = parts.sum(axis=1)
    # one over the degrees of freedom: the quantile of t is smooth in it
    inverse = (parts**2).sum(axis=1) / total**2 / (n - 1)[:, None]
    grid = np.linspace(inverse.min(), inverse.max(), 64)
    least = np.interp(inverse, grid, stdtrit(1 / grid, 1 - level / claims))
    return np.asarray(ndtr(abs(size) / np.sqrt(variance / n)[:, None] - least * np.sqrt(total)).mean(axis=1))


@lru_cache(maxsize=4 * MOST)
def _estimated(n: int, groups: int) -> NDArray[np.float64]:
    """Variances (groups, draws) as n runs in each group estimate them, in units of the true one.

    Those of every group are the quantiles of chi squared over its n - 1 degrees of freedom, in an order of its own, which is
    the same at every n: a lattice of Korobov's (1959), which fills the cube more evenly than random draws.
    """
    from scipy.special import gammaincinv

    quantiles = gammaincinv((n - 1) / 2, (np.arange(_DRAWS) + 0.5) / _DRAWS) * 2 / (n - 1)
    return np.stack([quantiles[np.arange(_DRAWS) * pow(_STEP, k, _DRAWS) % _DRAWS] for k in range(groups)])


def plan(study: Study, pilots: Iterable[Pilot], changes: Sequence[float] = CHANGES) -> pl.DataFrame:
    """The fewest runs for each change in percent, and for each declared margin: columns `NEEDED`."""
    pilots = tuple(pilots)
    rows = [_needed(_family_size(study, pilots, row[0], row[2]), *row) for row in _targets(pilots, changes)]
    return pl.DataFrame(rows, schema=NEEDED, orient="row")


def power_curve(study: Study, pilots: Iterable[Pilot], changes: Sequence[float] = CHANGES) -> pl.DataFrame:
    """The power at every size up to `MOST`: columns `CURVE`."""
    n, pilots = np.arange(FEWEST, MOST + 1), tuple(pilots)
    frames = [CURVE.to_frame()]
    for pilot, spread, target in _targets(pilots, changes):
        if math.isnan(target.size):
            continue
        claims = _family_size(study, pilots, pilot, target)
        alone, corrected = (power(spread, target.size, n, target.level, count) for count in (1, claims))
        numbers = {"n": n, "power": alone, "power_corrected": corrected}
        costs = {"runs": n * spread.runs, "steps": np.round(n * spread.steps).astype(int), "hours": n * spread.hours}
        claim = dict(zip(_CLAIM, _claim(pilot, spread, target), strict=True))
        frames.append(pl.DataFrame(numbers | costs).with_columns(**{k: pl.lit(v) for k, v in claim.items()}))
    curves = pl.concat([frame.select(pl.col(k).cast(v) for k, v in CURVE.items()) for frame in frames])
    return curves.with_columns(pl.col("hours").fill_nan(None))


@dataclass(frozen=True)
class _Target:
    """What is to be shown; `size` is on the scale of the estimate, NaN where there is no percent; `level` that of `power`."""

    text: str
    size: float
    is_margin: bool = False
    level: float = ALPHA / 2


def _targets(pilots: Iterable[Pilot], changes: Sequence[float]) -> Iterator[tuple[Pilot, Spread, _Target]]:
    for pilot in pilots:
        for spread in pilot.spreads:
            for target in _sizes(pilot, spread.base, changes):
                if not (target.is_margin and spread.design == "jump"):  # a margin needs a control arm
                    yield pilot, spread, target


def _sizes(pilot: Pilot, base: float | None, changes: Sequence[float]) -> Iterator[_Target]:
    metric, level = pilot.metric, math.nan if base is None else base
    for percent in () if metric.role == GUARDRAIL else changes:
        share = percent / 100
        size = math.log1p(share if metric.expect == "increase" else -share) if metric.scale == "log" else share * level
        yield _Target(change_text(percent), size)
    if not metric.margin_text or (pilot.task == ALL_TASKS and metric.scale != "log"):
        return
    if metric.scale == "log":
        size = math.log1p(metric.margin or 0.0)
    else:
        size = metric.margin_abs if metric.margin_abs is not None else (metric.margin or 0.0) * level
    yield _Target(metric.no_worse_text, size, is_margin=True, level=margin_level(metric, base))


def change_text(percent: float) -> str:
    """The target of a change."""
    return f"a change of {percent:g}%"


def design_text(design: str, tasks: int = 1) -> str:
    """A design in words: `fork pairs`, or `fork pairs, 2 tasks` where each has so many."""
    return _DESIGN_TEXTS[design] + (f", {tasks} tasks" if tasks > 1 else "")


def _family_size(study: Study, pilots: Iterable[Pilot], pilot: Pilot, target: _Target) -> int:
    """How many claims of a study are corrected together with this one, as if all of them had a p."""

    def family(metric: Metric) -> str | None:
        if not target.is_margin:
            return holm_family(pilot.task, metric)
        return margin_family(pilot.task, metric.role) if metric.margin_text else None

    metrics = sum(family(metric) == family(pilot.metric) for metric in study.metrics)
    return metrics * len({p.arm for p in pilots}) * (1 if pilot.task == ALL_TASKS else len(study.tasks))


def _claim(pilot: Pilot, spread: Spread, target: _Target) -> tuple[str, ...]:
    return pilot.task, pilot.metric.key, pilot.arm, spread.design, target.text


def _needed(claims: int, pilot: Pilot, spread: Spread, target: _Target) -> tuple[object, ...]:
    claim = _claim(pilot, spread, target)
    if math.isnan(target.size):
        return (*claim, None, None, None, None, _NO_PERCENT, claims, None)
    least, corrected = (fewest(spread, target.size, target.level, count) for count in (1, claims))
    unit = _UNITS[spread.design]
    ending = " in each arm" if spread.design == "did" else ""
    ending += f" in each of {pilot.tasks} tasks" if pilot.task == ALL_TASKS else ""
    if least is None:
        return (*claim, None, None, None, None, f"more than {MOST} {unit}s{ending}", claims, corrected)
    runs, steps, hours = spread.cost(least)
    text = f"{plural(least, unit)}{ending}: {runs} runs, {steps:,} environment steps"
    if hours is not None:
        amount = number(hours)
        text += f", {amount} hour{'' if amount == '1' else 's'} of training"
    return (*claim, least, runs, steps, hours, text, claims, corrected)


def fewest(spread: Spread, size: float, level: float = ALPHA / 2, claims: int = 1) -> int | None:
    """The fewest n with 80% power, None beyond `MOST`; the parameters are those of `power`."""
    sizes = range(FEWEST, MOST + 1)
    # Power only grows with n.
    at = bisect_left(sizes, POWER, key=lambda n: power(spread, size, np.array([n]), level, claims)[0])
    return sizes[at] if at < len(sizes) else None
