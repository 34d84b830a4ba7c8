"""The seeds of each arm together, bin by bin: statistics that serve every aggregate and band, whatever the number of runs."""

from collections.abc import Iterator, Sequence
from itertools import chain
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
#: A bin of a run with the place of its arm.
_ROW = np.dtype([("arm", "<u4"), *BIN.descr])


def seed_groups(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """What the seeds of each arm say in each bin: it serves every aggregate, band and choice of arms.

    Returns
    -------
    Frame by arm, metric and bin: arm, metric, step (the mean step of the bin's points on the view's x axis), n (seeds),
    and of the seeds' values (of their logs for log metrics) mean, median, iqm, sd (ddof 1), low and high.
    """
    names = sorted({t.arm for t in treatments})
    arms = {t.run_id: names.index(t.arm) for t in treatments}
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        spool = _Spool(file, max(1, _TOGETHER // max(1, len(arms))))
        for run_id, arrays in run_bins(history, task, metrics, treatments, view):
            for metric, array in zip(metrics, arrays, strict=True):
                spool.add(metric.key, arms[run_id], array)
        groups = [
            _statistics(part, names).with_columns(pl.lit(metric.key).alias("metric"))
            for metric in metrics
            for part in chain([np.empty(0, dtype=_ROW)], spool.parts(metric.key))
        ]
    # The order of bins is that of steps: over wall time a curve steps back where only faster runs go on.
    return pl.concat(groups).sort("arm", "metric", "bin").select("arm", "metric", pl.exclude("arm", "metric", "bin"))


class _Spool:
    """The bins of runs, written one run after the other and read a range of bins at a time.

    A bin needs the values of all runs, and the bins of thousands of runs are more than memory should hold.

    Parameters
    ----------
    width : bins of a range.
    """

    def __init__(self, file: IO[bytes], width: int) -> None:
        self._file, self._width = file, width
        self._waiting: dict[str, list[np.ndarray]] = {}
        self._bytes = 0
        #: By metric and range, where its bins lie in the file, and their bytes.
        self._places: dict[str, dict[int, list[tuple[int, int]]]] = {}

    def add(self, metric: str, arm: int, array: np.ndarray) -> None:
        """Take the bins of a run of an arm."""
        rows = np.empty(len(array), dtype=_ROW)
        rows["arm"] = arm
        for name in BIN.names or ():
            rows[name] = array[name]
        self._waiting.setdefault(metric, []).append(rows)
        self._bytes += rows.nbytes
        if self._bytes > _IN_MEMORY:
            self._write()

    def parts(self, metric: str) -> Iterator[np.ndarray]:
        """The bins of a metric: all runs of some bins, then all runs of others."""
        self._write()
        for _, places in sorted(self._places.get(metric, {}).items()):
            yield np.concatenate([self._read(at, size) for at, size in places])

    def _write(self) -> None:
        """Write what waits, each range of bins at a place of its own."""
        for metric, arrays in self._waiting.items():
            rows, places = np.concatenate(arrays), self._places.setdefault(metric, {})
            of_range = rows["bin"] // self._width
            order = np.argsort(of_range, kind="stable")
            rows, of_range = rows[order], of_range[order]
            edges = np.flatnonzero(np.diff(of_range)) + 1
            for part in np.split(rows, edges):
                if len(part):
                    places.setdefault(int(part["bin"][0]) // self._width, []).append((self._file.tell(), part.nbytes))
                    self._file.write(part.tobytes())
        self._waiting.clear()
        self._bytes = 0

    def _read(self, at: int, size: int) -> np.ndarray:
        self._file.seek(at)
        return np.frombuffer(self._file.read(size), dtype=_ROW)


def _statistics(rows: np.ndarray, arms: Sequence[str]) -> pl.DataFrame:
    """The statistics of some bins by arm and bin."""
    bins = pl.DataFrame({name: np.ascontiguousarray(rows[name]) for name in _ROW.names or ()})
    values = pl.col("values")
    cut = values.list.len() // 4
    return (
        bins.lazy()
        .group_by("arm", "bin")
        # As sorted lists: sums of floats depend on their order, and the same runs must give the same digits.
        .agg(values=pl.col("value").sort(), xs=pl.col("x_sum").sort(), weight=pl.col("x_weight").sum())
        .select(
            pl.col("arm").replace_strict(range(len(arms)), arms, return_dtype=pl.String),
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
