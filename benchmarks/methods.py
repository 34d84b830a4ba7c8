"""Every method that the calibration judges: those the app offers, by its estimators, and those that it refuses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulated import HALF, ROWS, STEPS, TOTAL, U
from lib.effects.compare import estimators as est
from lib.effects.compare.comparison import FEWEST, FEWEST_LABELS, FEWEST_SIGNS
from lib.effects.compare.jumps import HALF_WIDTH, half_width

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


@dataclass(frozen=True)
class Method:
    """A method with the sizes (n_t, n_c) at which the app offers it; `why` names what the table shows of a refusal."""

    name: str
    design: str
    run: Callable[[Batch], Outcome]
    offered: Callable[[int, int], bool] = lambda n_t, n_c: False
    drawn_permutations: bool = False


def _outcome(estimate: est.Estimate) -> Outcome:
    return Outcome(estimate.value, estimate.p, estimate.low, estimate.high)


def _welch(treated: Array, control: Array) -> Outcome:
    """Welch's test at any sizes: the app's own where `welch_fails` does not hold."""
    from scipy import stats

    test = stats.ttest_ind(treated, control, axis=-1, equal_var=False)
    interval = test.confidence_interval(est.CONFIDENCE)
    value = treated.mean(axis=-1) - control.mean(axis=-1)
    return Outcome(value, test.pvalue, interval.low, interval.high)


def _p_only(value: Array, p: Array) -> Outcome:
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


# --- offered ---------------------------------------------------------------------------------------------------------


def fork_t(batch: Batch) -> Outcome:
    """Fork pairs, paired t on after."""
    return _outcome(est.mean_t(means(batch.treated)[1] - means(batch.control)[1]))


def fork_signs(batch: Batch) -> Outcome:
    """Fork pairs, sign-flip permutation."""
    delta = means(batch.treated)[1] - means(batch.control)[1]
    return _p_only(delta.mean(axis=-1), est.sign_p(delta))


def did_welch(batch: Batch) -> Outcome:
    """Difference in differences, Welch t on each run's d."""
    return _welch(change(batch.treated), change(batch.control))


def did_labels(batch: Batch) -> Outcome:
    """Difference in differences, permutation of the arm labels."""
    d_t, d_c = change(batch.treated), change(batch.control)
    return _p_only(d_t.mean(axis=-1) - d_c.mean(axis=-1), est.label_p([d_t], [d_c]))


def ancova(batch: Batch) -> Outcome:
    """ANCOVA on the level before the detach."""
    return _outcome(est.ancova(*means(batch.treated), *means(batch.control)))


def jump(batch: Batch, half: float | None = None, rows: NDArray[np.int64] | None = None) -> Outcome:
    """The local jump, by the app's h for that many runs."""
    used = np.arange(ROWS) if rows is None else rows
    weights, _ = est.jump_weights(STEPS[used], HALF, half or half_width(TOTAL, batch.treated.shape[1]))
    return _outcome(est.mean_t(batch.treated[..., used] @ weights[0]))


ONSET_DRAWS = 999
ONSET_LOW, ONSET_HIGH = 0.3, 0.7


@cache
def _onset_weights(runs: int) -> Array:
    """Weights (runs, draws, rows) of the jumps at redrawn steps, the same for every study as in the app."""
    redrawn = np.random.default_rng(0).uniform(ONSET_LOW, ONSET_HIGH, (ONSET_DRAWS, runs)) * TOTAL
    half = half_width(TOTAL, runs)
    return np.stack([est.jump_weights(STEPS, steps, half)[0] for steps in np.round(redrawn).T])


def onset(batch: Batch) -> Outcome:
    """Randomised onset: permutation p, interval by t."""
    runs = batch.treated.shape[1]
    half = half_width(TOTAL, runs)
    assert batch.detach_steps is not None
    jumps = np.stack(
        [
            np.einsum("sr,sr->s", est.jump_weights(STEPS, batch.detach_steps[:, i], half)[0], batch.treated[:, i])
            for i in range(runs)
        ],
        axis=1,
    )
    redrawn = sum(batch.treated[:, i] @ w.T for i, w in enumerate(_onset_weights(runs))) / runs
    estimate = est.mean_t(jumps)
    p = np.array([est.onset_p(v, r) for v, r in zip(estimate.value, redrawn, strict=True)])
    return Outcome(estimate.value, p, estimate.low, estimate.high)


# --- refused: no control arm -----------------------------------------------------------------------------------------


def pooled_rows(batch: Batch) -> Outcome:
    """All rows before against all rows after, Welch (the notebook habit)."""
    early, late = batch.treated[..., U <= 0.5], batch.treated[..., U > 0.5]
    flat = len(batch.treated), -1
    return _welch(late.reshape(flat), early.reshape(flat))


def paired_t(batch: Batch) -> Outcome:
    """Each run's mean before against its mean after, paired t."""
    return _outcome(est.mean_t(change(batch.treated, low=0.0)))


def paired_local(batch: Batch) -> Outcome:
    """The same in windows of 10% a side."""
    return _outcome(est.mean_t(change(batch.treated, high=0.6)))


def percentile_alone(batch: Batch) -> Outcome:
    """Percentile bootstrap over runs of before against after."""
    return _bootstrap([change(batch.treated)], bca=False)


def trend_gap(batch: Batch) -> Outcome:
    """Each run's gap to its extrapolated linear trend, t over runs."""
    early = U <= 0.5
    design = np.column_stack([np.ones(ROWS), U])
    line = batch.treated[..., early] @ np.linalg.pinv(design[early]).T @ design.T
    return _outcome(est.mean_t((batch.treated - line)[..., ~early].mean(axis=-1)))


def segmented(batch: Batch) -> Outcome:
    """Segmented regression of the mean curve, Newey-West errors."""
    y, since, late = batch.treated.mean(axis=1), U - 0.5, (U > 0.5).astype(float)
    design = np.column_stack([np.ones(ROWS), since, late, since * late])
    inverse = np.linalg.pinv(design)
    beta = y @ inverse.T
    score = (y - beta @ design.T) * inverse[2]
    lags = int(4 * (ROWS / 100) ** (2 / 9))
    variance = (score**2).sum(axis=1)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (score[:, lag:] * score[:, :-lag]).sum(axis=1)
    return _outcome(est.from_error(beta[:, 2], np.sqrt(variance), np.full(len(y), ROWS - 4.0)))


def jump_wide(batch: Batch) -> Outcome:
    """The local jump with h = 10% at any number of runs."""
    return jump(batch, half=HALF_WIDTH * TOTAL)


def jump_sparse(batch: Batch) -> Outcome:
    """The local jump on 3 rows a side within h."""
    return jump(batch, half=HALF_WIDTH * TOTAL, rows=np.arange(6, ROWS, 7))


def jump_smoothed(batch: Batch) -> Outcome:
    """The local jump on a series smoothed over 5% of training."""
    from scipy.ndimage import uniform_filter1d

    smooth = uniform_filter1d(batch.treated, ROWS // 20, axis=-1, mode="nearest", origin=ROWS // 40 - 1)
    return jump(Batch(smooth, batch.control, batch.truth))


# --- refused: with a control arm -------------------------------------------------------------------------------------


def did_rows(batch: Batch) -> Outcome:
    """Difference in differences on rows, ordinary least squares."""
    cells = [
        rows[..., late].reshape(len(rows), -1)
        for rows in (batch.treated, batch.control)
        for late in (U > 0.5, U <= 0.5)
    ]
    value = cells[0].mean(axis=1) - cells[1].mean(axis=1) - cells[2].mean(axis=1) + cells[3].mean(axis=1)
    df = sum(c.shape[1] for c in cells) - 4
    pooled = sum(c.var(axis=1) * c.shape[1] for c in cells) / df
    error = np.sqrt(pooled * sum(1 / c.shape[1] for c in cells))
    return _outcome(est.from_error(value, error, np.full(len(value), float(df))))


def did_percentile(batch: Batch) -> Outcome:
    """Percentile bootstrap of the difference in differences."""
    return _bootstrap([change(batch.treated), change(batch.control)], bca=False)


def did_bca(batch: Batch) -> Outcome:
    """BCa bootstrap of the difference in differences."""
    return _bootstrap([change(batch.treated), change(batch.control)], bca=True)


def best_window(batch: Batch) -> Outcome:
    """The smallest p of six windows."""
    windows = [{}, {"high": 0.6}, {"high": 0.75}, {"settle": 0.1}, {"settle": 0.25}, {"low": 0.25}]
    tries = [_welch(change(batch.treated, **w), change(batch.control, **w)) for w in windows]
    pick = np.argmin([t.p for t in tries], axis=0)
    return _p_only(*(np.choose(pick, [getattr(t, f) for t in tries]) for f in ("value", "p")))


def fork_as_did(batch: Batch) -> Outcome:
    """Fork pairs analysed as if they were unpaired."""
    return did_welch(batch)


RESAMPLES = 999


def _bootstrap(arms: Sequence[Array], bca: bool) -> Outcome:
    """Bootstrap interval of the mean, or of the difference of two means, resampling runs; without p."""
    from scipy import stats

    rng = np.random.default_rng(0)
    signs = (1.0, -1.0)
    value = sum(s * x.mean(axis=1) for s, x in zip(signs, arms, strict=False))
    weights = [rng.multinomial(x.shape[1], np.full(x.shape[1], 1 / x.shape[1]), RESAMPLES) / x.shape[1] for x in arms]
    resampled = sum(s * x @ w.T for s, x, w in zip(signs, arms, weights, strict=False))
    levels = np.tile([0.025, 0.975], (len(value), 1))
    if bca:
        offset = stats.norm.ppf(np.clip((resampled < value[:, None]).mean(axis=1), 1e-4, 1 - 1e-4))
        jack = [s * (x.mean(axis=1, keepdims=True) - x) / (x.shape[1] - 1) for s, x in zip(signs, arms, strict=False)]
        pull = -np.concatenate(jack, axis=1)
        skew = (pull**3).sum(axis=1) / (6 * (pull**2).sum(axis=1) ** 1.5)
        z = offset[:, None] + stats.norm.ppf(levels)
        levels = stats.norm.cdf(offset[:, None] + z / (1 - skew[:, None] * z))
    order = np.sort(resampled, axis=1)
    ends = np.take_along_axis(order, np.round(levels * (RESAMPLES - 1)).astype(int), axis=1)
    none = np.full(len(value), np.nan)
    return Outcome(value, none, ends[:, 0], ends[:, 1])


# --- several tasks ---------------------------------------------------------------------------------------------------


def across_t(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The mean over tasks of DiD / scale, Welch-Satterthwaite; and what it estimates, by study."""
    treated, control, truth = _scaled(batches)
    return _outcome(est.across(treated, control)), truth


def across_labels(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The same by relabelling within tasks."""
    treated, control, truth = _scaled(batches)
    return _p_only(est.across(treated, control).value, est.label_p(treated, control)), truth


def _scaled(batches: Sequence[Batch]) -> tuple[list[Array], list[Array], Array]:
    scales = [
        est.span(np.concatenate([b.treated, b.control], axis=1).reshape(len(b.treated), -1))[:, None] for b in batches
    ]
    treated = [change(b.treated) / s for b, s in zip(batches, scales, strict=True)]
    control = [change(b.control) / s for b, s in zip(batches, scales, strict=True)]
    truth = np.mean([b.truth / s[:, 0] for b, s in zip(batches, scales, strict=True)], axis=0)
    return treated, control, truth


def _enough(n_t: int, n_c: int) -> bool:
    return min(n_t, n_c) >= FEWEST and not est.welch_fails(n_t, n_c)


def _runs(n_t: int, n_c: int) -> bool:
    return n_t >= FEWEST


METHODS = (
    Method("fork pairs, paired t", "fork", fork_t, _runs),
    Method("fork pairs, sign-flip", "fork", fork_signs, lambda n_t, n_c: n_t >= FEWEST_SIGNS),
    Method("fork pairs taken as unpaired, Welch", "fork", fork_as_did),
    Method("DiD, Welch", "did", did_welch, _enough),
    Method("DiD, label permutation", "did", did_labels, lambda n_t, n_c: min(n_t, n_c) >= FEWEST_LABELS),
    Method("ANCOVA", "did", ancova, lambda n_t, n_c: min(n_t, n_c) >= FEWEST),
    Method("row-level DiD, OLS", "did", did_rows),
    Method("DiD, percentile bootstrap", "did", did_percentile),
    Method("DiD, BCa bootstrap", "did", did_bca),
    Method("DiD, best of six windows", "did", best_window),
    Method("local jump, t", "jump", jump, _runs),
    Method("local jump, h = 10% at any n", "jump", jump_wide),
    Method("local jump, 3 rows a side", "jump", jump_sparse),
    Method("local jump, smoothed series", "jump", jump_smoothed),
    Method("pooled rows, Welch", "jump", pooled_rows),
    Method("before/after, paired t", "jump", paired_t),
    Method("before/after in 10% windows, paired t", "jump", paired_local),
    Method("before/after, percentile bootstrap", "jump", percentile_alone),
    Method("gap to a linear trend, t", "jump", trend_gap),
    Method("segmented regression, Newey-West", "jump", segmented),
    Method("randomised onset", "onset", onset, _runs),
)
ACROSS = (
    Method("across tasks, Welch-Satterthwaite", "tasks", across_t, _enough),
    Method("across tasks, labels within tasks", "tasks", across_labels, _enough),
)
