"""The history of one run on a W&B server: the columns asked for, from its Parquet exports and its live rows."""

import io
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.history import TIMESTAMP, numeric, raw_frame
from lib.sources.cloud_http import Failed, Piece, Refused, Watch, Wire

STEP = "_step"
_TAIL = 1 << 15
#: Of an export whose named columns are a small part of it, gaps between them are read up to this part of it.
_SMALL, _WIDE = 0.1, 0.045
#: Of any other, gaps are read up to so many times what was asked for, to come down to so many requests.
_WASTE, _SPANS = 3, 2

_EXPORTS = """query RunParquetHistory($entity: String!, $project: String!, $runName: String!, $liveKeys: [String!]!) {
  project(name: $project, entityName: $entity) {
    run(name: $runName) { parquetHistory(liveKeys: $liveKeys) { parquetUrls liveData } }
  }
}"""
_PAGE = """query HistoryPage($entity: String!, $project: String!, $run: String!,
    $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}"""


class Gone(Failed):
    """The run is not on the server any more."""


@dataclass(frozen=True)
class Place:
    """Where a run is on the server."""

    entity: str
    project: str
    run: str


@dataclass(frozen=True)
class Raw:
    """Rows of a run as logged: Float64 columns; values that were no number, by column; every row the server holds."""

    frame: pl.DataFrame
    bad: dict[str, int]
    total: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Exports:
    """The signed URLs of a run's parts (a secret: not shown) and the steps of its rows that are in none."""

    urls: tuple[str, ...] = field(repr=False)
    live: tuple[int, ...]


def read_raw(
    wire: Wire, place: Place, columns: Sequence[str], watch: Watch, from_step: int | None = None, last_step: int = -1
) -> Raw:
    """Read columns of a run's history, every row of it or those from a step on.

    Parameters
    ----------
    columns : keys to read, the step keys among them. `_step` and `_timestamp` come in any case.
    from_step : rows with a lower `_step` are left out, and of the row at it nothing is counted as bad again.
    last_step : the last `_step` that the listing knows.

    Raises
    ------
    Failed, Gone, Stopped
    """
    wanted = list(dict.fromkeys([STEP, TIMESTAMP, *columns]))
    try:
        return _read(wire, place, wanted, watch, from_step, last_step)
    except Gone:
        raise
    except Refused:
        # Signed URLs expire: new ones may be good.
        return _read(wire, place, wanted, watch, from_step, last_step)


def _read(wire: Wire, place: Place, wanted: list[str], watch: Watch, from_step: int | None, last_step: int) -> Raw:
    exports = _exports(wire, place, watch)
    frames, bad, total, whole = [], dict[str, int](), 0, False
    for url in exports.urls:
        part = _Part(wire, url, watch)
        total += part.rows
        whole |= part.whole
        frame = _since(part.read(wanted, from_step), from_step)
        numbers, _ = numeric(frame)
        _, lost = numeric(_since(frame, from_step, after=True))
        frames.append(numbers)
        for key, count in lost.items():
            bad[key] = bad.get(key, 0) + count
    frames.sort(key=_span)
    live, lost = _live(wire, place, wanted, watch, exports.live, from_step, last_step)
    total += len(exports.live)
    for key, count in lost.items():
        bad[key] = bad.get(key, 0) + count
    frame = pl.concat([*frames, _new(live, frames)], how="diagonal")
    notes = ("the server does not serve parts of files: the exports were downloaded whole",) if whole else ()
    return Raw(frame.select(c for c in wanted if c in frame.columns), bad, total, notes)


def _exports(wire: Wire, place: Place, watch: Watch) -> _Exports:
    names = {"entity": place.entity, "project": place.project, "runName": place.run, "liveKeys": [STEP]}
    history = _run(wire.graphql(_EXPORTS, names, watch)).get("parquetHistory") or {}
    live = [row[STEP] for row in history.get("liveData") or [] if row.get(STEP) is not None]
    return _Exports(tuple(history.get("parquetUrls") or ()), tuple(sorted(int(step) for step in live)))


def _run(data: dict[str, Any]) -> dict[str, Any]:
    run = (data.get("project") or {}).get("run")
    if run is None:
        raise Gone("the server does not hold it any more")
    return run


def _since(frame: pl.DataFrame, step: int | None, after: bool = False) -> pl.DataFrame:
    if step is None or STEP not in frame.columns:
        return frame
    column = pl.col(STEP).cast(pl.Float64, strict=False)
    return frame.filter(column > step if after else column >= step)


def _span(frame: pl.DataFrame) -> tuple[float, float]:
    """What orders the parts, which the server gives in any order."""
    if STEP not in frame.columns or frame[STEP].null_count() == len(frame):
        return (float("inf"), float("inf"))
    return (frame[STEP].min(), frame[STEP].max())  # type: ignore[return-value]


def _live(
    wire: Wire,
    place: Place,
    wanted: list[str],
    watch: Watch,
    steps: tuple[int, ...],
    from_step: int | None,
    last_step: int,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that are in no export yet, from a step on, asked for again in halves where a page was cut short."""
    steps = tuple(s for s in steps if from_step is None or s >= from_step)
    rows: list[dict[str, Any]] = []
    spans = [(steps[0], max(steps[-1], last_step) + 1)] if steps else []
    while spans:
        low, high = spans.pop()
        names = {"entity": place.entity, "project": place.project, "run": place.run}
        window = {"minStep": low, "maxStep": high, "pageSize": high - low}
        found = [json.loads(r) for r in _run(wire.graphql(_PAGE, names | window, watch)).get("history") or []]
        inside = [s for s in steps if low <= s < high]
        middle = inside[len(inside) // 2] if inside else low
        if 0 < len(found) < len(inside) and low < middle:
            spans += [(middle, high), (low, middle)]
        else:
            rows += found
    frame, _ = raw_frame(rows, wanted)
    _, bad = raw_frame([r for r in rows if from_step is None or r.get(STEP, from_step) > from_step], wanted)
    return frame, bad


def _new(live: pl.DataFrame, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The live rows that no part holds: a row may have been exported between two requests."""
    same = [STEP, TIMESTAMP]
    held = [p.select(same) for p in parts if set(same) <= set(p.columns)]
    return live.join(pl.concat(held), on=same, how="anti", maintain_order="left") if held and len(live) else live


class _Part:
    """One exported Parquet file behind a signed URL: its footer, and then the columns asked for."""

    def __init__(self, wire: Wire, url: str, watch: Watch) -> None:
        self._wire, self._url, self._watch = wire, url, watch
        end = wire.read(url, f"bytes=-{_TAIL}", watch)
        self._pieces = _Pieces(end.total, end.whole)
        self._add(end.total - len(end.data), end)
        size = int.from_bytes(end.data[-8:-4], "little") + 8 if end.data else 0
        if size > len(end.data):
            self._fetch(end.total - size, end.total - len(end.data))
        try:
            self._meta = pq.read_metadata(self._pieces)
        except (pa.ArrowException, OSError):
            raise Failed("an export is damaged") from None

    @property
    def rows(self) -> int:
        """Rows in the part."""
        return int(self._meta.num_rows)

    @property
    def whole(self) -> bool:
        """Whether all of the file was downloaded, for want of ranges."""
        return self._pieces.whole is not None

    def read(self, wanted: Sequence[str], from_step: int | None) -> pl.DataFrame:
        """The columns of the part, of the row groups that reach the step."""
        groups = [g for g in range(self._meta.num_row_groups) if self._reaches(g, from_step)]
        chunks = [c for g in groups for c in self._chunks(g, wanted)]
        for start, stop in _spans(chunks, self._pieces.total):
            if not self._pieces.holds(start, stop):
                self._fetch(start, stop)
        try:
            file = pq.ParquetFile(self._pieces, metadata=self._meta, pre_buffer=False)
            columns = [name for name in wanted if name in file.schema_arrow.names]
            table = file.read_row_groups(groups, columns=columns, use_threads=False)
            return pl.DataFrame(pl.from_arrow(table.select(columns)))
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError):
            raise Failed("an export is damaged") from None

    def _reaches(self, group: int, from_step: int | None) -> bool:
        if from_step is None:
            return True
        for column in self._columns(group):
            if column.path_in_schema == STEP and column.statistics is not None and column.statistics.has_min_max:
                return bool(column.statistics.max >= from_step)
        return True

    def _columns(self, group: int) -> list[Any]:
        held = self._meta.row_group(group)
        return [held.column(i) for i in range(held.num_columns)]

    def _chunks(self, group: int, wanted: Sequence[str]) -> list[tuple[int, int]]:
        """The bytes of the columns: a column of tables has several, below its name."""
        spans = []
        for column in self._columns(group):
            path = column.path_in_schema
            if any(path == name or path.startswith(f"{name}.") for name in wanted):
                start = min(o for o in (column.dictionary_page_offset, column.data_page_offset) if o)
                spans.append((start, start + column.total_compressed_size))
        return spans

    def _fetch(self, start: int, stop: int) -> None:
        self._add(start, self._wire.read(self._url, f"bytes={start}-{stop - 1}", self._watch))

    def _add(self, start: int, piece: Piece) -> None:
        if piece.whole is not None:
            self._pieces.whole = piece.whole
        else:
            self._pieces.add(start, piece.data)


def _spans(chunks: list[tuple[int, int]], total: int) -> list[tuple[int, int]]:
    """What to ask for, so that a narrow export takes few requests and a wide one few bytes."""
    spans: list[tuple[int, int]] = []
    for start, stop in sorted(chunks):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(stop, spans[-1][1]))
        else:
            spans.append((start, stop))
    needed = sum(stop - start for start, stop in spans)
    spare = _WIDE * total - needed if needed < _SMALL * total else _WASTE * needed
    while len(spans) > _SPANS:
        gaps = [after[0] - before[1] for before, after in pairwise(spans)]
        at = gaps.index(min(gaps))
        if gaps[at] > spare:
            break
        spare -= gaps[at]
        spans[at : at + 2] = [(spans[at][0], spans[at + 1][1])]
    return spans


class _Pieces(io.RawIOBase):
    """The parts of a remote file that were read, as the file itself."""

    def __init__(self, total: int, whole: IO[bytes] | None = None) -> None:
        self.total, self.whole = total, whole
        self._starts: list[int] = []
        self._data: list[bytes] = []
        self._at = 0

    def add(self, start: int, data: bytes) -> None:
        """Hold these bytes."""
        index = bisect_right(self._starts, start)
        self._starts.insert(index, start)
        self._data.insert(index, data)

    def holds(self, start: int, stop: int) -> bool:
        """Whether one piece covers this range."""
        index = bisect_right(self._starts, start) - 1
        return self.whole is not None or (index >= 0 and stop <= self._starts[index] + len(self._data[index]))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.total}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        stop = self.total if size is None or size < 0 else min(self._at + size, self.total)
        start, self._at = self._at, stop
        if self.whole is not None:
            self.whole.seek(start)
            return self.whole.read(stop - start)
        # Newest first: pieces may overlap, and a later one was asked for.
        for index in range(bisect_right(self._starts, start) - 1, -1, -1):
            offset = start - self._starts[index]
            if offset + stop - start <= len(self._data[index]):
                return self._data[index][offset : offset + stop - start]
        raise OSError("these bytes were not read")
