"""One exported Parquet file behind a signed URL: its footer, and then the columns asked for."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.sources.cloud.http import Failed, Piece, Sink

STEP = "_step"
#: What Arrow reads of a file's end, where its footer is.
_TAIL = 1 << 16
#: Of an export whose named columns are a small part of it, gaps between them are read up to this part of it.
_SMALL, _WIDE = 0.1, 0.045
#: Of any other, gaps are read up to so many times what was asked for, to come down to so many requests.
_WASTE, _SPANS = 3, 2

Ask = Callable[[str, Sink], Piece]
Span = tuple[int, int]


@contextmanager
def _damaged() -> Iterator[None]:
    """What a broken file makes Arrow say, in our words: its own may hold whatever the file does."""
    try:
        yield
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError):
        raise Failed("an export is damaged") from None


def _spans(chunks: list[Span], total: int) -> list[Span]:
    """What to ask for, so that a narrow export takes few requests and a wide one few bytes."""
    spans: list[Span] = []
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
    """A remote file as Arrow reads it: its end at once, then the chunks that were brought, anything else when asked for."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        end: list[tuple[int, bytes]] = []
        found = ask(f"bytes=-{_TAIL}", lambda at, data: end.append((at, data)))
        self.total, self.whole = found.total, found.whole
        # What broke off was read from its beginning again.
        first = max((i for i, (at, _) in enumerate(end) if at == end[0][0]), default=0)
        data = b"".join(piece for _, piece in end[first:])
        self._pieces: list[tuple[int, memoryview]] = [(self.total - len(data), memoryview(data))]
        self._at = 0

    def holds(self, start: int, stop: int) -> bool:
        """Whether the bytes of a range are here."""
        return self.whole is not None or self._piece(start, stop) is not None

    def bring(self, chunks: dict[Span, memoryview]) -> None:
        """Read from the first to the last of these chunks in one request; what lies between them is let go."""

        def sink(at: int, data: bytes) -> None:
            for (first, last), place in chunks.items():
                low, high = max(first, at), min(last, at + len(data))
                if low < high:
                    place[low - first : high - first] = memoryview(data)[low - at : high - at]

        start, stop = min(first for first, _ in chunks), max(last for _, last in chunks)
        if stop > self.total:
            raise Failed("an export is damaged")
        found = self._ask(f"bytes={start}-{stop - 1}", sink)
        if found.total != self.total:
            raise Failed("an export changed while it was read")
        self.whole = found.whole or self.whole
        self._pieces += [(first, place) for (first, _), place in chunks.items()]

    def _piece(self, start: int, stop: int) -> tuple[int, memoryview] | None:
        return next((p for p in self._pieces if p[0] <= start and stop <= p[0] + len(p[1])), None)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.total}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> memoryview | bytes:
        start = self._at
        self._at = self.total if size is None or size < 0 else min(start + size, self.total)
        if self._at <= start:
            return b""
        if not self.holds(start, self._at):
            self.bring({(start, self._at): memoryview(bytearray(self._at - start))})
        if self.whole is not None:
            self.whole.seek(start)
            return self.whole.read(self._at - start)
        first, data = self._piece(start, self._at) or (start, memoryview(b""))
        return data[start - first : self._at - first]


class Part:
    """One part of a run's exports; `ask` reads a range of it.

    First `plan` says what of it is wanted, then `downloads` bring that into a buffer, then `read` decodes it.
    """

    def __init__(self, ask: Ask) -> None:
        self._file = _Remote(ask)
        with _damaged():
            self._meta = pq.read_metadata(self._file)
        self._groups: list[int] = []
        self._wanted: list[str] = []
        self._chunks: list[Span] = []

    @property
    def rows(self) -> int:
        """Rows in the part."""
        return int(self._meta.num_rows)

    @property
    def whole(self) -> bool:
        """Whether all of the file was downloaded, for want of ranges."""
        return self._file.whole is not None

    def plan(self, wanted: Sequence[str], from_step: int | None) -> int:
        """Want these columns of the row groups that reach the step; the size of the buffer this takes."""
        self._wanted = list(wanted)
        self._groups = [g for g in range(self._meta.num_row_groups) if self._reaches(g, from_step)]
        chunks = {c for g in self._groups for c in self._chunks_of(g)}
        self._chunks = sorted(c for c in chunks if not self._file.holds(*c))
        return sum(stop - start for start, stop in self._chunks)

    def downloads(self, buffer: memoryview) -> list[Callable[[], None]]:
        """The requests that bring what is wanted, to be made in any order; what they bring fills the buffer."""
        places, at = dict[Span, memoryview](), 0
        for start, stop in self._chunks:
            places[start, stop] = buffer[at : at + stop - start]
            at += stop - start
        inside = [
            {c: place for c, place in places.items() if first <= c[0] and c[1] <= last}
            for first, last in _spans(self._chunks, self._file.total)
        ]
        return [partial(self._file.bring, chunks) for chunks in inside]

    def read(self) -> pl.DataFrame:
        """The columns of the part, from what was brought."""
        with _damaged():
            file = pq.ParquetFile(self._file, metadata=self._meta, pre_buffer=False)
            columns = [name for name in self._wanted if name in file.schema_arrow.names]
            table = file.read_row_groups(self._groups, columns=columns, use_threads=False)
            return pl.DataFrame(pl.from_arrow(table.select(columns)))

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

    def _chunks_of(self, group: int) -> Iterator[Span]:
        """The bytes of the columns: a column of tables has several, below its name."""
        for column in self._columns(group):
            path = column.path_in_schema
            if any(path == name or path.startswith(f"{name}.") for name in self._wanted):
                start = min(o for o in (column.dictionary_page_offset, column.data_page_offset) if o)
                yield start, start + column.total_compressed_size
