"""What the app says about changes and margins, on arrays of one number a run; and the same through its whole analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks import simulated as sim
from benchmarks.batches import Array, means
from benchmarks.calibration_cells import mean_level
from benchmarks.simulated_runs import SimulatedRun, task_runs
from lib.effects.compare import estimators as est
from lib.effects.compare.comparison import FEWEST, SMALL_BASE
from lib.effects.compare.equivalence import WIDE_MARGIN
from lib.effects.study_analysis import StudyAnalysis, TaskRuns, analyse_runs
from lib.study import CONTROL, DETACHED, DetachRule, Evidence, Metric, Source, Study, Task

PERCENT, UNITS, LOG = "percent", "units", "log"
REWARD, LOSS, HISTORY = "eval/reward", "train/loss", "validation/loss"


@dataclass(frozen=True)
class Numbers:
    """Of runs (studies, n): the means before and after the detach, and the extremes of all rows."""

    before: Array
    after: Array
    highest: Array
    lowest: Array

    def first(self, n: int) -> "Numbers":
        """Those of the first runs."""
        return Numbers(self.before[:, :n], self.after[:, :n], self.highest[:, :n], self.lowest[:, :n])


def numbers(rows: Array) -> Numbers:
    """The numbers of runs (studies, n, rows)."""
    return Numbers(*means(rows), rows.max(axis=-1), rows.min(axis=-1))


@dataclass(frozen=True)
class Answers:
    """Per study: the estimate of a change, whether its 95% interval lies above, below or on the truth, and its margin's test.

    `no_worse_p` and `equivalent_p` are NaN where the app has no answer; all is for a metric of which more is better.
    """

    estimate: est.Estimate
    no_worse_p: Array
    equivalent_p: Array
    is_worse: NDArray[np.bool_]


def population(family: str) -> tuple[float, float]:
    """The mean level of the runs before and after the detach, without an effect."""
    before, after = means(sim.mean_curve(family))
    return float(before), float(after)


@cache
def effect_size(design: str, family: str, change: float) -> float:
    """The size of a `simulated.Effect` that changes the mean level by this fraction, or a loss by this ratio minus 1.

    A positive change is one for the better.
    """
    if family == "loss":
        return -float(np.copysign(np.log1p(abs(change)), change)) / mean_level(family)
    return change * population(family)[design == "fork"] / mean_level(family)


def truth(design: str, family: str, change: float) -> float:
    """The mean effect of such a size."""
    return effect_size(design, family, change) * mean_level(family)


def bound_of(design: str, family: str, margin: float) -> float:
    """A margin in the unit of the metric, or in logs."""
    return float(np.log1p(margin)) if family == "loss" else margin * population(family)[design == "fork"]


@dataclass(frozen=True)
class Compared:
    """The numbers that are compared (studies, n), those of controls that are apart, the levels of a percent, the estimate.

    `percent` says whether there is a percent of the level.
    """

    design: str
    values: Array
    others: Array
    levels: Array
    estimate: est.Estimate
    percent: NDArray[np.bool_]

    @property
    def enough(self) -> NDArray[np.bool_]:
        """Whether the runs are enough for an answer."""
        n, n_c = self.values.shape[1], self.others.shape[1]
        return np.full(len(self.values), min(n, n_c or n) >= FEWEST)


def compared(design: str, treated: Numbers, control: Numbers) -> Compared:
    """What is made of the runs: by fork pairs or by difference in differences."""
    if design == "fork":
        values, others, levels = treated.after - control.after, control.after[:, :0], control.after
    else:
        values, others, levels = treated.after - treated.before, control.after - control.before, treated.before
    high = np.maximum(treated.highest.max(axis=1), control.highest.max(axis=1))
    low = np.minimum(treated.lowest.min(axis=1), control.lowest.min(axis=1))
    percent = np.abs(levels.mean(axis=1)) >= SMALL_BASE * (high - low)
    return Compared(design, values, others, levels, est.across([values], [others]), percent)


def answers(runs: Compared, family: str, scale: str, margin: float) -> Answers:
    """What the app makes of a change against a margin."""
    base = runs.levels.mean(axis=1)
    if scale != PERCENT:
        bound = bound_of(runs.design, family, margin)
        is_wide = margin > WIDE_MARGIN if scale == LOG else runs.percent & (bound > WIDE_MARGIN * np.abs(base))
        return bound_answers(runs.estimate, bound, runs.enough, is_loss=scale == LOG, is_wide=is_wide)
    share = margin * runs.levels * np.sign(base)[:, None]
    sides = [est.positive_p(side * runs.values + share, side * runs.others) for side in (1, -1)]
    is_worse = runs.estimate.value + _reach(runs.estimate) < -margin * np.abs(base)
    return _answers(runs.estimate, sides, is_worse, runs.enough & runs.percent, margin > WIDE_MARGIN)


def bound_answers(
    estimate: est.Estimate,
    bound: float,
    has_answer: NDArray[np.bool_],
    *,
    is_loss: bool,
    is_wide: NDArray[np.bool_] | bool,
) -> Answers:
    """What the app makes of an estimate against bounds of its own unit; `is_wide` as `WIDE_MARGIN` says."""
    sign, reach = -1 if is_loss else 1, _reach(estimate)
    sides = [est.above_p(side * estimate.value, reach, estimate.df, -bound) for side in (sign, -sign)]
    return _answers(estimate, sides, sign * estimate.value + reach < -bound, has_answer, is_wide)


def _answers(
    estimate: est.Estimate,
    sides: Sequence[Array],
    is_worse: NDArray[np.bool_],
    has_answer: NDArray[np.bool_],
    is_wide: NDArray[np.bool_] | bool,
) -> Answers:
    no_worse, no_better = (np.minimum(1, np.where(is_wide, 2, 1) * side) for side in sides)
    no_worse = np.where(has_answer, no_worse, np.nan)
    return Answers(estimate, no_worse, np.maximum(no_worse, no_better), has_answer & is_worse)


def _reach(estimate: est.Estimate) -> Array:
    return (estimate.high - estimate.low) / 2


def metric_of(family: str, scale: str, margin: float, design: str) -> Metric:
    """The metric whose margin is asked for."""
    if scale == LOG:
        return Metric(LOSS, "loss", "decrease", scale="log", margin=margin)
    if scale == UNITS:
        return Metric(REWARD, "reward", "increase", margin_abs=bound_of(design, family, margin))
    return Metric(REWARD, "reward", "increase", margin=margin)


def simulated_runs(task: str, key: str, treated: Array, control: Array, *, is_fork: bool) -> list[SimulatedRun]:
    """The runs of one study of a task, rows (n, rows) of both arms; fork pairs log a loss that shows their common history."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(max(len(treated), len(control)), sim.ROWS))
    runs = []
    for arm, arrays in ((DETACHED, treated), (CONTROL, control)):
        for i, rows in enumerate(arrays):
            history = np.where(sim.U > 0.5, rng.normal(size=sim.ROWS), shared[i])
            metrics = {key: rows, HISTORY: history} if is_fork else {key: rows}
            runs.append(SimulatedRun(f"{task} {arm} {i}", arm, str(i), sim.HALF, metrics))
    return runs


def runs_of(task: str, key: str, treated: Array, control: Array, *, is_fork: bool) -> TaskRuns:
    """The same as the app takes them."""
    return task_runs(task, simulated_runs(task, key, treated, control, is_fork=is_fork))


def analysed(metrics: Sequence[Metric], tasks: dict[str, TaskRuns], planned: int | None = None) -> StudyAnalysis:
    """The app's whole analysis of such a study."""
    own_tasks = tuple(Task(name=key, total_steps=sim.TOTAL, detach=DetachRule(step=sim.HALF)) for key in tasks)
    source = Source("bundle", path=".")
    study = Study("simulated", "Simulated", source, tuple(metrics), own_tasks, evidence=Evidence(planned=planned))
    return analyse_runs(study, tasks)
