"""Which runs are copies of others: told from a few rows of each and, where those do not tell, from all rows of two."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lib.runs.disk_cache import NUMBERS
from lib.runs.parallel import GROUP_SIZE, each
from lib.runs.reader import History
from lib.runs.spool import open_spool

#: So many rows of so many distinct values are the same in two runs only where those were one run.
ROWS, VALUES = 5, 3
#: Rows of a metric by which runs are told apart: those whose steps come first in a shuffled order of all steps. It is the same
#: for every run, so that runs that logged at the same steps have the same ones in their samples.
_SAMPLE = 256
_POINT = np.dtype([("step", "<i8"), ("value", "<f8")])
#: A row of a sample: the bits of its value, and the place of its run.
_ROW = np.dtype([("step", "<i8"), ("value", "<i8"), ("run", "<u4")])
#: Rows of samples that are compared at a time.
_TOGETHER = 50_000
#: Runs at one step that are compared for all steps at once; more are compared step by step.
_FEW = 64
#: Series in memory while runs are compared two at a time.
_CACHED_SERIES = 32


def is_telling(values: NDArray[np.float64]) -> bool:
    """Whether rows that two runs have in common say that they are one run: at least 5 of at least 3 distinct values."""
    finite = values[np.isfinite(values)]
    return len(finite) >= ROWS and len(np.unique(finite)) >= VALUES


def row_counts(history: History, run_ids: Sequence[str], key: str) -> list[int]:
    """How many rows of a metric each run has."""
    return [int(points["step"][0]) for points in _samples(history, run_ids, key)]


def copies(history: History, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """By run, those of the runs before it of which it is a copy.

    Two runs are copies where all their metrics are equal at every step that both logged, in enough rows to say so.

    Parameters
    ----------
    keys : the metrics; those that most often tell runs apart first.
    """
    originals: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    series = lru_cache(_CACHED_SERIES)(history.series)
    for later, earlier in _not_apart(history, run_ids, keys):
        if _is_copy(run_ids[later], run_ids[earlier], keys, series):
            originals[run_ids[later]].append(run_ids[earlier])
    return originals


def _is_copy(run: str, other: str, keys: Sequence[str], series: Callable[[str, str], tuple[NDArray[Any], ...]]) -> bool:
    """Whether two runs are equal at every step that both logged, in enough rows to say so."""
    enough = False
    for key in keys:
        (steps, values), (other_steps, other_values) = series(run, key), series(other, key)
        if not np.array_equal(steps, other_steps):
            _, own_index, other_index = np.intersect1d(steps, other_steps, return_indices=True)
            values, other_values = values[own_index], other_values[other_index]
        if not np.array_equal(values, other_values, equal_nan=True):
            return False
        enough = enough or is_telling(values)
    return enough


def _not_apart(history: History, run_ids: Sequence[str], keys: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of runs that may be copies, by place: the later run, then the earlier."""
    apart = np.tri(len(run_ids), k=-1, dtype=bool)  # by later run and earlier one
    np.logical_not(apart, out=apart)
    telling = np.zeros((len(run_ids), len(keys)), dtype=bool)
    for key, of_key in zip(keys, telling.T, strict=True):
        if apart.all():
            return []
        _set_apart(apart, _samples(history, run_ids, key), of_key)
    # One run after the other: all pairs at once would take `apart` several times over.
    return [
        (later, earlier)
        for later, tells in enumerate(telling)
        for earlier in np.flatnonzero(~apart[later, :later] & (telling[:later] & tells).any(axis=1)).tolist()
    ]


def _set_apart(apart: NDArray[np.bool_], samples: Iterable[NDArray[Any]], telling: NDArray[np.bool_]) -> None:
    """Mark the pairs of runs that have different values at a step of both samples, and the runs whose rows would be telling."""
    parts = -(-len(apart) * _SAMPLE // _TOGETHER)
    with open_spool(_ROW, lambda rows: rows["step"] % parts) as spool:
        for place, sample in enumerate(samples):
            telling[place] = sample["value"][0] > 0
            rows = np.empty(len(sample) - 1, dtype=_ROW)
            rows["step"], rows["value"], rows["run"] = sample["step"][1:], sample["value"][1:].view(np.int64), place
            spool.add("", rows)
        open_runs = np.ones(len(apart), dtype=bool)
        for rows in spool.parts(""):
            open_runs &= ~(apart.all(axis=0) & apart.all(axis=1))
            if not open_runs.any():
                return
            _set_apart_by(rows[np.argsort(rows["step"], kind="stable")], apart, open_runs)


def _set_apart_by(rows: NDArray[Any], apart: NDArray[np.bool_], open_runs: NDArray[np.bool_]) -> None:
    """The same by rows at some steps; `open_runs` are those that are not told apart from all others yet."""
    step, value, run = (np.ascontiguousarray(rows[name]) for name in ("step", "value", "run"))
    sizes = np.diff(np.flatnonzero(np.diff(step, prepend=step[:1] - 1)), append=len(step))
    compared = 0
    for end, size in zip(np.cumsum(sizes)[sizes > _FEW], sizes[sizes > _FEW], strict=True):
        at_step = slice(end - size, end)
        is_open = open_runs[run[at_step]]
        runs, values = run[at_step][is_open], value[at_step][is_open]
        apart[np.ix_(runs, runs)] |= values[:, None] != values
        compared += len(runs) ** 2
        if compared >= len(apart) ** 2:
            open_runs, compared = open_runs & ~(apart.all(axis=0) & apart.all(axis=1)), 0
            if not open_runs.any():
                return
    few = np.repeat(sizes <= _FEW, sizes)
    step, value, run = step[few], value[few], run[few].astype(np.int64)
    for distance in range(1, int(sizes[sizes <= _FEW].max(initial=0))):
        differ = np.flatnonzero((step[:-distance] == step[distance:]) & (value[:-distance] != value[distance:]))
        # At a step runs lie in their order: the later one has the larger place.
        apart.ravel()[run[differ + distance] * len(apart) + run[differ]] = True


def _samples(history: History, run_ids: Sequence[str], key: str) -> Iterator[NDArray[Any]]:
    """The sample of each run, in their order."""
    return each(partial(_sample, key), ((run_id, history.of_run(run_id)) for run_id in run_ids), GROUP_SIZE)


def _sample(key: str, run: tuple[str, History]) -> NDArray[Any]:
    """A few rows of a run's metric; before them how many there are, and whether all of them would be telling."""
    run_id, history = run

    def compute() -> NDArray[Any]:
        steps, values = history.series(run_id, key)
        # In an order of the metric's own: what few runs have in common lies in the samples of some metrics.
        order = np.argsort(_shuffled(steps, crc32(key.encode())), kind="stable")[:_SAMPLE]
        sample = np.empty(len(order) + 1, dtype=_POINT)
        sample[0] = len(steps), is_telling(values)
        sample["step"][1:] = steps[order]
        # One NaN, and no -0.0: equal values are equal bits.
        sample["value"][1:] = np.where(np.isnan(values[order]), np.nan, values[order]) + 0.0
        return sample

    return history.cached_on_disk(run_id, NUMBERS, _POINT, {f"sample\0{key}": compute})[0]


def _shuffled(steps: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Steps mixed up, each always to the same number (splitmix64)."""
    mixed = (steps.astype(np.uint64) + np.uint64(seed << 32)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
