"""One run's Parquet file in the store: write it, read it, verify it."""

import hashlib
import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.formatting import file_name
from lib.runs.atomic import Staged, StoreError, stage
from lib.runs.model import Run, run_from
from lib.runs.reader import LAYOUT
from lib.runs.schema import Points, points_of

_META, _EXTRA, _SUM = "run", "extra", "crc32"
#: Where a file's footer has the checksum of the file, that of the file with this in its place.
_UNSUMMED = b"checksum of this file: 00000000"
_BLOCK, _TRAILER = 1 << 17, 8
#: Numbers that change little from row to row: smaller and faster than Arrow's default. What is fetched is written once
#: and read often, so that speed comes before the last tenth of size.
_FORMAT: dict[str, Any] = {
    "compression": "lz4",
    "use_dictionary": ["run_id", "metric"],
    "column_encoding": {"step": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT", "time": "BYTE_STREAM_SPLIT"},
    "write_statistics": ["step"],
    "store_schema": False,
}
_ROWS = 1 << 20
_DAMAGE = (OSError, pl.exceptions.PolarsError, pa.ArrowException, KeyError, ValueError, TypeError)


def run_file_name(run_id: str) -> str:
    """The name of a run's file: its id, made safe for a folder."""
    safe = file_name(run_id)
    mark = "" if safe == run_id else f"-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    return f"{safe}{mark}.parquet"


def write_run(
    folder: Path, run: Run, history: pl.DataFrame | Sequence[Points], extra: Mapping[str, str] | None = None
) -> Run:
    """Write a run's history and its description as one file; the run returned names it.

    `extra` is whatever the source wants to find again with `read_extra`.
    """
    run, staged = stage_run(folder, run, history, extra)
    staged.settle()
    return run


def stage_run(
    folder: Path, run: Run, history: pl.DataFrame | Sequence[Points], extra: Mapping[str, str] | None = None
) -> tuple[Run, Staged]:
    """`write_run`, but for putting the file in its place: waiting for the disk can be left for later."""
    run = replace(run, file=run_file_name(run.id))
    points = points_of(history) if isinstance(history, pl.DataFrame) else history
    meta = {_META: json.dumps(asdict(run), default=str), _EXTRA: json.dumps(dict(extra or {}))}

    return run, stage(folder / run.file, lambda aside: _write_points(aside, run.id, points, meta))


def _write_points(path: Path, run_id: str, points: Sequence[Points], meta: Mapping[str, str]) -> None:
    """The stretches one after the other, each in row groups of its own."""
    schema, sink, metrics = _schema(points), pa.BufferOutputStream(), list[str | None]()
    with pq.ParquetWriter(sink, schema, **_FORMAT) as writer:
        for p in points:
            arrow = _arrow(run_id, p, schema)
            for start in range(0, len(arrow), _ROWS):
                writer.write_table(arrow.slice(start, _ROWS), row_group_size=_ROWS)
                metrics.append(p.metric)
        writer.add_key_value_metadata({**meta, LAYOUT: json.dumps({"metrics": metrics}), _SUM: _UNSUMMED.decode()})
    content = memoryview(sink.getvalue())
    at = _footer(bytes(content[-_TRAILER:]), len(content))
    body, footer = content[:at], bytes(content[at:])
    with path.open("wb") as file:
        file.write(body)
        file.write(footer.replace(_UNSUMMED, _summed(footer, zlib.crc32(body)).encode(), 1))


def _schema(points: Sequence[Points]) -> pa.Schema:
    """Columns that hold no null say so, which halves the time to write and to read them."""

    def lacks(column: str) -> bool:
        return any(p.frame[column].null_count() for p in points)

    names = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("run_id", names, nullable=False),
            pa.field("metric", names, nullable=any(p.metric is None for p in points)),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("value", pa.float64(), nullable=lacks("value")),
            pa.field("time", pa.float64(), nullable=lacks("time")),
        ]
    )


def _arrow(run_id: str, points: Points, schema: pa.Schema) -> pa.Table:
    count = len(points.frame)
    same = pa.array(np.zeros(count, dtype=np.int32))
    names = [
        pa.DictionaryArray.from_arrays(same, pa.array([name], pa.string()))
        if name is not None
        else pa.nulls(count, pa.dictionary(pa.int32(), pa.string()))
        for name in (run_id, points.metric)
    ]
    return pa.Table.from_arrays([*names, *(column.to_arrow() for column in points.frame)], schema=schema)


def read_run(path: Path) -> Run:
    """The description of a run that `write_run` put into its file, whose checksum is verified.

    Raises
    ------
    StoreError
        Where the file is not one of the store's, or is damaged.
    """
    return read_extra(path)[0]


def read_extra(path: Path) -> tuple[Run, dict[str, str]]:
    """The same, and what its source wrote beside it."""
    try:
        meta = pl.read_parquet_metadata(path)
        with path.open("rb", buffering=0) as file:
            _verify(file, meta)
        return run_from(json.loads(meta[_META])), json.loads(meta.get(_EXTRA, "{}"))
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def is_whole(content: bytes) -> bool:
    """Whether a run's file, of which this is the content, is what was written."""
    try:
        _verify(io.BytesIO(content), pl.read_parquet_metadata(io.BytesIO(content)))
    except _DAMAGE:
        return False
    return True


def _verify(file: io.RawIOBase | io.BytesIO, meta: Mapping[str, str]) -> None:
    """Raise ValueError or what Arrow does where a file is not what was written."""
    if _SUM not in meta:
        # Written before there was one checksum of all: each page has its own.
        paged = pq.ParquetFile(file, page_checksum_verification=True)
        for group in range(paged.num_row_groups):
            paged.read_row_group(group, use_threads=False)
        return
    size = file.seek(-_TRAILER, os.SEEK_END) + _TRAILER
    at = _footer(file.read(_TRAILER) or b"", size)
    file.seek(0)
    found = 0
    for start in range(0, at, _BLOCK):
        found = zlib.crc32(file.read(min(_BLOCK, at - start)) or b"", found)
    footer = (file.read() or b"").replace(meta[_SUM].encode(), _UNSUMMED, 1)
    if meta[_SUM] != _summed(footer, found):
        raise ValueError("checksum")


def _footer(trailer: bytes, size: int) -> int:
    """Where a Parquet file's footer begins."""
    return max(0, size - _TRAILER - int.from_bytes(trailer[:4], "little"))


def _summed(footer: bytes, before: int) -> str:
    """The checksum of a file as its footer has it, from that of what comes before the footer."""
    return f"{_UNSUMMED[:-8].decode()}{zlib.crc32(footer, before):08x}"


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path.name} is damaged or not a run's file ({type(error).__name__}).")
