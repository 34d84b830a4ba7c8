"""The jump of one run at a step: a least-squares line through its rows on either side."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.effects.compare.estimators import Array

Counts = NDArray[np.int64]


def jump_weights(steps: ArrayLike, jump_steps: ArrayLike, half: float) -> tuple[Array, Counts]:
    """The weights that turn one run's rows into its jump at each of some steps.

    Parameters
    ----------
    steps : (rows,), in environment steps.
    jump_steps : (m,), the steps T of the jumps.
    half : h in environment steps: rows with abs(s - T) <= h are fitted; one exactly at T counts as before.

    Returns
    -------
    weights : (m, rows); `values @ weights.T` is b2 of y = b0 + b1 (s - T) + b2 D + b3 (s - T) D, D = 1[s > T]; NaN where
        a side has fewer than two rows.
    counts : (m, 2), the rows before and after within h.

    Notes
    -----
    With the interaction the fit falls into one line per side (Xiao 2021), so b2 is the difference of their values at T.
    """
    s, t = np.atleast_2d(np.asarray(steps, dtype=float)), np.atleast_1d(np.asarray(jump_steps, dtype=float))
    x = (s - t[:, None]) / half
    near = np.abs(x) <= 1
    sides = (near & (x <= 0), near & (x > 0))
    before, after = (_intercept_weights(x, side) for side in sides)
    return after - before, np.stack([side.sum(axis=1) for side in sides], axis=1)


def _intercept_weights(x: Array, used: NDArray[np.bool_]) -> Array:
    """The weights (m, rows) that give the value at x = 0 of the least-squares line through the used rows."""
    n = used.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (x * used).sum(axis=1, keepdims=True) / n
        off = (x - mean) * used
        spread = (off**2).sum(axis=1, keepdims=True)
        return np.where(n >= 2, used / n - mean * off / spread, np.nan)


def local_jumps(steps: ArrayLike, values: ArrayLike, jump_steps: ArrayLike, half: float) -> tuple[Array, Counts]:
    """One run's jump at each of many steps: the same as `jump_weights` gives, in time and memory of rows plus steps.

    Parameters
    ----------
    steps, values : (rows,), sorted by step; `jump_steps` and `half` as in `jump_weights`.

    Returns
    -------
    jumps and counts : (m,), NaN where a side has fewer than two rows, and (m, 2), the rows before and after within h.

    Notes
    -----
    The sums of a least-squares line over rows i to j are differences of running sums; steps are taken from the middle
    of the run in units of h, and values from their mean, so that little is lost in the difference.
    """
    s, y, t = (np.asarray(array, dtype=float) for array in (steps, values, jump_steps))
    if not len(s):
        return np.full(len(t), np.nan), np.zeros((len(t), 2), dtype=np.int64)
    middle = (s[0] + s[-1]) / 2
    x, x_at = (s - middle) / half, (t - middle) / half
    level = float(y.mean())
    first = np.searchsorted(s, t - half)
    split, end = (np.searchsorted(s, limit, "right") for limit in (t, t + half))
    places = np.stack([first, split, end])
    # One running sum at a time: a run may have millions of rows.
    running, sums = np.zeros(len(s) + 1, dtype=np.longdouble), np.empty((4, *places.shape), dtype=np.longdouble)
    for total, part in zip(sums, _parts(x, y - level), strict=True):
        np.cumsum(part, out=running[1:])
        total[:] = running[places]
    before = _line_at(sums[:, 1] - sums[:, 0], x_at, split - first)
    after = _line_at(sums[:, 2] - sums[:, 1], x_at, end - split)
    return (after - before).astype(float), np.stack([split - first, end - split], axis=1)


def _parts(x: Array, y: Array) -> Iterator[Array]:
    """What a least-squares line sums: x, xx, y, xy."""
    yield x
    yield x * x
    yield y
    yield x * y


def _line_at(sums: NDArray[np.longdouble], x_at: Array, count: Counts) -> Array:
    """The value at each `x_at` of the least-squares line through so many rows, from their sums of x, xx, y, xy."""
    n = count.astype(np.longdouble)
    x, xx, y, xy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (xy - x * y / n) / (xx - x * x / n)
        return np.where(n >= 2, y / n + slope * (x_at - x / n), np.nan)
