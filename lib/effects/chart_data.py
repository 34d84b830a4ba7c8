"""The frames that effect charts draw: per-run values, pair differences, local fits, the placebo, the gap."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.designs import Material, compare
from lib.effects.compare.jumps import SIDE_POINTS, jump_of
from lib.effects.compare.units import Pair, Rows, Unit
from lib.effects.effects_table import as_change, change_pct, comparisons, effects_rows, natural
from lib.study import Metric, Study, Task

PER_RUN = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "compared": pl.String,  # the detached arm of the comparison, beside the run's own arm
        "arm": pl.String,
        "run_id": pl.String,
        "seed": pl.String,
        "pair": pl.String,
        "detach_step": pl.Int64,
        "before": pl.Float64,
        "after": pl.Float64,
        "change": pl.Float64,
        "rows_before": pl.Int64,
        "rows_after": pl.Int64,
        "effect": pl.Float64,
        "effect_pct": pl.Float64,
    }
)
DIFFERENCES = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "step": pl.Float64,
        "difference": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "n": pl.Int64,
    }
)
FITS = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "run_id": pl.String,
        "seed": pl.String,
        "side": pl.String,
        "step": pl.Float64,
        "fit": pl.Float64,
        "jump": pl.Float64,
        "rows": pl.Int64,
    }
)
PLACEBO = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "step": pl.Float64,
        "jump": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "n": pl.Int64,
        "real": pl.Boolean,
        "overlaps": pl.Boolean,
    }
)

BINS = 100  # of training: the narrowest bins of difference curves
PRETENDED = 41
FIT_POINTS = 11


def per_run_table(given: Material) -> pl.DataFrame:
    """Every counted run's before and after, and the detached ones' own effect: a point a seed, columns as `PER_RUN`.

    `change` is after - before (log metrics: the ratio minus 1). `effect` is what the estimate is the mean of: the pair's
    difference, d minus the controls' mean d, or the jump; null for controls.
    """
    return pl.DataFrame(
        [row for c in comparisons(given) for row in _runs_of(given.task, c)], schema=PER_RUN, orient="row"
    )


def _runs_of(task: Task, found: Comparison) -> Iterator[dict[str, Any]]:
    log = found.metric.scale == "log"
    effect = dict(zip((u.run_id for u in found.units), _own_effects(found), strict=False))
    pairs = {i: p.name for p in found.pairs for i in (p.detached, p.control)}
    for unit in (*found.units, *found.controls):
        own = effect.get(unit.run_id, math.nan)
        yield {
            "task": task.key,
            "metric": found.metric.key,
            "compared": found.arm,
            "arm": unit.arm,
            "run_id": unit.run_id,
            "seed": unit.seed,
            "pair": pairs.get(unit.run_id),
            "detach_step": unit.at,
            "before": natural(unit.before, log=log),
            "after": natural(unit.after, log=log),
            "change": as_change(unit.change, log=log),
            "rows_before": unit.n_before,
            "rows_after": unit.n_after,
            "effect": as_change(own, log=log),
            "effect_pct": change_pct(found, own)[0],
        }


def _own_effects(found: Comparison) -> tuple[float, ...]:
    base = float(np.mean(found.control_values)) if found.control_values else 0.0
    if found.design == "did" and not found.control_values:
        return ()
    return tuple(v - base for v in found.values)


def pair_difference_table(given: Material) -> pl.DataFrame:
    """The mean difference of fork pairs over steps, with its pointwise 95% t interval; columns as `DIFFERENCES`.

    Raw rows in bins (T + k w, T + (k + 1) w] that never straddle the detach, w the larger of the metric's median row
    spacing and a hundredth of training; log metrics as ratio minus 1. Bins where fewer than two pairs have rows carry no
    interval. Metrics and arms without fork pairs have no rows.
    """
    rows = [row for c in comparisons(given) if c.design == "fork" for row in _differences(given.task, c)]
    return pl.DataFrame(rows, schema=DIFFERENCES, orient="row")


def _differences(task: Task, found: Comparison) -> Iterator[dict[str, Any]]:
    log = found.metric.scale == "log"
    units = {u.run_id: u for u in (*found.units, *found.controls)}
    gaps = np.concatenate([np.diff(u.rows.steps) for u in units.values()])
    width = max(float(np.median(gaps)) if len(gaps) else 0.0, task.total_steps / BINS)
    by_bin: dict[int, list[tuple[float, float]]] = {}
    for pair in found.pairs:
        for k, row in _pair_bins(units, pair, width).items():
            by_bin.setdefault(k, []).append(row)
    for k in sorted(by_bin):
        step, differences = np.mean([r[0] for r in by_bin[k]]), np.array([r[1] for r in by_bin[k]])
        low, high = _interval(differences)
        yield {
            "task": task.key,
            "metric": found.metric.key,
            "arm": found.arm,
            "step": float(step),
            "difference": as_change(float(differences.mean()), log=log),
            "ci_low": as_change(low, log=log),
            "ci_high": as_change(high, log=log),
            "n": len(differences),
        }


def _pair_bins(units: Mapping[str, Unit], pair: Pair, width: float) -> dict[int, tuple[float, float]]:
    """By bin, the mean step of a pair's rows and detached minus control, where both have rows."""
    sides = []
    for run in (pair.detached, pair.control):
        rows = units[run].rows
        number = np.ceil((rows.steps - pair.at) / width).astype(int)
        start = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
        counts = np.diff(start, append=len(number))
        means = [np.add.reduceat(column, start) / counts for column in (rows.steps, rows.values)] if len(start) else []
        sides.append(dict(zip(number[start].tolist(), zip(*means, strict=True), strict=True)))
    detached, control = sides
    both = detached.keys() & control.keys()
    return {int(k): ((detached[k][0] + control[k][0]) / 2, detached[k][1] - control[k][1]) for k in both}


def _interval(values: np.ndarray) -> tuple[float, float]:
    """The t interval of a mean; NaN below two values, and no width where all are equal."""
    if len(values) < 2:
        return math.nan, math.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    found = estimators.mean_t(values)
    return float(found.low), float(found.high)


def _detached(given: Material) -> Iterator[tuple[Metric, str, list[Unit], float]]:
    """By metric and detached arm, the units that a jump may use and its h."""
    plain = replace(given.task, detach=replace(given.task.detach, randomised=None))
    alone = replace(given, task=plain, treated=tuple(t for t in given.treated if t.detach_step is not None))
    for metric in given.study.metrics:
        for arm in given.arms:
            found = compare(alone, metric, arm)
            if found.values:
                yield metric, arm, list(found.units), found.half


def jump_fit_table(given: Material) -> pl.DataFrame:
    """The two local lines of every detached run's jump, as points to draw; columns as `FITS`.

    `jump` is b2 (log metrics: the ratio minus 1) and `rows` the rows of that side. Runs with too few rows a side are
    not in it.
    """
    rows: list[tuple[Any, ...]] = []
    for metric, arm, units, half in _detached(given):
        log = metric.scale == "log"
        for unit in units:
            size, sides = jump_of(unit.rows, unit.at, half)
            here = (given.task.key, metric.key, arm, unit.run_id, unit.seed)
            for side, count, ends in (("before", sides[0], (-half, 0.0)), ("after", sides[1], (0.0, half))):
                rows += [
                    (*here, side, step, natural(fit, log=log), as_change(size, log=log), count)
                    for step, fit in _line(unit, ends)
                ]
    return pl.DataFrame(rows, schema=FITS, orient="row")


def _line(unit: Unit, ends: tuple[float, float]) -> Iterator[tuple[float, float]]:
    used = unit.rows.window(unit.at + ends[0], unit.at + ends[1], closed=ends[0] < 0)
    slope, level = np.polyfit(used.steps - unit.at, used.values, 1)
    for x in np.linspace(*ends, FIT_POINTS):
        yield float(unit.at + x), float(level + slope * x)


def placebo_table(given: Material) -> pl.DataFrame:
    """The mean jump of the detached runs at pretended steps, the real one among them; columns as `PLACEBO`.

    `overlaps` marks pretended steps whose window holds the real detach. Windows overlap each other too, so this is a
    picture and no test. Where runs were detached at steps of their own, the real one stands at their mean.
    """
    rows: list[tuple[Any, ...]] = []
    for metric, arm, units, half in _detached(given):
        real = float(np.mean([u.at for u in units]))
        first, last = max(u.rows.steps[0] for u in units) + half, min(u.rows.last for u in units) - half
        steps = np.linspace(first, last, PRETENDED) if last > first else np.array([])
        sizes = np.array([jump_of(u.rows, u.at, half)[0] for u in units])
        here = (given.task.key, metric.key, arm)
        rows.append((*here, real, *_jump_row(metric, sizes), True, False))
        found = [estimators.local_jumps(u.rows.steps, u.rows.values, steps, half) for u in units]
        jumps = np.stack([jumps for jumps, _ in found])
        fewest = np.min([counts.min(axis=1) for _, counts in found], axis=0)
        for i in np.flatnonzero(fewest >= SIDE_POINTS):
            near = any(u.at - half < steps[i] <= u.at + half for u in units)
            rows.append((*here, float(steps[i]), *_jump_row(metric, jumps[:, i]), False, near))
    return pl.DataFrame(rows, schema=PLACEBO, orient="row").sort("task", "metric", "arm", "step")


def _jump_row(metric: Metric, sizes: np.ndarray) -> tuple[float | None, float | None, float | None, int]:
    log = metric.scale == "log"
    low, high = _interval(sizes)
    return as_change(float(sizes.mean()), log=log), as_change(low, log=log), as_change(high, log=log), len(sizes)


def gap_table(given: Material) -> pl.DataFrame:
    """How far a validation loss lies from the train loss of the same name, compared like a metric of its own.

    The gap is the ratio of the two: at every validation row, its value over the geometric mean of the train rows since
    the validation row before. Partners are loss metrics of the study with the same last part of their key, one of them
    under `train/`.

    Returns
    -------
    Columns as `lib.effects.EFFECTS`, `metric` reading `validation_all/x : train/x`; before and after are ratios,
    change is a ratio of ratios minus 1. No verdict and no p_holm: it describes, and is no claim of the study.
    """
    rows, found = dict(given.rows), []
    for train, other in gap_pairs(given.study):
        metric = Metric(f"{other.key} : {train.key}", "loss", "decrease", scale="log")
        rows |= _ratios(rows, [t.run_id for t in given.treated], train, other, metric)
        found += [(metric, arm) for arm in given.arms]
    wider = replace(given, rows=rows)
    return effects_rows(given, [compare(wider, metric, arm) for metric, arm in found])


def gap_pairs(study: Study) -> list[tuple[Metric, Metric]]:
    """The study's train losses, each with the losses of the same last part of their key in other namespaces."""
    losses = [m for m in study.metrics if m.family == "loss" and "/" in m.key]
    train = [m for m in losses if m.key.startswith("train/")]
    return [(t, o) for t in train for o in losses if o not in train and _leaf(o) == _leaf(t)]


def _leaf(metric: Metric) -> str:
    return metric.key.rsplit("/", 1)[-1]


def _ratios(rows: Rows, runs: Sequence[str], train: Metric, other: Metric, gap_metric: Metric) -> Rows:
    made = {}
    for run in runs:
        if (run, train.key) in rows and (run, other.key) in rows:
            steps, logs = _positive(rows[run, train.key])
            at, values = _positive(rows[run, other.key])
            total = np.concatenate([[0.0], np.cumsum(logs)])
            right = np.searchsorted(steps, at, side="right")
            left = np.concatenate([[0], right[:-1]])
            seen = right > left
            mean = (total[right[seen]] - total[left[seen]]) / (right[seen] - left[seen])
            made[run, gap_metric.key] = at[seen], np.exp(values[seen] - mean)
    return made


def _positive(points: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    steps, values = points
    good = np.isfinite(values) & (values > 0)
    return steps[good], np.log(values[good])
