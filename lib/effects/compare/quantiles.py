"""Quantiles of values that come in parts, of which one is in memory at a time."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]

#: Values of a part that stand for all of it while the quantiles are searched for.
_SAMPLES = 128
#: So many of them are in memory.
_TOGETHER = 1 << 16
#: Bytes of values near a quantile that wait in memory rather than in a file.
_IN_MEMORY = 1 << 20


def quantiles(parts: Callable[..., Iterable[_Array]], fractions: Sequence[float]) -> list[float]:
    """The quantiles of all values together, to the last digit as `numpy.quantile` gives them.

    Parameters
    ----------
    parts : gives what a function, called with the values of a part and the arguments that follow, gives of each part. It is
        called once to find between which values the quantiles lie, once to take those.
    fractions : of the values that lie below a quantile.
    """
    sketch = _Sketch()
    for array in parts(_sample):
        sketch.add(int(array[0]), array[1:])
    places = [(sketch.count - 1) * fraction for fraction in fractions]
    bounds = [sketch.bounds(int(place)) for place in places]
    before = np.zeros(len(places), dtype=int)
    with ExitStack() as stack:
        # What lies between the bounds is little of a run, but of thousands of runs more than memory should hold.
        files = [stack.enter_context(SpooledTemporaryFile(_IN_MEMORY)) for _ in places]
        for array in parts(_between, *bounds):
            counts, sizes, values = np.split(array, [len(places), 2 * len(places)])
            before += counts.astype(int)
            for file, inside in zip(files, np.split(values, np.cumsum(sizes.astype(int))[:-1]), strict=True):
                file.write(inside.tobytes())
        return [_at(place, file, n) for place, file, n in zip(places, files, before.tolist(), strict=True)]


class _Sketch:
    """Values that stand for all others, and how many of them each stands for."""

    def __init__(self) -> None:
        #: How many values there are, and by how many a sum of weights may exceed the values that it stands for.
        self.count, self._slack = 0, 0
        self._samples, self._weights, self._size = [np.empty(0)], [np.empty(0, dtype=int)], 0

    def add(self, count: int, samples: _Array) -> None:
        """Count a part by its samples, as `_sample` gives them."""
        every = -(-count // _SAMPLES) or 1
        self.count += count
        self._slack += every - 1
        self._samples.append(samples)
        self._weights.append(np.full(len(samples), every))
        self._size += len(samples)
        if self._size > _TOGETHER:
            self._thin()

    def _thin(self) -> None:
        """Let every second value stand for the one after it too."""
        samples, weights = self._sorted()
        pairs = np.append(weights, np.zeros(len(weights) % 2, dtype=int)).reshape(-1, 2)
        self._slack += int(pairs[:, 1].max())
        self._samples, self._weights, self._size = [samples[::2].copy()], [pairs.sum(axis=1)], len(pairs)

    def _sorted(self) -> tuple[_Array, NDArray[np.int64]]:
        samples = np.concatenate(self._samples)
        order = np.argsort(samples, kind="stable")
        return samples[order], np.concatenate(self._weights)[order]

    def bounds(self, rank: int) -> tuple[float, float]:
        """Two values between which, the upper one included, the values of a rank (from 0) and the next one lie."""
        samples, weights = self._sorted()
        # At a sample, the most values up to it that there may be; at least all but the slack of them are there.
        below = np.cumsum(weights)
        # Equal samples count together: what lies up to a value is what the last of them says.
        last = np.append(samples[1:] != samples[:-1], True)
        samples, below = samples[last], below[last]
        low, high = np.searchsorted(below, rank, "right") - 1, np.searchsorted(below, rank + 2 + self._slack)
        return float(samples[low]) if low >= 0 else -np.inf, float(samples[high]) if high < len(samples) else np.inf


def _sample(values: _Array) -> _Array:
    """How many values a part has, and those of them that stand for all."""
    every = -(-len(values) // _SAMPLES) or 1
    return np.append(len(values), np.sort(values)[::every])


def _between(values: _Array, *bounds: tuple[float, float]) -> _Array:
    """How many values of a part lie up to each lower bound, how many from there up to the upper one, and the latter."""
    inside = [values[(values > low) & (values <= high)] for low, high in bounds]
    below = [(values <= low).sum() for low, _ in bounds]
    return np.concatenate([below, [*map(len, inside)], *inside])


def _at(place: float, file: IO[bytes], before: int) -> float:
    """The value at a place between two ranks, by NumPy's arithmetic, from the values in a file and how many are below them."""
    file.seek(0)
    near, rank = np.sort(np.frombuffer(file.read())), int(place) - before
    low, high, share = near[rank], near[min(rank + 1, len(near) - 1)], place - int(place)
    return float(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
