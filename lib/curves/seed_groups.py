"""The seeds of each arm together, bin by bin: statistics that serve every aggregate and band, whatever the number of runs."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
import polars as pl

from lib.curves.bins import BIN, run_bins
from lib.curves.view_settings import View
from lib.runs import History, Treatment
from lib.study import Metric, Task

#: Bins of runs that are brought together at a time, and bytes of them that wait in memory rather than in a file.
_TOGETHER, _IN_MEMORY = 100_000, 8 << 20
_NO_BINS = pl.DataFrame(
    schema={"arm": pl.String, "bin": pl.Int32, "value": pl.Float64, "x_sum": pl.Float64, "x_weight": pl.UInt32}
)


def seed_groups(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """What the seeds of each arm say in each bin: it serves every aggregate, band and choice of arms.

    Returns
    -------
    Frame by arm, metric and bin: arm, metric, step (the mean step of the bin's points on the view's x axis), n (seeds),
    and of the seeds' values (of their logs for log metrics) mean, median, iqm, sd (ddof 1), low and high.
    """
    arms = {t.run_id: t.arm for t in treatments}
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        spool = _Spool(file)
        for run_id, arrays in run_bins(history, task, metrics, treatments, view):
            for metric, array in zip(metrics, arrays, strict=True):
                spool.add(metric.key, arms[run_id], array)
        groups = [
            _statistics(part).with_columns(pl.lit(metric.key).alias("metric"))
            for metric in metrics
            for part in (*spool.parts(metric.key), _NO_BINS)
        ]
    # The order of bins is that of steps: over wall time a curve steps back where only faster runs go on.
    return pl.concat(groups).sort("arm", "metric", "bin").select("arm", "metric", pl.exclude("arm", "metric", "bin"))


class _Spool:
    """The bins of runs, written one run after the other and read a range of bins at a time.

    A bin needs the values of all runs, and the bins of thousands of runs are more than memory should hold.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, list[tuple[str, int, int]]] = {}
        self._ranges: dict[str, list[int]] = {}

    def add(self, metric: str, arm: str, array: np.ndarray) -> None:
        """Write the bins of a run of an arm."""
        if len(array):
            self._places.setdefault(metric, []).append((arm, self._file.tell(), array.nbytes))
            self._ranges.setdefault(metric, []).extend((int(array["bin"][0]), int(array["bin"][-1])))
            self._file.write(array.tobytes())

    def parts(self, metric: str) -> Iterator[pl.DataFrame]:
        """The bins of a metric, with the arm of their run: all runs of some bins, then all runs of others."""
        places = self._places.get(metric, [])
        if not places:
            return
        count = -(-sum(size for *_, size in places) // (_TOGETHER * BIN.itemsize))
        edges = np.linspace(min(self._ranges[metric]), max(self._ranges[metric]) + 1, count + 1).round()
        for start, end in pairwise(edges):
            yield _with_arms([(arm, _between(self._read(at, size), start, end)) for arm, at, size in places])

    def _read(self, at: int, size: int) -> np.ndarray:
        self._file.seek(at)
        return np.frombuffer(self._file.read(size), dtype=BIN)


def _between(bins: np.ndarray, start: float, end: float) -> np.ndarray:
    low, high = np.searchsorted(bins["bin"], (start, end))
    return bins[low:high]


def _with_arms(arrays: Sequence[tuple[str, np.ndarray]]) -> pl.DataFrame:
    bins = np.concatenate([array for _, array in arrays])
    names = sorted({arm for arm, _ in arrays})
    codes = np.repeat([names.index(arm) for arm, _ in arrays], [len(array) for _, array in arrays])
    arm = pl.Series("arm", codes.astype(np.uint32)).replace_strict(
        range(len(names)), names, return_dtype=pl.Enum(names)
    )
    return pl.DataFrame([arm, *(pl.Series(name, np.ascontiguousarray(bins[name])) for name in BIN.names or ())])


def _statistics(bins: pl.DataFrame) -> pl.DataFrame:
    """The statistics of some bins by arm and bin."""
    values = pl.col("values")
    cut = values.list.len() // 4
    return (
        bins.lazy()
        .group_by("arm", "bin")
        # As sorted lists: sums of floats depend on their order, and the same runs must give the same digits.
        .agg(values=pl.col("value").sort(), xs=pl.col("x_sum").sort(), weight=pl.col("x_weight").sum())
        .select(
            pl.col("arm").cast(pl.String),
            "bin",
            step=pl.col("xs").list.sum() / pl.col("weight"),
            n=values.list.len(),
            mean=values.list.mean(),
            median=values.list.median(),
            # The mean of the middle half (Agarwal et al. 2021).
            iqm=values.list.slice(cut, values.list.len() - 2 * cut).list.mean(),
            sd=values.list.std(ddof=1),
            low=values.list.first(),
            high=values.list.last(),
        )
        .collect()
    )
