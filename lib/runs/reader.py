"""Read a history one run and metric at a time, in the order of steps."""

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.runs.model import files_of
from lib.runs.schema import HISTORY, LAYOUT

T = TypeVar("T")


@dataclass
class Part:
    """A stretch of a history of one run and metric: its rows, its spacings and how many there are of each.

    Of the spacings up to the finest bin it may hold the largest in the place of all; None: not known yet.
    """

    run_id: str
    metric: str
    rows: int = 0
    spacings: tuple[np.ndarray, np.ndarray] | None = None


class Series(Protocol):
    """A history in parts: what lies where in it, and how to go through some of them."""

    parts: list[Part]

    def each(self, parts: Sequence[Part], columns: Sequence[str], work: Callable[..., T]) -> list[T]:
        """What `work` makes of the columns of each of these parts, called with the part and an array a column."""


def ordered(history: pl.LazyFrame, finest: float) -> Series:
    """The history with every run's metrics one after the other in the order of steps.

    The store has them so; anything else is sorted.
    """
    files = files_of(history)
    stored: Series | None = _laid_out(files) if files else None
    if stored is not None and _spaced(stored, finest):
        return stored
    table = _Table(history)
    if len({(part.run_id, part.metric) for part in table.parts}) < len(table.parts) or not _spaced(table, finest):
        table = _Table(table.history.sort("run_id", "metric", "step", maintain_order=True).collect().lazy())
        _spaced(table, finest)
    return table


def _spaced(series: Series, finest: float) -> bool:
    """Note the spacings of the parts of which they are not known; False where steps go back."""

    def note(part: Part, step: np.ndarray) -> bool:
        spacing = np.diff(step)
        if spacing.min(initial=0) < 0:
            return False
        wide = spacing > finest
        fine = len(spacing) - int(wide.sum())
        top = spacing[~wide].max(initial=0)
        part.spacings = np.append(spacing[wide], top), np.append(np.ones(len(spacing) - fine, dtype=np.int64), fine)
        return True

    return all(series.each([part for part in series.parts if part.spacings is None], ["step"], note))


def metric_widths(parts: Sequence[Part], finest: float) -> dict[str, float]:
    """By metric the median spacing of all its parts, or the finest width where that is larger."""
    found = {}
    for key in {part.metric for part in parts}:
        mine = [part.spacings for part in parts if part.metric == key and part.spacings]
        spacing, counts = (np.concatenate(arrays) for arrays in zip(*mine, strict=True))
        order = np.argsort(spacing)
        upto = np.cumsum(counts[order])
        middle = np.searchsorted(upto, [(upto[-1] - 1) // 2, upto[-1] // 2], side="right")
        found[key] = max(finest, float(spacing[order][middle].sum()) / 2) if upto[-1] else finest
    return found


# ---- the store's files -------------------------------------------------------------------------------------------


@dataclass
class _Place:
    """Where a part is: a file and row groups of it."""

    path: Path
    mark: tuple[int, int, int]
    meta: Any
    groups: list[int]


def _mark(path: Path) -> tuple[int, int, int]:
    """What a file is not once another was put in its place."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _rows(table: pl.DataFrame, part: Part, columns: Sequence[str]) -> list[np.ndarray]:
    """The columns of a part as a table has them, in the order of steps; without rows where it does not have the part."""
    mine = table.filter(pl.col("run_id") == part.run_id, pl.col("metric").eq_missing(part.metric))
    return [column.to_numpy() for column in mine.sort("step", maintain_order=True).select(columns)]


def _array(column: pa.ChunkedArray) -> np.ndarray:
    return column.chunk(0).to_numpy(zero_copy_only=False) if column.num_chunks == 1 else column.to_numpy()


class _Files:
    """Files that say what lies in which of their row groups: a few of them are read at a time, and only what is asked for."""

    def __init__(self, parts: list[Part], places: list[_Place]) -> None:
        self.parts = parts
        self._places = {id(part): place for part, place in zip(parts, places, strict=True)}

    def each(self, parts: Sequence[Part], columns: Sequence[str], work: Callable[..., T]) -> list[T]:
        files = [list(group) for _, group in groupby(parts, key=lambda part: self._places[id(part)].path)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            done = [one for some in pool.map(partial(self._file, list(columns), work), files) for one in some]
        pa.default_memory_pool().release_unused()
        return done

    def _file(self, columns: list[str], work: Callable[..., T], parts: Sequence[Part]) -> list[T]:
        places = [self._places[id(part)] for part in parts]
        path, done = places[0].path, []
        try:
            file = pq.ParquetFile(path, metadata=places[0].meta, pre_buffer=False)
            # Asked once the file is open: a file that was put in its place meanwhile is another one.
            same = _mark(path) == places[0].mark
        except (OSError, pa.ArrowException):
            same = False
        if not same:
            anew = pl.read_parquet(path, schema=HISTORY)
            return [work(part, *_rows(anew, part, columns)) for part in parts]
        with file:
            for part, place in zip(parts, places, strict=True):
                table = file.read_row_groups(place.groups, columns=columns, use_threads=False)
                done.append(work(part, *(_array(table.column(name)) for name in columns)))
        return done


def _laid_out(files: Sequence[Path]) -> _Files | None:
    """The parts of files, as these say; None where one does not, or has a series in two places."""
    parts, places = list[Part](), list[_Place]()
    for path in files:
        try:
            mark, meta = _mark(path), pq.read_metadata(path)
        except (OSError, pa.ArrowException):
            return None
        said = _said(meta)
        if said is None:
            return None
        for group, metric in enumerate(said["metrics"]):
            if not places or places[-1].path != path or parts[-1].metric != metric:
                known = said["spacings"][group]
                spacing = None if known is None else (np.array(known[0]), np.array(known[1]))
                parts.append(Part(said["run_id"], metric, spacings=spacing))
                places.append(_Place(path, mark, meta, []))
            places[-1].groups.append(group)
            parts[-1].rows += meta.row_group(group).num_rows
    return _Files(parts, places) if len({(p.run_id, p.metric) for p in parts}) == len(parts) else None


def _said(meta: Any) -> dict[str, Any] | None:
    """What a file's metadata says of its row groups; None where that is not there or not sound."""
    try:
        said = json.loads((meta.metadata or {})[LAYOUT.encode()])
        names, known = said["metrics"], said["spacings"]
        sound = (
            isinstance(said["run_id"], str)
            and isinstance(names, list)
            and isinstance(known, list)
            and len(names) == len(known) == meta.num_row_groups
            and all(name is None or isinstance(name, str) for name in names)
            and all(
                spacing is None or _counted(meta.row_group(i).num_rows, *spacing) for i, spacing in enumerate(known)
            )
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return said if sound else None


def _counted(rows: int, spacings: list[int], counts: list[int]) -> bool:
    """Whether these are the spacings of so many rows, and how many there are of each."""
    whole = all(type(number) is int and 0 <= number < 1 << 62 for number in (*spacings, *counts))
    return whole and len(spacings) == len(counts) > 0 and sum(counts) == rows - 1


# ---- any other history -------------------------------------------------------------------------------------------


def _afresh(history: pl.LazyFrame) -> pl.LazyFrame:
    """The history without what Polars remembers of its files, which were replaced since."""
    return pl.LazyFrame.deserialize(io.BytesIO(history.serialize()))


class _Changed(Exception):
    """A history is not what it was when its stretches were noted."""


def _stretches(history: pl.LazyFrame) -> list[Part]:
    """The stretches of a history that are of one run and metric, up to the first that comes a second time."""
    parts: list[Part] = []
    seen = set[tuple[str, str]]()
    for batch in history.select("run_id", "metric").collect_batches(maintain_order=True):
        ends = {int(end) for names in batch for end in names.rle().struct.unnest()["len"].cum_sum()}
        for start, end in pairwise([0, *sorted(ends)]):
            name = run_id, metric = batch.row(start)
            if not parts or (parts[-1].run_id, parts[-1].metric) != name:
                parts.append(Part(run_id, metric))
                if name in seen:
                    return parts
                seen.add(name)
            parts[-1].rows += end - start
    return parts


class _Table:
    """A history that is read from its beginning to its end, in batches."""

    def __init__(self, history: pl.LazyFrame) -> None:
        self.history = history
        try:
            self.parts = _stretches(history)
        except (OSError, pl.exceptions.PolarsError):
            self.history = _afresh(history)
            self.parts = _stretches(self.history)

    def each(self, parts: Sequence[Part], columns: Sequence[str], work: Callable[..., T]) -> list[T]:
        asked = {id(part) for part in parts}
        try:
            return [work(part, *arrays) for part, arrays in self._read(columns) if id(part) in asked]
        except (_Changed, OSError, pl.exceptions.PolarsError):
            anew = _afresh(self.history).collect()
            return [work(part, *_rows(anew, part, columns)) for part in self.parts if id(part) in asked]

    def _read(self, columns: Sequence[str]) -> Iterator[tuple[Part, list[np.ndarray]]]:
        batches = iter(self.history.select("run_id", "metric", *columns).collect_batches(maintain_order=True))
        batch = pl.DataFrame()
        for part in self.parts:
            pieces, missing = list[list[np.ndarray]](), part.rows
            while missing:
                while batch.is_empty():
                    if (found := next(batches, None)) is None:
                        raise _Changed
                    batch = found
                taken = min(missing, len(batch))
                # A stretch has one name from its beginning to its end.
                if {batch.row(0)[:2], batch.row(taken - 1)[:2]} != {(part.run_id, part.metric)}:
                    raise _Changed
                pieces.append([batch[name][:taken].to_numpy() for name in columns])
                batch, missing = batch[taken:], missing - taken
            yield (
                part,
                pieces[0] if len(pieces) == 1 else [np.concatenate(column) for column in zip(*pieces, strict=True)],
            )
