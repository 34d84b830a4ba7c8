"""Simulated studies as arrays, and what a method makes of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulated import U
from lib.effects.compare import estimators as est

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """Simulated studies: raw rows (studies, runs, rows) of each arm; `control` is empty without a control arm.

    `detach_steps` (studies, runs) are the detach steps where they are randomised; `truth` is the mean effect of the population.
    """

    treated: Array
    control: Array
    truth: float
    detach_steps: Array | None = None


@dataclass(frozen=True)
class Outcome:
    """Per study: estimate, two-sided p (NaN: none) and interval (NaN: none)."""

    value: Array
    p: Array
    low: Array
    high: Array


def outcome(estimate: est.Estimate) -> Outcome:
    """What an estimate with an interval says."""
    return Outcome(estimate.value, estimate.p, estimate.low, estimate.high)


def welch(treated: Array, control: Array) -> Outcome:
    """Welch's test at any sizes: the app's own where `welch_fails` does not hold."""
    from scipy import stats

    test = stats.ttest_ind(treated, control, axis=-1, equal_var=False)
    interval = test.confidence_interval(est.CONFIDENCE)
    return Outcome(treated.mean(axis=-1) - control.mean(axis=-1), test.pvalue, interval.low, interval.high)


def p_only(value: Array, p: Array) -> Outcome:
    """What a test without an interval says."""
    none = np.full(np.shape(value), np.nan)
    return Outcome(value, p, none, none)


def means(rows: Array, low: float = 0.4, high: float = 1.0, settle: float = 0.0) -> tuple[Array, Array]:
    """Each run's before and after (studies, runs): [low, 0.5] against (0.5 + settle, high]."""
    before = (low - 1e-9 <= U) & (U <= 0.5)
    after = (0.5 + settle + 1e-9 < U) & (high + 1e-9 >= U)
    return rows[..., before].mean(axis=-1), rows[..., after].mean(axis=-1)


def change(rows: Array, **window: float) -> Array:
    """d = after - before of each run."""
    before, after = means(rows, **window)
    return after - before
