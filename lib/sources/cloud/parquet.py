"""One exported Parquet file behind a signed URL, read column by column through Arrow."""

import atexit
import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pyarrow as pa

from lib.sources.cloud.http import FileClient
from lib.sources.cloud.limits import Deadline, RequestError, program_ends

STEP = "_step"
#: What is read of a file's end at first, the footer of most files; and what is kept of the ends of a run's files together.
_TAIL, _TAILS = 1 << 17, 8 << 20
#: The largest gap that is read through to save a request, in bytes.
_LARGEST_GAP = 4 << 20
_LONGEST_RANGE = 64 << 20
_LONGEST_FOOTER = 16 << 20
#: Characters of a number that is written as text.
_LONGEST_NUMBER = 64
#: Files that Arrow reads at the same time.
_READERS = 32


class RemoteFile(io.RawIOBase):
    """A remote file for Arrow, which reads it by ranges from threads of its own, each at a position of its own.

    Every read is one request, but for the end of the file, which is kept. Where the server serves no ranges the whole
    file is downloaded once.

    Parameters
    ----------
    count : how many such files are read together.
    """

    def __init__(self, client: FileClient, url: str, deadline: Deadline, count: int = 1) -> None:
        self._client, self._url, self._deadline = client, url, deadline
        self._position, self._lock = threading.local(), threading.Lock()
        self._end = client.read(url, f"bytes=-{min(_TAIL, _TAILS // count)}", deadline)
        self._whole = self._end.whole
        self.size = self._end.size
        #: The most bytes of one read: those of a footer until it is known what else there is.
        self.longest_read = _LONGEST_FOOTER

    @property
    def is_download(self) -> bool:
        """Whether all of the file was downloaded, for want of ranges."""
        return self._whole is not None

    # What follows is the interface of io.RawIOBase.

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return getattr(self._position, "value", 0)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:  # noqa: D102
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self._position.value = base + offset
        return base + offset

    def read(self, size: int | None = -1) -> bytes | memoryview:  # noqa: D102
        start = self.tell()
        stop = self.size if size is None or size < 0 else min(start + size, self.size)
        if stop - start > self.longest_read:
            raise OSError("a read of this size")
        # Arrow may have given up on a file of which its other threads still read ranges.
        with _counted():
            data = self._bytes(start, stop) if start < stop else b""
        self._position.value = start + len(data)
        return data

    def close(self) -> None:  # noqa: D102
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _bytes(self, start: int, stop: int) -> bytes | memoryview:
        if self._whole is None and start < self._end.start:
            answer = self._client.read(self._url, f"bytes={start}-{stop - 1}", self._deadline)
            if answer.size != self.size:
                raise RequestError("an export changed while it was read")
            if answer.whole is None:
                return answer.data
            self._whole = answer.whole
        if self._whole is None:
            return self._end.data[start - self._end.start : stop - self._end.start]
        with self._lock:
            self._whole.seek(start)
            return self._whole.read(stop - start)


class ExportPart:
    """One part of a run's exports: its footer is read at once, then `select` says what `read` is to read."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        with _arrow_reads():
            self._fragment = _format().make_fragment(file)
            self._metadata = self._fragment.metadata
            self._schema = self._fragment.physical_schema
        self._columns: list[str] = []
        self._gap = 0

    @property
    def rows(self) -> int:
        """Rows in the part."""
        return int(self._metadata.num_rows)

    @property
    def is_download(self) -> bool:
        """Whether all of the file was downloaded, for want of ranges."""
        return self._file.is_download

    def select(self, columns: Sequence[str], from_step: int | None) -> int:
        """Choose columns, of the row groups that may reach a step; the bytes of memory that `read` takes at most."""
        import pyarrow.dataset as ds

        self._columns = [name for name in columns if name in self._schema.names]
        if twice := next((name for name in self._columns if self._schema.names.count(name) > 1), None):
            raise RequestError(f"an export has two columns {twice}")
        if texts := [name for name in self._columns if _is_text(self._schema.field(name).type)]:
            with _arrow_reads():
                self._fragment = _format(*texts).make_fragment(self._file)
        if from_step is not None and STEP in self._columns and pa.types.is_integer(self._schema.field(STEP).type):
            with _arrow_reads():
                self._fragment = self._fragment.subset(ds.field(STEP) >= from_step, schema=self._schema)
        groups = [self._metadata.row_group(group.id) for group in self._fragment.row_groups]
        chunks = [group.column(i) for group in groups for i in self._indices(group)]
        wanted = sum(int(chunk.total_compressed_size) for chunk in chunks)
        # The larger the part of a file that is wanted, the less it costs to read on: half a dozen columns of 30 take two
        # requests, of 150 a tenth of the bytes, whatever their size.
        self._gap = min(_LARGEST_GAP, int(wanted * (1 + 3 * wanted / self._file.size)))
        self._file.longest_read = max(_LONGEST_RANGE, wanted)
        # What repeats takes little space in a file, and 8 bytes a row once it is read.
        decoded = 8 * len(self._columns) * sum(group.num_rows for group in groups)
        return self._file.size + max(decoded, sum(int(chunk.total_uncompressed_size) for chunk in chunks))

    def _indices(self, group: Any) -> list[int]:
        """The columns of a file that hold the chosen ones: a column of tables has several, below its name."""
        paths = [self._metadata.schema.column(i).path for i in range(group.num_columns)]
        return [i for i, path in enumerate(paths) if path in self._columns or path.partition(".")[0] in self._columns]

    def read(self) -> pa.Table:
        """The chosen columns that the part has."""
        import pyarrow.dataset as ds

        gaps = pa.CacheOptions(hole_size_limit=self._gap, range_size_limit=_LONGEST_RANGE, lazy=True)
        options = ds.ParquetFragmentScanOptions(pre_buffer=True, cache_options=gaps)
        with _arrow_reads():
            # Arrow's own pool would keep what each of many threads once got.
            memory = pa.system_memory_pool()
            table = self._fragment.to_table(
                columns=self._columns, use_threads=False, fragment_scan_options=options, memory_pool=memory
            )
            table.validate(full=True)
            # What else the file says of its columns may be damaged, and nobody needs it.
            return pa.Table.from_arrays([_readable(column) for column in table.columns], names=table.column_names)

    def close(self) -> None:
        """Let the file go."""
        del self._fragment
        self._file.close()


@cache
def _format(*texts: str) -> Any:
    """How Arrow reads a file; of columns of texts each text once, however many rows repeat it."""
    import pyarrow.dataset as ds

    # These threads do nothing but wait for servers.
    pa.set_io_thread_count(max(pa.io_thread_count(), _READERS))
    return ds.ParquetFileFormat(dictionary_columns={*texts})


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as polars takes it: decimals as floats, nested values as a text, which is no number."""
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        return _short_texts(column)
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    if pa.types.is_nested(column.type):
        return pc.if_else(column.is_valid(), pa.scalar("nested"), pa.scalar(None, pa.string()))
    return column


def _short_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of which each text was read once, with its texts; long ones, which no number is, are made short."""
    import pyarrow.compute as pc

    chunks = []
    for chunk in column.chunks:
        texts = chunk.dictionary
        texts = pc.if_else(pc.less_equal(pc.binary_length(texts), _LONGEST_NUMBER), texts, "text")
        chunks.append(pa.DictionaryArray.from_arrays(chunk.indices, texts).dictionary_decode())
    return pa.chunked_array(chunks, column.type.value_type)


#: One entry per read of a remote file, and per call of Arrow that may read one.
_active: list[object] = []
#: Seconds in which a thread of Arrow's has passed on the end of its read, and until when one may still do so after a
#: read failed: Arrow then no longer waits for the others.
_HANDOVER = 2.0
_quiet_from = [0.0]


@contextmanager
def _counted() -> Iterator[None]:
    entry = object()
    _active.append(entry)
    try:
        yield
    except BaseException:
        _quiet_from[0] = time.monotonic() + _HANDOVER
        raise
    finally:
        if _quiet_from[0]:
            _quiet_from[0] = time.monotonic() + _HANDOVER
        _active.remove(entry)


@contextmanager
def _arrow_reads() -> Iterator[None]:
    """What a broken file makes Arrow say, in our words: its own may hold whatever the file does."""
    try:
        with _counted():
            yield
    except (pa.ArrowException, OSError):
        raise RequestError("an export is damaged") from None


@atexit.register
def _end_reads() -> None:
    """Stop all reads: a thread of Arrow that reads while Python ends would abort the program."""
    program_ends.set()
    until = time.monotonic() + 5.0
    while (now := time.monotonic()) < until and (_active or now < _quiet_from[0]):
        time.sleep(0.01)
