"""Designs without a control arm: the local jump at the detach, and the test of a step that was drawn at random."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison, Exclusion, end_of, over_runs, too_short
from lib.effects.compare.units import Series, Unit, Windows, measure
from lib.study import Metric, Task

SIDE_POINTS = 5  # rows a side that each run's jump needs


HALF_WIDTH, NARROW = 0.1, 0.05  # h as a fraction of the total steps
MANY = 4  # runs from which h is the narrow one: a curve that bends at the detach passes for a jump


def half_width(total: int, n: int) -> float:
    """h of the jump in environment steps for n runs: 0.1 S, and half of it from 4 runs on.

    A curve's own bend leaves a small jump behind that no number of runs averages away, so that with many of them it
    passes for an effect (measured in benchmarks/calibration.py); it shrinks with the cube of h.
    """
    return (NARROW if n >= MANY else HALF_WIDTH) * total


def jump(metric: Metric, arm: str, units: list[Unit], window: Windows) -> Comparison:
    """The mean over runs of the local jump at their detach, by t."""
    units, excluded = too_short(units, window)
    half = half_width(window.total, len(units))
    sizes = [jump_of(u.rows, u.at, half) for u in units]
    described = [measure(u, window, end_of(units)) for u in units]
    found = Comparison(
        metric,
        arm,
        "",
        "jump",
        f"local jump at the detach, h = {half:,.0f} steps, t over runs",
        tuple(described),
        excluded=tuple(excluded),
        end=end_of(units),
        half=half,
    )
    if not units:
        return replace(found, design="none", method="", refusal="no run counts")
    sparse = [min(sides) < SIDE_POINTS for _, sides in sizes]
    if all(sparse):
        fewest = min(min(sides) for _, sides in sizes)
        return replace(found, refusal=_sparse(fewest, half))
    out = [Exclusion(u.run_id, u.seed, u.arm, _sparse(min(s), half)) for u, (_, s) in zip(units, sizes, strict=True)]
    excluded += [e for e, bad in zip(out, sparse, strict=True) if bad]
    kept = {u.run_id for u, bad in zip(units, sparse, strict=True) if not bad}
    found = replace(
        found,
        units=tuple(u for u in described if u.run_id in kept),
        excluded=tuple(excluded),
        values=tuple(b for (b, _), bad in zip(sizes, sparse, strict=True) if not bad),
    )
    return over_runs(found, "runs")


def _sparse(fewest: int, half: float) -> str:
    return f"fewer than {SIDE_POINTS} rows a side within {half:,.0f} steps of the detach ({fewest})"


def jump_of(rows: Series, at: float, half: float) -> tuple[float, tuple[int, int]]:
    """A run's jump at a step, and the rows before and after within `half` that it rests on."""
    near = rows.window(at - half, at + half, closed=True)
    weights, counts = estimators.jump_weights(near.steps, at, half)
    size = float((weights @ near.values)[0]) if len(near.steps) else math.nan
    return size, (int(counts[0, 0]), int(counts[0, 1]))


def onset(task: Task, metric: Metric, arm: str, units: list[Unit], window: Windows, seed: int) -> Comparison:
    """The mean jump at randomly drawn detach steps, against the same at steps redrawn from the design.

    p is the permutation's, exact for any curves; the interval is the t one of the runs' jumps. A verdict needs both.
    """
    units, excluded = too_short(units, window)
    half = half_width(window.total, len(units))
    drawn = drawn_onsets(task, len(units), seed)
    kept, values, again = [], [], []
    for unit, steps in zip(units, drawn.T, strict=True):
        size, sides = jump_of(unit.rows, unit.at, half)
        redrawn, counts = estimators.local_jumps(unit.rows.steps, unit.rows.values, steps, half)
        fewest = min(*sides, int(counts.min()))
        if fewest < SIDE_POINTS:
            reason = f"{_sparse(fewest, half)}, here or at another step of the design"
            excluded.append(Exclusion(unit.run_id, unit.seed, unit.arm, reason))
            continue
        kept.append(unit)
        values.append(size)
        again.append(redrawn)
    described = [measure(u, window, end_of(units)) for u in kept or units]
    found = Comparison(
        metric,
        arm,
        "",
        "onset",
        f"randomised onset: mean jump, h = {half:,.0f} steps, p over {len(drawn):,} redrawn designs; interval by t",
        tuple(described),
        excluded=tuple(excluded),
        end=end_of(units),
        half=half,
        values=tuple(values),
        p_floor=1 / (len(drawn) + 1),
    )
    if not values:
        return (
            replace(found, refusal=excluded[-1].reason)
            if units
            else replace(found, design="none", method="", refusal="no run counts")
        )
    found = over_runs(found, "runs")
    if found.refusal:
        return found
    return replace(found, p=estimators.onset_p(found.estimate, np.mean(again, axis=0)))


def drawn_onsets(task: Task, runs: int, seed: int) -> NDArray[np.float64]:
    """Detach steps (draws, runs) redrawn from a task's uniform design, rounded to whole steps."""
    design = task.detach.randomised
    low, high = (design.low, design.high) if design else (0.0, 1.0)
    drawn = np.random.default_rng(seed).uniform(low, high, size=(estimators.DRAWS, runs))
    return np.round(drawn * task.total_steps)
