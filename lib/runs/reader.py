"""Read a history: one metric of one run as arrays, or everything as a lazy frame."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from lib.runs.schema import HISTORY

#: A file of the store has each metric in row groups of its own. Its metadata names them below this key, as JSON:
#: `metrics`, one name per row group.
LAYOUT = "layout"
_NO_ROWS = HISTORY.to_frame()


class History:
    """The logged points of some runs. Nothing is read before it is asked for.

    Parameters
    ----------
    runs : by run id, the run's file, or a frame with the columns `HISTORY`.
    """

    def __init__(self, runs: Mapping[str, Path | pl.DataFrame]) -> None:
        self._runs = dict(runs)

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
        """
        rows = self._runs.get(run_id, _NO_ROWS)
        if isinstance(rows, Path):
            with pq.ParquetFile(rows, pre_buffer=False) as file:
                groups = _row_groups(file.metadata, metric)
                if groups:
                    # One thread per series: callers read several at once.
                    table = file.read_row_groups(groups, columns=list(columns), use_threads=False)
                    return tuple(table.column(name).combine_chunks().to_numpy(zero_copy_only=False) for name in columns)
            rows = _NO_ROWS if groups == [] else pl.read_parquet(rows, schema=HISTORY)
        points = rows.filter(pl.col("metric") == metric).sort("step", maintain_order=True)
        return tuple(points[name].to_numpy() for name in columns)

    def lazy(self) -> pl.LazyFrame:
        """All points as a lazy frame with the columns `HISTORY`."""
        files = sorted({rows for rows in self._runs.values() if isinstance(rows, Path)})
        frames = [rows.lazy() for rows in self._runs.values() if isinstance(rows, pl.DataFrame)]
        scans = [pl.scan_parquet(files, glob=False)] if files else []
        return pl.concat([*scans, *frames]) if scans or frames else pl.LazyFrame(schema=HISTORY)


def _row_groups(metadata: pq.FileMetaData, metric: str) -> list[int] | None:
    """The row groups that hold a metric; None where the file does not say which do."""
    try:
        metrics = json.loads((metadata.metadata or {})[LAYOUT.encode()])["metrics"]
        if isinstance(metrics, list) and len(metrics) == metadata.num_row_groups:
            return [group for group, name in enumerate(metrics) if name == metric]
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    return None
