"""Read a history: one metric of one run as arrays, or everything as a lazy frame."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import DTypeLike, NDArray

from lib.runs.array_cache import ArrayCache
from lib.runs.atomic import StoreError
from lib.runs.disk_cache import cached_arrays
from lib.runs.schema import HISTORY

#: A file of the store has each metric in row groups of its own. Its metadata names them below this key, as JSON:
#: `metrics`, one name per row group.
LAYOUT = "layout"
_NO_ROWS = HISTORY.to_frame()
_DTYPES = {"step": np.int64, "value": np.float64, "time": np.float64}


class History:
    """The logged points of some runs. Nothing is read before it is asked for.

    Parameters
    ----------
    runs : by run id, the run's file, or a frame with the columns `HISTORY`.
    stamps : by run id, a text that changes when its file does; what is computed of such a run is kept beside its file.
    cache : for what is read; by default nothing stays in memory.
    """

    def __init__(
        self,
        runs: Mapping[str, Path | pl.DataFrame],
        stamps: Mapping[str, str] | None = None,
        cache: ArrayCache | None = None,
    ) -> None:
        self._runs = dict(runs)
        self._stamps = dict(stamps or {})
        self._cache = cache or ArrayCache(0)

    @classmethod
    def of_frame(cls, frame: pl.DataFrame) -> "History":
        """The history that a frame with the columns `HISTORY` holds, rows in any order."""
        return cls({str(run_id): rows for (run_id,), rows in frame.partition_by("run_id", as_dict=True).items()})

    def series(self, run_id: str, metric: str, columns: Sequence[str] = ("step", "value")) -> tuple[np.ndarray, ...]:
        """One run's points of one metric, in the order of steps; empty where it logged none.

        Returns
        -------
        One array per column: step (int64, environment steps), value (float64) or time (float64, seconds, NaN where a
        row has none).

        Raises
        ------
        StoreError
            Where the run's file is gone or damaged.
        """
        return self.cached_in_memory((run_id, metric, *columns), lambda: self._read(run_id, metric, columns))

    def cached_in_memory(self, name: Hashable, read: Callable[[], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        """Arrays by name from the cache in memory, or as `read` gives them."""
        return self._cache.get(name, read)

    def with_cache(self, max_bytes: int) -> "History":
        """The same history with a cache in memory of so many bytes."""
        return History(self._runs, self._stamps, ArrayCache(max_bytes))

    def _read(self, run_id: str, metric: str, columns: Sequence[str]) -> tuple[np.ndarray, ...]:
        with self.store_errors():
            return self._series(run_id, metric, columns)

    def _series(self, run_id: str, metric: str, columns: Sequence[str]) -> tuple[np.ndarray, ...]:
        rows = self._runs.get(run_id, _NO_ROWS)
        if isinstance(rows, Path):
            with pq.ParquetFile(rows, pre_buffer=False) as file:
                groups = _row_groups(file.metadata, metric)
                if groups:
                    return _arrays(file, groups, columns)
            rows = _NO_ROWS if groups == [] else _points(rows, metric, columns)
        else:
            rows = rows.filter(pl.col("metric") == metric)
        points = rows.sort("step", maintain_order=True)
        return tuple(points[name].to_numpy() for name in columns)

    def of_run(self, run_id: str) -> "History":
        """The history of one of the runs: all that is needed elsewhere to compute something of it."""
        rows, stamp = self._runs.get(run_id), self._stamps.get(run_id)
        stamps = {} if stamp is None else {run_id: stamp}
        return History({} if rows is None else {run_id: rows}, stamps, self._cache)

    def cached_on_disk(
        self, run_id: str, rule: str, dtype: DTypeLike, compute: Mapping[str, Callable[[], NDArray[Any]]]
    ) -> list[NDArray[Any]]:
        """Arrays computed from a run's rows, from the cache on disk: see `lib.runs.disk_cache.cached_arrays`."""
        rows = self._runs.get(run_id)
        if not isinstance(rows, Path):
            return [call() for call in compute.values()]
        return cached_arrays(rows, self._stamps.get(run_id, ""), rule, dtype, compute)

    def lazy(self) -> pl.LazyFrame:
        """All points as a lazy frame with the columns `HISTORY`; it is collected within `store_errors`."""
        files = sorted({rows for rows in self._runs.values() if isinstance(rows, Path)})
        frames = [rows.lazy() for rows in self._runs.values() if isinstance(rows, pl.DataFrame)]
        scans = [pl.scan_parquet(files, glob=False)] if files else []
        return pl.concat([*scans, *frames]) if scans or frames else pl.LazyFrame(schema=HISTORY)

    @contextmanager
    def store_errors(self) -> Iterator[None]:
        """Turn a file that is gone while it is read into a StoreError of one sentence, and one that Arrow cannot read."""
        try:
            yield
        except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            gone = (run for run, rows in self._runs.items() if isinstance(rows, Path) and not rows.is_file())
            if run := next(gone, None):
                raise StoreError(f"The stored history of run {run} is gone: fetch the study again.") from None
            if isinstance(error, pl.exceptions.PolarsError):
                raise
            raise StoreError("A stored history cannot be read: fetch the study again.") from None


def _arrays(file: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str]) -> tuple[np.ndarray, ...]:
    """The columns of some row groups, read one group after the other: a long series is held once, not twice."""
    # One thread per series: callers read several at once.
    parts = (file.read_row_group(group, columns=list(columns), use_threads=False) for group in groups)
    if len(groups) == 1:
        table = next(parts)
        return tuple(_array(table.column(name)) for name in columns)
    count, start = sum(file.metadata.row_group(group).num_rows for group in groups), 0
    arrays = tuple(np.empty(count, dtype=_DTYPES[name]) for name in columns)
    for table in parts:
        for name, array in zip(columns, arrays, strict=True):
            array[start : start + len(table)] = _array(table.column(name))
        start += len(table)
    return arrays


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a column, NaN for null."""
    array = column.combine_chunks()
    # Arrow's own `to_numpy` imports pandas: 45 MB, and half a second.
    return np.from_dlpack(array.fill_null(np.nan) if array.null_count else array)


def _points(path: Path, metric: str, columns: Sequence[str]) -> pl.DataFrame:
    """The points of a metric in a file that does not say where they are; never all of its rows at once."""
    rows = pl.scan_parquet(path, glob=False, schema=HISTORY).filter(pl.col("metric") == metric)
    return rows.select(*dict.fromkeys(("step", *columns))).collect(engine="streaming")


def _row_groups(metadata: pq.FileMetaData, metric: str) -> list[int] | None:
    """The row groups that hold a metric; None where the file does not say which do."""
    try:
        metrics = json.loads((metadata.metadata or {})[LAYOUT.encode()])["metrics"]
        if isinstance(metrics, list) and len(metrics) == metadata.num_row_groups:
            return [group for group, name in enumerate(metrics) if name == metric]
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    return None
