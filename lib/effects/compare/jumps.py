"""Designs without a control arm: the local jump at the detach, and the test of a randomised detach step."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison, Exclusion, end_of, over_runs, span
from lib.effects.compare.local_fit import jump_weights, local_jumps
from lib.effects.compare.units import Numbers, RunRows, Units, Usable, Windows, measure, numbers
from lib.formatting import listing, plural
from lib.study import Metric, Task

SIDE_POINTS = 5  # rows per side that each run's jump needs
HALF_WIDTH, NARROW = 0.1, 0.05  # h as a fraction of the total steps
SPREAD = 0.2  # of the total steps: drawn detach steps lie farther apart than that
_MORE_ROWS = "Log more often around the detach."
MANY = 4  # runs from which h is the narrow one: a curve that bends at the detach passes for a jump


def half_width(total: int, n: int) -> float:
    """h of the jump in environment steps for n runs: 0.1 S, and half of it from 4 runs on.

    A curve's own bend leaves a small jump behind that no number of runs averages away, so that with many of them it
    passes for an effect (measured in benchmarks/calibration.py); it shrinks with the cube of h.
    """
    return (NARROW if n >= MANY else HALF_WIDTH) * total


def jump(metric: Metric, arm: str, runs: Sequence[RunRows], window: Windows, half: float | None = None) -> Comparison:
    """The mean over runs of the local jump at their detach, by t.

    Parameters
    ----------
    half : h in environment steps; where it is None, the one for so many runs.
    """
    if not runs:
        return _nothing(metric, arm, window)
    half = half or half_width(window.total, len(runs))
    fits = local_fits(runs, half)
    fewest = [min(fit.rows) for fit in fits]
    dense = [rows >= SIDE_POINTS for rows in fewest]
    counted = [*compress(runs, dense)] or runs
    end = end_of(counted)
    comparison = Comparison(
        metric,
        arm,
        "",
        "jump",
        f"local jump at the detach, h = {plural(round(half), 'step')}, t over runs",
        Units(measure(counted, window, end)),
        end=end,
        half_width=half,
    )
    if not any(dense):
        return replace(comparison, refusal=_sparse(min(fewest), half))
    sparse = [(run, rows) for run, rows in zip(runs, fewest, strict=True) if rows < SIDE_POINTS]
    comparison = replace(
        comparison,
        excluded=tuple(
            Exclusion(run.run_id, run.seed, run.arm, _sparse(rows, half), remedy=_MORE_ROWS) for run, rows in sparse
        ),
        values=tuple(compress((fit.size for fit in fits), dense)),
        span=span(metric, counted, end),
        near_rows=min(compress(fewest, dense)),
    )
    return over_runs(comparison, "runs")


def _nothing(metric: Metric, arm: str, window: Windows) -> Comparison:
    return Comparison(metric, arm, "", "none", "", half_width=half_width(window.total, 0), refusal="no run counts")


def _sparse(fewest: int, half: float) -> str:
    return f"fewer than {SIDE_POINTS} rows a side within {plural(round(half), 'step')} of the detach ({fewest})"


class Fit(NamedTuple):
    """A run's jump at its detach, the rows before and after it within h, and the line through them on either side.

    A line is its slope per environment step and its value at the detach; NaN where a side has too few rows.
    """

    size: float
    rows: tuple[int, int]
    lines: tuple[tuple[float, float], tuple[float, float]]


def local_fits(runs: Sequence[RunRows], half: float) -> list[Fit]:
    """The jump of each run at its detach."""
    of_runs = numbers(_fit, ((run.usable, run.detach_step, half) for run in runs))
    return [
        Fit(size, (int(n_before), int(n_after)), ((slope_before, before), (slope_after, after)))
        for size, n_before, n_after, slope_before, before, slope_after, after in (array.tolist() for array in of_runs)
    ]


def _fit(usable: Usable, step: float, half: float) -> Numbers:
    """The numbers of a `Fit` one after the other."""
    near = usable.read().within(step - half, step + half, closed=True)
    weights, counts = jump_weights(near.steps, step, half)
    size = float((weights @ near.values)[0]) if len(near.steps) else math.nan
    lines: list[float] = []
    for low, high, closed in ((step - half, step, True), (step, step + half, False)):
        side = near.within(low, high, closed=closed)
        enough = len(side.steps) >= SIDE_POINTS
        lines += np.polyfit(side.steps - step, side.values, 1).tolist() if enough else [math.nan, math.nan]
    return np.array([size, *counts[0], *lines])


def _onset_numbers(usable: Usable, step: float, steps: Numbers, half: float) -> Numbers:
    """The jump at a step, the fewest rows of a side there and at other steps, and the jumps at those."""
    size, *rows = _fit(usable, step, half)[:3]
    near = usable.read()
    jumps, counts = local_jumps(near.steps, near.values, steps, half)
    return np.array([size, min(*rows, counts.min()), *jumps])


def onset(task: Task, metric: Metric, arm: str, runs: Sequence[RunRows], window: Windows) -> Comparison:
    """The mean jump at randomised detach steps, against the same at steps redrawn from the design.

    p is the permutation's, exact for any curves; the interval is the t one of the runs' jumps. A verdict needs both.
    """
    if not runs:
        return replace(_nothing(metric, arm, window), p_floor=1 / (estimators.DRAWS + 1))
    excluded: list[Exclusion] = []
    half = half_width(window.total, len(runs))
    usable, values, redrawn, near = [], [], [], []
    drawn = zip(runs, redrawn_steps(task, len(runs)).T, strict=True)
    of_runs = numbers(_onset_numbers, ((run.usable, run.detach_step, steps, half) for run, steps in drawn))
    for run, array in zip(runs, of_runs, strict=True):
        size, fewest, jumps = float(array[0]), int(array[1]), array[2:]
        if fewest < SIDE_POINTS:
            reason = f"{_sparse(fewest, half)}, here or at another step of the design"
            excluded.append(Exclusion(run.run_id, run.seed, run.arm, reason, remedy=_MORE_ROWS))
            continue
        usable.append(run)
        values.append(size)
        redrawn.append(jumps)
        near.append(fewest)
    counted = usable or runs
    end = end_of(counted)
    comparison = Comparison(
        metric,
        arm,
        "",
        "onset",
        f"randomised onset: mean jump, h = {plural(round(half), 'step')}, "
        f"p over {estimators.DRAWS:,} redrawn designs; interval by t",
        Units(measure(counted, window, end)),
        excluded=tuple(excluded),
        end=end,
        half_width=half,
        near_rows=min(near, default=0),
        values=tuple(values),
        p_floor=1 / (estimators.DRAWS + 1),
    )
    if not values:
        return replace(comparison, refusal=excluded[-1].reason)
    comparison = over_runs(comparison, "runs")
    if comparison.refusal:
        return comparison
    return replace(comparison, p=estimators.onset_p(comparison.estimate, np.mean(redrawn, axis=0)))


def not_drawn(task: Task, steps: Sequence[int]) -> str:
    """Why a task's detach steps cannot be draws from its uniform design; empty where they can.

    Drawn steps lie inside the design, most of them differ, and they spread: all at one step of a schedule, say, would let
    any change of the curves there pass for their effect.
    """
    design = task.detach.randomised
    low, high = (bound * task.total_steps for bound in ((design.low, design.high) if design else (0, 1)))
    outside = [step for step in steps if not low - 1 <= step <= high + 1]  # a drawn step may have been rounded
    if outside:
        steps_outside, lie = sorted(set(outside)), "lies" if len(set(outside)) == 1 else "lie"
        return f"{listing(f'{s:,}' for s in steps_outside)} {lie} outside the design's {low:,.0f} to {high:,.0f}"
    if 2 * len(set(steps)) < len(steps):
        return f"{plural(len(steps), 'run')} have only {plural(len(set(steps)), 'detach step')}"
    spread = max(steps) - min(steps)
    if spread <= SPREAD * task.total_steps:
        return f"the detach steps are only {plural(spread, 'step')} apart"
    return ""


def redrawn_steps(task: Task, runs: int) -> NDArray[np.float64]:
    """Detach steps (draws, runs) redrawn from a task's uniform design, rounded to whole steps."""
    design = task.detach.randomised
    low, high = (design.low, design.high) if design else (0.0, 1.0)
    ratios = np.random.default_rng(0).uniform(low, high, size=(estimators.DRAWS, runs))
    return np.round(ratios * task.total_steps)
