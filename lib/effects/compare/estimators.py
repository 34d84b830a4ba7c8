"""Estimators on arrays: the last axis holds the runs, every axis before it is a batch.

They refuse nothing: which sample sizes allow which test is in `lib.effects.compare.comparison`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
ALPHA = 0.05
DRAWS = 9_999
ENUMERATE = 20_000  # relabellings are listed up to this many, drawn beyond
_CHUNK = 4_000_000  # numbers of a permutation distribution in memory at once
_TIE = 1e-9  # relabellings this close (of the largest value) to the observed one are as far from 0


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95% interval and the two-sided p of the interval's own test, arrays over the batch."""

    value: Array
    low: Array
    high: Array
    p: Array
    df: Array


def mean_t(values: ArrayLike) -> Estimate:
    """The mean over runs, by a t test against 0 with n - 1 degrees of freedom.

    Parameters
    ----------
    values : (..., n), n >= 2: one number per run (a jump) or per pair (a difference between the arms).
    """
    x = np.asarray(values, dtype=float)
    n = x.shape[-1]
    return from_error(x.mean(axis=-1), x.std(axis=-1, ddof=1) / math.sqrt(n), np.full(x.shape[:-1], n - 1.0))


def welch_fails(n_t: int, n_c: int) -> bool:
    """Whether groups of two sizes differ so much that Welch's test finds what is not there, above all far in its tail.

    It passes where, of normal values with spreads of up to 1:4 either way, p < .0025 in at most twice as many null studies
    as it says, and p < .0001 in at most seven times as many: 10 against 6 does, 4 against 3 and 12 against 4 do not.
    """
    small, large = sorted((n_t, n_c))
    return small < large and 2 * large > small * (small - 2)


def difference(treated: ArrayLike, control: ArrayLike) -> Estimate:
    """Mean of the treated minus mean of the control, by Welch's test.

    Parameters
    ----------
    treated, control : (..., n_t) and (..., n_c), both n >= 2: one number per run. With d = after - before this is the
        difference in differences of Bertrand, Duflo and Mullainathan (2004).

    Notes
    -----
    Degrees of freedom are Welch and Satterthwaite's, or the smaller n - 1 where `welch_fails`: with these no spread finds
    too much (Hsu's bound).
    """
    return across([treated], [control])


def from_error(value: Array, error: Array, df: Array) -> Estimate:
    """An estimate with a standard error, by t with these degrees of freedom."""
    # Student's t from scipy.special: all of scipy.stats takes longer to import than the first page may.
    from scipy.special import stdtr, stdtrit

    with np.errstate(divide="ignore", invalid="ignore"):
        reach = stdtrit(df, 0.5 + CONFIDENCE / 2) * error
        p = 2 * stdtr(df, -np.abs(value) / error)
    return Estimate(value, value - reach, value + reach, p, df)


def above_p(value: ArrayLike, reach: ArrayLike, df: ArrayLike, bound: ArrayLike) -> Array:
    """The one-sided p of a t test that the effect lies above a bound: small where it does.

    Parameters
    ----------
    value, reach, df : an estimate, half the width of its 95% interval, which its standard error follows from, and its
        degrees of freedom.

    Notes
    -----
    Two of them are the two one-sided tests of equivalence (Schuirmann, 1987).
    """
    from scipy.special import stdtr, stdtrit

    error = np.asarray(reach) / stdtrit(df, 0.5 + CONFIDENCE / 2)
    return np.asarray(stdtr(df, (np.asarray(bound) - np.asarray(value)) / error))


def positive_p(treated: ArrayLike, control: ArrayLike) -> Array:
    """The one-sided p that the mean of the treated lies above that of the control (empty: above 0), by `across`'s t test.

    Where the numbers have no spread there is no test: NaN.
    """
    estimate = across([treated], [control])
    return np.where(estimate.value > 0, estimate.p / 2, 1 - estimate.p / 2)


def anytime_factor(n: ArrayLike) -> Array:
    """How many standard errors a 95% interval reaches that holds at every look, n runs growing; infinite below 5.

    Parameters
    ----------
    n : runs, or pairs; of two arms the smaller one.

    Notes
    -----
    The mixture of Student's t over a normal prior of effects in units of the spread, with the weight of one run: its
    likelihood ratio (Lindon, Ham, Tingley and Bojinov, 2022) stays below 1 / 0.05 with probability 0.95 over all looks,
    by Ville's inequality. It is bounded in t, so that few runs give no interval.
    """
    n = np.asarray(n, dtype=float)
    df, weight = n - 1, 1 / (1 + n)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = (1 / (ALPHA * np.sqrt(weight))) ** (2 / (df + 1))
        squared = df * (level - 1) / (1 - level * weight)
        return np.where((n >= 2) & (squared > 0), np.sqrt(np.maximum(squared, 0)), np.inf)


def ancova(before_t: ArrayLike, after_t: ArrayLike, before_c: ArrayLike, after_c: ArrayLike) -> Estimate:
    """The arm's coefficient tau in after = a + tau arm + b before, with n_t + n_c - 3 degrees of freedom.

    Parameters
    ----------
    before_t, after_t : (..., n_t), the treated runs.
    before_c, after_c : (..., n_c), the controls.

    Notes
    -----
    McKenzie (2012). The slope b is the one within arms (Frisch-Waugh), so tau is the difference of the afters minus
    b times the difference of the befores.
    """
    x = [np.asarray(v, dtype=float) for v in (before_t, before_c)]
    y = [np.asarray(v, dtype=float) for v in (after_t, after_c)]
    dx = [v - v.mean(axis=-1, keepdims=True) for v in x]
    dy = [v - v.mean(axis=-1, keepdims=True) for v in y]
    sxx = sum((u * u).sum(axis=-1) for u in dx)
    slope = sum((u * v).sum(axis=-1) for u, v in zip(dx, dy, strict=True)) / sxx
    gap = x[0].mean(axis=-1) - x[1].mean(axis=-1)
    tau = y[0].mean(axis=-1) - y[1].mean(axis=-1) - slope * gap
    n = [v.shape[-1] for v in x]
    df = n[0] + n[1] - 3
    rest = sum(((v - slope[..., None] * u) ** 2).sum(axis=-1) for u, v in zip(dx, dy, strict=True))
    error = np.sqrt(rest / df * (1 / n[0] + 1 / n[1] + gap**2 / sxx))
    return from_error(tau, error, np.full(np.shape(tau), float(df)))


def across(treated: Sequence[ArrayLike], control: Sequence[ArrayLike]) -> Estimate:
    """The mean over K tasks of each one's difference between its arms, Welch-Satterthwaite over all groups of runs.

    Parameters
    ----------
    treated, control : K arrays (..., n_k): one number per run, already divided by its task's scale. An empty control
        (n_k = 0) says that the task's numbers are single ones: differences of pairs, or jumps.

    Notes
    -----
    Where `welch_fails` between the arms of a task, the task is one group of the smaller size; where it fails between the
    smallest and the largest group of all, every group has the degrees of freedom of the smallest.
    """
    tasks = [(np.asarray(t, dtype=float), np.asarray(c, dtype=float)) for t, c in zip(treated, control, strict=True)]
    value = np.sum([t.mean(axis=-1) - (c.mean(axis=-1) if c.shape[-1] else 0.0) for t, c in tasks], axis=0) / len(tasks)
    groups = [group for t, c in tasks for group in _groups(t, c)]
    variance = np.sum([v for v, _ in groups], axis=0)
    smallest, largest = min(n for _, n in groups), max(n for _, n in groups)
    most = smallest if welch_fails(smallest, largest) else largest
    with np.errstate(invalid="ignore"):
        # Shares, for the square of a variance may be infinite, or nothing.
        df = 1 / np.sum([(v / variance) ** 2 / (min(n, most) - 1) for v, n in groups], axis=0)
    return from_error(value, np.sqrt(variance) / len(tasks), df)


def _groups(treated: Array, control: Array) -> list[tuple[Array, int]]:
    """The variance of the mean of each group of a task's runs, with the size that counts for its degrees of freedom."""
    arms = [(g.var(axis=-1, ddof=1) / g.shape[-1], g.shape[-1]) for g in (treated, control) if g.shape[-1]]
    if len(arms) == 2 and welch_fails(arms[0][1], arms[1][1]):
        return [(arms[0][0] + arms[1][0], min(arms[0][1], arms[1][1]))]
    return arms


def span(values: ArrayLike) -> Array:
    """The distance of the 5 and 95% quantiles of the last axis: a task's scale, whatever arm a row is from."""
    low, high = np.quantile(np.asarray(values, dtype=float), (0.05, 0.95), axis=-1)
    return np.asarray(high - low)


def label_floor(sizes: Sequence[tuple[int, int]]) -> float:
    """The smallest two-sided p that relabelling can give, for (n_t, n_c) of every task (or of the only one).

    Without controls (n_c = 0) the n_t are pairs, whose signs are flipped.
    """
    count = math.prod(_relabellings(a, b) for a, b in sizes)
    return (2 if all(b in (a, 0) for a, b in sizes) else 1) / count


def _relabellings(n_t: int, n_c: int) -> int:
    return math.comb(n_t + n_c, n_t) if n_c else 2**n_t


def label_p(treated: Sequence[ArrayLike], control: Sequence[ArrayLike], seed: int = 0) -> Array:
    """Share of the relabellings whose mean difference is at least as far from 0: runs keep to their own task.

    Parameters
    ----------
    treated, control : K arrays (..., n_k), one per task; one number per run, scaled where K > 1. An empty control (n_k = 0)
        says that the task's numbers are differences of pairs: exchanging the labels of a pair flips its sign.
    seed : of the draws, where there are more than `ENUMERATE` relabellings; then p = (b + 1) / (m + 1), which is
        never 0 (Phipson and Smyth, 2010).
    """
    pairs = [(np.asarray(t, dtype=float), np.asarray(c, dtype=float)) for t, c in zip(treated, control, strict=True)]
    sizes = [(t.shape[-1], c.shape[-1]) for t, c in pairs]
    values = [np.concatenate(pair, axis=-1).reshape(-1, sum(size)) for pair, size in zip(pairs, sizes, strict=True)]
    observed = np.sum([t.mean(axis=-1) - (c.mean(axis=-1) if c.shape[-1] else 0.0) for t, c in pairs], axis=0)
    largest = np.max([np.abs(of_task).max(axis=1, keepdims=True) for of_task in values], axis=0)
    far = np.abs(observed).reshape(-1, 1) - _TIE * largest
    is_sample = math.prod(_relabellings(a, b) for a, b in sizes) > ENUMERATE
    listed = np.empty((DRAWS, 0)) if is_sample else _listed_labels(sizes)
    count, rows = np.empty(len(far)), max(1, _CHUNK // len(listed))
    for i in range(0, len(far), rows):
        some = [of_task[i : i + rows] for of_task in values]
        again = _drawn_statistics(some, sizes, seed) if is_sample else np.concatenate(some, axis=1) @ listed.T
        count[i : i + rows] = (np.abs(again) >= far[i : i + rows]).sum(axis=1)
    share = (count + 1) / (DRAWS + 1) if is_sample else count / len(listed)
    return share.reshape(np.shape(observed))


def sign_p(values: ArrayLike) -> Array:
    """Share of the sign patterns whose mean is at least as far from 0, for differences (..., n) of pairs."""
    x = np.asarray(values, dtype=float)
    return label_p([x], [x[..., :0]])


def _listed_labels(sizes: list[tuple[int, int]]) -> Array:
    """Every relabelling within tasks, as the weights (m, runs) that turn the runs' numbers into the statistic."""
    tables = [_listed(a, b) if b else np.array(list(product((1 / a, -1 / a), repeat=a))) for a, b in sizes]
    picks = np.indices([len(t) for t in tables]).reshape(len(tables), -1)
    return np.concatenate([table[pick] for table, pick in zip(tables, picks, strict=True)], axis=1)


def _listed(n_t: int, n_c: int) -> Array:
    picks = np.array(list(combinations(range(n_t + n_c), n_t)))
    table = np.full((len(picks), n_t + n_c), -1 / n_c)
    np.put_along_axis(table, picks, 1 / n_t, axis=1)
    return table


def _drawn_statistics(values: Sequence[Array], sizes: Sequence[tuple[int, int]], seed: int) -> Array:
    """The statistic (..., draws) of drawn relabellings; a few of them are in memory at a time, for they are many."""
    rng, statistics = np.random.default_rng(seed), np.zeros((len(values[0]), DRAWS))
    for of_task, (n_t, n_c) in zip(values, sizes, strict=True):
        first, rows = np.arange(n_t + n_c) < n_t, max(1, _CHUNK // 8 // (n_t + n_c))
        for i in range(0, DRAWS, rows):
            count = min(rows, DRAWS - i)
            # Whether a run is of the arm; for pairs (n_c = 0), whether the sign stays.
            drawn = rng.permuted(np.tile(first, (count, 1)), axis=1) if n_c else rng.choice((True, False), (count, n_t))
            statistics[:, i : i + count] += of_task @ np.where(drawn, 1 / n_t, -1 / (n_c or n_t)).T
    return statistics


def onset_p(observed: float, redrawn: ArrayLike) -> float:
    """Share of redrawn designs whose mean jump is at least as far from 0: (b + 1) / (m + 1).

    Parameters
    ----------
    observed : the mean jump over runs at their own steps.
    redrawn : (m,), the same at steps redrawn from the design. Bulte and Onghena (2008).
    """
    again = np.asarray(redrawn, dtype=float)
    return float((np.sum(np.abs(again) >= abs(observed) * (1 - _TIE)) + 1) / (len(again) + 1))
