"""Quantiles of values that come in parts, of which one is in memory at a time."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]

#: Values of a part that stand for all of it while the quantiles are searched for.
_SAMPLES = 128


def quantiles(parts: Callable[..., Iterable[_Array]], fractions: Sequence[float]) -> list[float]:
    """The quantiles of all values together, to the last digit as `numpy.quantile` gives them.

    Parameters
    ----------
    parts : gives what a function, called with the values of a part and the arguments that follow, gives of each part. It is
        called once to find between which values the quantiles lie, once to take those.
    fractions : of the values that lie below a quantile.
    """
    count, samples, weights = 0, list[_Array](), list[NDArray[np.int64]]()
    slack = 0  # by so many values a sum of weights may exceed the values that it stands for
    for array in parts(_sample):
        every = -(-int(array[0]) // _SAMPLES) or 1
        count += int(array[0])
        samples.append(array[1:])
        weights.append(np.full(len(array) - 1, every))
        slack += every - 1
    sample = np.concatenate(samples)
    order = np.argsort(sample, kind="stable")
    sample, below = sample[order], np.cumsum(np.concatenate(weights)[order])
    places = [(count - 1) * fraction for fraction in fractions]
    bounds = [_bounds(sample, below, slack, int(place)) for place in places]
    before, inside = np.zeros(len(places), dtype=int), [list[_Array]() for _ in places]
    for array in parts(_between, *bounds):
        counts, sizes, values = np.split(array, [len(places), 2 * len(places)])
        before += counts.astype(int)
        for near, part in zip(inside, np.split(values, np.cumsum(sizes.astype(int))[:-1]), strict=True):
            near.append(part)
    return [_at(place, np.concatenate(near), n) for place, near, n in zip(places, inside, before.tolist(), strict=True)]


def _sample(values: _Array) -> _Array:
    """How many values a part has, and those of them that stand for all."""
    every = -(-len(values) // _SAMPLES) or 1
    return np.append(len(values), np.sort(values)[::every])


def _between(values: _Array, *bounds: tuple[float, float]) -> _Array:
    """How many values of a part lie up to each lower bound, how many from there up to the upper one, and the latter."""
    inside = [values[(values > low) & (values <= high)] for low, high in bounds]
    below = [(values <= low).sum() for low, _ in bounds]
    return np.concatenate([below, [*map(len, inside)], *inside])


def _bounds(sample: _Array, below: NDArray[np.int64], slack: int, rank: int) -> tuple[float, float]:
    """Two values between which, the upper one included, those of a rank (from 0) and the next one lie.

    At a sample, `below` is the most values up to it that there may be, and at least all but `slack` of them are there.
    """
    # Equal samples count together: what lies up to a value is what the last of them says.
    last = np.append(sample[1:] != sample[:-1], True)
    sample, below = sample[last], below[last]
    low, high = np.searchsorted(below, rank, "right") - 1, np.searchsorted(below, rank + 2 + slack)
    return float(sample[low]) if low >= 0 else -np.inf, float(sample[high]) if high < len(sample) else np.inf


def _at(place: float, near: _Array, before: int) -> float:
    """The value at a place between two ranks, by NumPy's arithmetic."""
    near, rank = np.sort(near), int(place) - before
    low, high, share = near[rank], near[min(rank + 1, len(near) - 1)], place - int(place)
    return float(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
