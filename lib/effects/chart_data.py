"""The frames that effect charts draw: per-run values, pair differences, local fits, the placebo, the gap."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any

import numpy as np
import polars as pl

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison, change, level
from lib.effects.compare.jumps import SIDE_POINTS, local_fits
from lib.effects.compare.local_fit import local_jumps
from lib.effects.compare.task_data import TaskData
from lib.effects.compare.units import Logged, Rows, Series, Source, Usable, numbers
from lib.effects.effects_table import GAP
from lib.runs import SPACING, MedianSpacing, spacing_counts
from lib.study import Metric

_CLAIM = dict.fromkeys(("task", "metric", "arm"), pl.String)
#: `compared` is the detached arm of the comparison, `arm` that of the run.
PER_RUN = pl.Schema(
    dict.fromkeys(("task", "metric", "compared", "arm", "run_id", "seed", "pair"), pl.String)
    | {"detach_step": pl.Int64}
    | dict.fromkeys(("before", "after", "change"), pl.Float64)
    | dict.fromkeys(("rows_before", "rows_after"), pl.Int64)
    | dict.fromkeys(("effect", "effect_pct"), pl.Float64)
)
DIFFERENCES = pl.Schema(
    _CLAIM | dict.fromkeys(("step", "difference", "ci_low", "ci_high"), pl.Float64) | {"n": pl.Int64}
)
_LINES = ("slope_before", "level_before", "slope_after", "level_after")
#: One run's jump, the half width of its window and the line on either side of its detach: slope per step, level at the detach.
FITS = pl.Schema(
    _CLAIM
    | dict.fromkeys(("run_id", "seed"), pl.String)
    | dict.fromkeys(("detach_step", "rows_before", "rows_after"), pl.Int64)
    | dict.fromkeys(("half_width", *_LINES, "jump"), pl.Float64)
)
#: The same lines as points to draw.
FIT_LINES = pl.Schema(
    _CLAIM
    | dict.fromkeys(("run_id", "seed", "side"), pl.String)
    | dict.fromkeys(("step", "fit", "jump"), pl.Float64)
    | {"rows": pl.Int64}
)
PLACEBO = pl.Schema(
    _CLAIM
    | dict.fromkeys(("step", "jump", "ci_low", "ci_high"), pl.Float64)
    | {"n": pl.Int64, "real": pl.Boolean, "overlaps": pl.Boolean}
)

BINS = 100  # of training: the narrowest bins of difference curves
PRETENDED = 41
FIT_POINTS = 11


def per_run_table(task: str, comparisons: Iterable[Comparison]) -> pl.DataFrame:
    """Every counted run's before and after, and the effect of each detached one: columns `PER_RUN`, one row per run.

    `change` is after - before (log metrics: the ratio minus 1). `effect` is what the estimate is the mean of: the pair's
    difference, d minus the controls' mean d, or the jump; null for controls.
    """
    # One comparison after the other: as Python values the rows of many runs take far more memory than as a frame.
    frames = [
        pl.DataFrame([{"task": task, **row} for row in _runs_of(comparison)], schema=PER_RUN, orient="row")
        for comparison in comparisons
    ]
    return pl.concat([PER_RUN.to_frame(), *frames])


def _runs_of(comparison: Comparison) -> Iterator[dict[str, Any]]:
    metric = comparison.metric
    control_mean = float(np.mean(comparison.control_values)) if comparison.control_values else 0.0
    effects = {u.run_id: v - control_mean for u, v in zip(comparison.units, comparison.values, strict=False)}
    pairs = {run_id: pair.name for pair in comparison.pairs for run_id in (pair.detached, pair.control)}
    for unit in comparison.runs:
        effect = effects.get(unit.run_id, math.nan)
        yield {
            "metric": metric.key,
            "compared": comparison.arm,
            "arm": unit.arm,
            "run_id": unit.run_id,
            "seed": unit.seed,
            "pair": pairs.get(unit.run_id),
            "detach_step": unit.detach_step,
            "before": level(metric, unit.before),
            "after": level(metric, unit.after),
            "change": change(metric, unit.change),
            "rows_before": unit.n_before,
            "rows_after": unit.n_after,
            "effect": change(metric, effect),
            "effect_pct": comparison.percent(effect)[0],
        }


def pair_difference_table(data: TaskData, comparisons: Iterable[Comparison]) -> pl.DataFrame:
    """The mean difference of fork pairs over steps, with its pointwise 95% t interval; columns as `DIFFERENCES`.

    Raw rows in bins (T + k w, T + (k + 1) w] that never straddle the detach, w the larger of the metric's median row
    spacing and a hundredth of training; log metrics as ratio minus 1. Bins where fewer than two pairs have rows carry no
    interval. Metrics and arms without fork pairs have no rows.
    """
    rows = [row for comparison in comparisons if comparison.pairs for row in _differences(data, comparison)]
    return pl.DataFrame(rows, schema=DIFFERENCES, orient="row")


def _differences(data: TaskData, comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    metric, finest = comparison.metric, data.task.total_steps / BINS
    runs = {run.run_id: run for run in data.unit_rows(metric, comparison.runs)}
    spacing = MedianSpacing(finest)
    for array in numbers(_spacings, ((run.usable, finest) for run in runs.values())):
        spacing.add(np.frombuffer(array.tobytes(), SPACING))
    width = spacing.steps()
    calls = ((run.usable, run.detach_step, width) for run in runs.values())
    bins_of = {run_id: _by_bin(array) for run_id, array in zip(runs, numbers(_bins, calls), strict=True)}
    by_bin: dict[int, list[tuple[float, float]]] = {}
    for pair in comparison.pairs:
        for k, row in _pair_bins(bins_of[pair.detached], bins_of[pair.control]).items():
            by_bin.setdefault(k, []).append(row)
    for _, bins in sorted(by_bin.items()):
        step, differences = float(np.mean([step for step, _ in bins])), np.array([value for _, value in bins])
        mean = (float(differences.mean()), *_interval(differences))
        yield (
            data.task.key, metric.key, comparison.arm, step, *(change(metric, v) for v in mean), len(differences)
        )  # fmt: skip


def _spacings(usable: Usable, finest: float) -> np.ndarray:
    return spacing_counts(usable.read().steps, finest).view(np.float64)  # as bytes that numbers can be kept as


def _bins(usable: Usable, detach_step: int, width: float) -> np.ndarray:
    """The number, the mean step and the mean value of each bin that has rows, one bin after the other."""
    rows = usable.read()
    number = np.ceil((rows.steps - detach_step) / width)
    start = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    if not len(start):
        return np.empty(0)
    counts = np.diff(start, append=len(number))
    means = (np.add.reduceat(column, start) / counts for column in (rows.steps, rows.values))
    return np.stack([number[start], *means], axis=1).ravel()


def _by_bin(bins: np.ndarray) -> dict[int, tuple[float, float]]:
    """By bin, the mean step and the mean value of its rows."""
    return {int(k): (step, value) for k, step, value in bins.reshape(-1, 3).tolist()}


def _pair_bins(
    detached: dict[int, tuple[float, float]], control: dict[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """By bin, the mean step of a pair's rows and detached minus control, where both have rows."""
    both = detached.keys() & control.keys()
    return {k: ((detached[k][0] + control[k][0]) / 2, detached[k][1] - control[k][1]) for k in both}


def _interval(values: np.ndarray) -> tuple[float, float]:
    """The t interval of a mean; NaN below two values, and no width where all are equal."""
    if len(values) < 2:
        return math.nan, math.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    estimate = estimators.mean_t(values)
    return float(estimate.low), float(estimate.high)


def jump_fit_table(data: TaskData, jumps: Iterable[Comparison]) -> pl.DataFrame:
    """The two local lines of every detached run's jump: columns `FITS`, one row per run, without those with too few rows.

    `jump` is b2 (log metrics: the ratio minus 1); the lines are on the scale of the fit (logs for a log metric).
    """
    rows = []
    for comparison in jumps:
        metric, half = comparison.metric, comparison.half_width
        runs = data.unit_rows(metric, comparison.units)
        for run, fit in zip(runs, local_fits(runs, half), strict=True):
            claim = (data.task.key, metric.key, comparison.arm, run.run_id, run.seed)
            rows.append((*claim, run.detach_step, *fit.rows, half, *chain(*fit.lines), change(metric, fit.size)))
    return pl.DataFrame(rows, schema=FITS, orient="row")


def fit_lines(fits: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    """The lines of a metric's `FITS` as points to draw: columns `FIT_LINES`, `rows` those of the side."""
    rows: list[tuple[Any, ...]] = []
    for fit in fits.iter_rows(named=True):
        claim, half = [fit[name] for name in ("task", "metric", "arm", "run_id", "seed")], fit["half_width"]
        for side, low, high in (("before", -half, 0.0), ("after", 0.0, half)):
            slope, at_detach = fit[f"slope_{side}"], fit[f"level_{side}"]
            for x in np.linspace(low, high, FIT_POINTS):
                value = level(metric, float(at_detach + slope * x))
                rows.append((*claim, side, float(fit["detach_step"] + x), value, fit["jump"], fit[f"rows_{side}"]))
    return pl.DataFrame(rows, schema=FIT_LINES, orient="row")


def placebo_table(data: TaskData, jumps: Iterable[Comparison]) -> pl.DataFrame:
    """The mean jump of the detached runs at pretended steps, the real one among them; columns as `PLACEBO`.

    `overlaps` marks pretended steps whose window holds the real detach. Windows overlap each other too, so this is a
    picture and no test. Where the runs' detach steps differ, the real one stands at their mean.
    """
    rows: list[tuple[Any, ...]] = []
    for comparison in jumps:
        metric, half = comparison.metric, comparison.half_width
        runs = data.unit_rows(metric, comparison.units)
        real = float(np.mean([run.detach_step for run in runs]))
        first, last = max(run.facts.first for run in runs) + half, min(run.facts.last for run in runs) - half
        steps = np.linspace(first, last, PRETENDED) if last > first else np.array([])
        claim = (data.task.key, metric.key, comparison.arm)
        rows.append((*claim, real, *_jump_row(metric, np.array(comparison.values)), True, False))
        pretended = np.stack([*numbers(_pretended, ((run.usable, steps, half) for run in runs))])
        sizes, fewest = pretended[:, : len(steps)], pretended[:, len(steps) :].min(axis=0)
        for i in np.flatnonzero(fewest >= SIDE_POINTS):
            near = any(run.detach_step - half < steps[i] <= run.detach_step + half for run in runs)
            rows.append((*claim, float(steps[i]), *_jump_row(metric, sizes[:, i]), False, near))
    return pl.DataFrame(rows, schema=PLACEBO, orient="row").sort("task", "metric", "arm", "step")


def _pretended(usable: Usable, steps: np.ndarray, half: float) -> np.ndarray:
    """The jumps at some steps, then the fewest rows of a side at each."""
    rows = usable.read()
    jumps, counts = local_jumps(rows.steps, rows.values, steps, half)
    return np.concatenate([jumps, counts.min(axis=1)])


def _jump_row(metric: Metric, sizes: np.ndarray) -> tuple[float | None, float | None, float | None, int]:
    low, high = _interval(sizes)
    return change(metric, float(sizes.mean())), change(metric, low), change(metric, high), len(sizes)


def with_gaps(data: TaskData) -> tuple[TaskData, tuple[Metric, ...]]:
    """The task with the gap of every validation loss to its train loss as a metric of its own.

    The gap is the ratio of the two: at every validation row, its value over the geometric mean of the train rows since
    the validation row before. Partners are loss metrics of the study with the same last part of their key, one of them
    under `train/`; the key of their gap reads `validation_all/x : train/x`.
    """
    partners = dict[str, tuple[Metric, Metric]]()
    losses = [replace(m, scale="log") for m in data.study.metrics if m.family == "loss" and "/" in m.key]
    train_losses = [m for m in losses if m.key.startswith("train/")]
    for train, other in product(train_losses, losses):
        if other not in train_losses and other.key.rsplit("/", 1)[-1] == train.key.rsplit("/", 1)[-1]:
            partners[GAP.format(other.key, train.key)] = train, other

    def source(run_id: str, key: str) -> Source:
        return _Gap(data.history, run_id, *(metric.key for metric in partners[key]))

    return replace(data, rows=Rows(source)), tuple(Metric(key, "loss", "decrease", scale="log") for key in partners)


@dataclass(frozen=True, slots=True)
class _Gap(Source):
    """The gap of a validation loss of a run to its train loss."""

    train: str
    other: str

    def series(self) -> tuple[np.ndarray, ...]:
        """Steps and values."""
        return self.history.cached_in_memory(repr(self), self._ratios)

    def _ratios(self) -> tuple[np.ndarray, ...]:
        losses = (Usable(Logged(self.history, self.run_id, key), log=True) for key in (self.train, self.other))
        return _ratios(*(loss.read() for loss in losses))


def _ratios(train: Series, other: Series) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the gap, at the rows of `other` since whose predecessor `train` has any."""
    total = np.concatenate([[0.0], np.cumsum(train.values)])
    end = np.searchsorted(train.steps, other.steps, side="right")
    start = np.concatenate([[0], end])[:-1]
    any_train = end > start
    mean = (total[end[any_train]] - total[start[any_train]]) / (end - start)[any_train]
    return other.steps[any_train], np.exp(other.values[any_train] - mean)
