"""The methods that the app refuses, on batches of studies."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.batches import Array, Batch, Outcome, change, outcome, p_only, welch
from benchmarks.offered_methods import across_truth, did_welch, jump, jumps_of, scale
from benchmarks.simulated import ROWS, TOTAL, U
from lib.effects.compare import estimators as est
from lib.effects.compare.jumps import HALF_WIDTH

# --- no control arm --------------------------------------------------------------------------------------------------


def pooled_rows(batch: Batch) -> Outcome:
    """All rows before against all rows after, Welch (the notebook habit)."""
    early, late = batch.treated[..., U <= 0.5], batch.treated[..., U > 0.5]
    flat = len(batch.treated), -1
    return welch(late.reshape(flat), early.reshape(flat))


def paired_t(batch: Batch) -> Outcome:
    """Each run's mean before against its mean after, paired t."""
    return outcome(est.mean_t(change(batch.treated, low=0.0)))


def paired_local(batch: Batch) -> Outcome:
    """The same in windows of 10% a side."""
    return outcome(est.mean_t(change(batch.treated, high=0.6)))


def percentile_alone(batch: Batch) -> Outcome:
    """Percentile bootstrap over runs of before against after."""
    return _bootstrap([change(batch.treated)], bca=False)


def trend_gap(batch: Batch) -> Outcome:
    """Each run's gap to its extrapolated linear trend, t over runs."""
    early = U <= 0.5
    design = np.column_stack([np.ones(ROWS), U])
    line = batch.treated[..., early] @ np.linalg.pinv(design[early]).T @ design.T
    return outcome(est.mean_t((batch.treated - line)[..., ~early].mean(axis=-1)))


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
    return outcome(est.from_error(beta[:, 2], np.sqrt(variance), np.full(len(y), ROWS - 4.0)))


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


# --- with a control arm -------------------------------------------------------------------------------------


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
    return outcome(est.from_error(value, error, np.full(len(value), float(df))))


def copies(test: Callable[[Batch], Outcome], count: int) -> Callable[[Batch], Outcome]:
    """A test to which every run is given several times."""

    def with_copies(batch: Batch) -> Outcome:
        again = [np.repeat(rows, count, axis=1) for rows in (batch.treated, batch.control)]
        return test(Batch(*again, batch.truth))

    return with_copies


def did_percentile(batch: Batch) -> Outcome:
    """Percentile bootstrap of the difference in differences."""
    return _bootstrap([change(batch.treated), change(batch.control)], bca=False)


def did_bca(batch: Batch) -> Outcome:
    """BCa bootstrap of the difference in differences."""
    return _bootstrap([change(batch.treated), change(batch.control)], bca=True)


def best_window(batch: Batch) -> Outcome:
    """The smallest p of six windows."""
    windows = [{}, {"high": 0.6}, {"high": 0.75}, {"settle": 0.1}, {"settle": 0.25}, {"low": 0.25}]
    tries = [welch(change(batch.treated, **w), change(batch.control, **w)) for w in windows]
    pick = np.argmin([t.p for t in tries], axis=0)
    return p_only(*(np.choose(pick, [getattr(t, f) for t in tries]) for f in ("value", "p")))


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


def across_wide_jumps(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The mean jump over tasks, each by the h for its own runs."""
    jumps = [jumps_of(b.treated) / scale(b) for b in batches]
    return outcome(est.across(jumps, [j[..., :0] for j in jumps])), across_truth(batches)
