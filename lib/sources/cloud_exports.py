"""The history of one run on a W&B server: the columns asked for, from its Parquet exports and its live rows."""

import io
import json
import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.history import TIMESTAMP, numeric, raw_frame
from lib.sources.cloud_http import Failed, Piece, Refused, Watch, Wire

STEP = "_step"
#: What Arrow reads of a file's end, where its footer is.
_TAIL = 1 << 16
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
    """Rows of a run as logged: Float64 columns; values that were no number, by column; every row the server holds.

    `exported` of the server's rows are in Parquet parts; where all rows were read they are the frame's first.
    """

    frame: pl.DataFrame
    bad: dict[str, int]
    total: int
    exported: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Exports:
    """The signed URLs of a run's parts (a secret: not shown) and the steps of its rows that are in none."""

    urls: tuple[str, ...] = field(repr=False)
    live: tuple[int, ...]


@dataclass(frozen=True)
class Since:
    """What is held of a run: every row below `step`, and all of the exports as long as these have so many rows."""

    step: int
    exported: int


def read_raw(
    wire: Wire, place: Place, columns: Sequence[str], watch: Watch, last_step: int = -1, since: Since | None = None
) -> Raw:
    """Read columns of a run's history, every row of it or what is new since.

    Parameters
    ----------
    columns : keys to read, the step keys among them. `_step` and `_timestamp` come in any case.
    last_step : the last `_step` that the listing knows.
    since : rows with a lower `_step` are left out, as are exports that have not grown. Of the row at that step nothing
        is counted as bad again.

    Raises
    ------
    Failed, Gone, Stopped
    """
    wanted = list(dict.fromkeys([STEP, TIMESTAMP, *columns]))
    try:
        return _read(wire, place, wanted, watch, last_step, since)
    except Refused:
        # Signed URLs expire: new ones may be good.
        return _read(wire, place, wanted, watch, last_step, since)


def _read(wire: Wire, place: Place, wanted: list[str], watch: Watch, last_step: int, since: Since | None) -> Raw:
    exports = _exports(wire, place, watch)
    parts = [_Part(wire, url, watch) for url in exports.urls]
    exported = sum(part.rows for part in parts)
    low = since.step if since else None
    frames, bad = [], dict[str, int]()
    for part in parts if since is None or since.exported != exported else []:
        frame = _since(part.read(wanted, low), low)
        part.forget()
        frames.append(numeric(frame)[0])
        _count(bad, numeric(_since(frame, low, after=True))[1])
    frames.sort(key=_span)
    live, lost = _live(wire, place, wanted, watch, exports.live, low, last_step)
    _count(bad, lost)
    frame = pl.concat([*frames, _new(live, frames)], how="diagonal")
    whole = any(part.whole for part in parts)
    notes = ("the server does not serve parts of files: the exports were downloaded whole",) if whole else ()
    kept = [c for c in wanted if c in frame.columns]
    return Raw(frame.select(kept), bad, exported + len(exports.live), exported, notes)


def _count(counts: dict[str, int], more: dict[str, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


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
        # Rows of one step may repeat, so that a page may hold more of them than it has steps.
        window = {"minStep": low, "maxStep": high, "pageSize": 2 * (high - low) + 1000}
        found = [json.loads(r) for r in _run(wire.graphql(_PAGE, names | window, watch)).get("history") or []]
        inside = [s for s in steps if low <= s < high]
        middle = inside[len(inside) // 2] if inside else low
        if found and low < middle and not {*inside} <= {row.get(STEP) for row in found}:
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
        self._file = _Remote(lambda span: wire.read(url, span, watch))
        with _damaged():
            self._meta = pq.read_metadata(self._file)

    @property
    def rows(self) -> int:
        """Rows in the part."""
        return int(self._meta.num_rows)

    @property
    def whole(self) -> bool:
        """Whether all of the file was downloaded, for want of ranges."""
        return self._file.whole is not None

    def read(self, wanted: Sequence[str], from_step: int | None) -> pl.DataFrame:
        """The columns of the part, of the row groups that reach the step."""
        groups = [g for g in range(self._meta.num_row_groups) if self._reaches(g, from_step)]
        chunks = [c for g in groups for c in self._chunks(g, wanted)]
        for start, stop in _spans(chunks, self._file.total):
            self._file.bring(start, stop)
        with _damaged():
            file = pq.ParquetFile(self._file, metadata=self._meta, pre_buffer=False)
            columns = [name for name in wanted if name in file.schema_arrow.names]
            table = file.read_row_groups(groups, columns=columns, use_threads=False)
            return pl.DataFrame(pl.from_arrow(table.select(columns)))

    def forget(self) -> None:
        """Give the memory of what was read back; the footer stays."""
        self._file.forget()
        pa.default_memory_pool().release_unused()

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


@contextmanager
def _damaged() -> Iterator[None]:
    """What a broken file makes Arrow say, in our words: its own may hold whatever the file does."""
    try:
        yield
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError):
        raise Failed("an export is damaged") from None


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


class _Remote(io.RawIOBase):
    """A remote file of which only what is read is brought: its end at once, the rest as it is asked for."""

    def __init__(self, ask: Callable[[str], Piece]) -> None:
        self._ask = ask
        end = ask(f"bytes=-{_TAIL}")
        self.total, self.whole = end.total, end.whole
        self._pieces: list[tuple[int, bytes | mmap.mmap]] = [(end.total - len(end.data), end.data)]
        self._at = 0

    def bring(self, start: int, stop: int) -> None:
        """See that the bytes of a range are here."""
        if self.whole is None and not any(first <= start and stop <= first + len(data) for first, data in self._pieces):
            piece = self._ask(f"bytes={start}-{stop - 1}")
            self.whole = piece.whole
            self._pieces.append((start, piece.data))

    def _held(self, start: int, stop: int) -> bytes:
        self.bring(start, stop)
        if self.whole is not None:
            self.whole.seek(start)
            return self.whole.read(stop - start)
        first, data = next((f, d) for f, d in self._pieces if f <= start and stop <= f + len(d))
        return data[start - first : stop - first]

    def forget(self) -> None:
        """Give the memory back."""
        self._pieces.clear()

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
        start = self._at
        self._at = self.total if size is None or size < 0 else min(start + size, self.total)
        return self._held(start, self._at) if self._at > start else b""
