"""One run's Parquet file in the store: write it, read it, verify it."""

import hashlib
import io
import json
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
from lib.runs.atomic import StagedFile, StoreError, stage
from lib.runs.model import Run, run_from
from lib.runs.reader import LAYOUT
from lib.runs.schema import Points

#: Characters of a run id in its file's name: file systems take 255 bytes with what is added to it.
_LONGEST_NAME = 120
_META, _EXTRA, _CHECKSUM = "run", "extra", "crc32"
#: The footer of a file holds its checksum: that of the file with this in the checksum's place. It covers the footer
#: too, which the checksums that Parquet has for its pages do not.
_BLANK = b"checksum of this file: 00000000"
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
_DAMAGE = (
    OSError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    pa.ArrowException,
    KeyError,
    ValueError,
    TypeError,
    RecursionError,
)


def run_file_name(run_id: str) -> str:
    """The name of a run's file: its id, made safe for a folder."""
    safe = file_name(run_id)[:_LONGEST_NAME]
    mark = "" if safe == run_id else f"-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    return f"{safe}{mark}.parquet"


def write_run(folder: Path, run: Run, points: Sequence[Points], extra: Mapping[str, str] | None = None) -> Run:
    """Write a run's history and its description as one file; the run returned names it.

    `extra` is whatever the source wants to find again with `read_extra`.
    """
    run, staged = stage_run(folder, run, points, extra)
    staged.settle()
    return run


def stage_run(
    folder: Path, run: Run, points: Sequence[Points], extra: Mapping[str, str] | None = None
) -> tuple[Run, StagedFile]:
    """`write_run`, but for putting the file in its place: waiting for the disk can be left for later."""
    run = replace(run, file=run_file_name(run.id))
    meta = {_META: json.dumps(asdict(run), default=str), _EXTRA: json.dumps(dict(extra or {}))}
    return run, stage(folder / run.file, lambda path: path.write_bytes(_content(run.id, points, meta)))


def _content(run_id: str, points: Sequence[Points], meta: Mapping[str, str]) -> bytes:
    """A run's file: one metric after the other, each in row groups of its own."""
    schema, file, metrics = _schema(points), io.BytesIO(), list[str | None]()
    with pq.ParquetWriter(file, schema, **_FORMAT) as writer:
        for p in points:
            arrow = _arrow(run_id, p, schema)
            for start in range(0, len(arrow), _ROWS):
                writer.write_table(arrow.slice(start, _ROWS), row_group_size=_ROWS)
                metrics.append(p.metric)
        layout = json.dumps({"metrics": metrics})
        writer.add_key_value_metadata({**meta, LAYOUT: layout, _CHECKSUM: _BLANK.decode()})
    content = file.getvalue()
    place = content.rindex(_BLANK)
    return content[:place] + _checksum(content, place) + content[place + len(_BLANK) :]


def _checksum(content: bytes, place: int) -> bytes:
    """The checksum of a file in whose content it stands, or will stand, at a place."""
    before, after = memoryview(content)[:place], memoryview(content)[place + len(_BLANK) :]
    return _BLANK[:-8] + b"%08x" % zlib.crc32(after, zlib.crc32(_BLANK, zlib.crc32(before)))


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
        meta = _verified_metadata(path.read_bytes())
        return run_from(json.loads(meta[_META])), json.loads(meta.get(_EXTRA, "{}"))
    except _DAMAGE as error:
        raise StoreError(f"{path.name} is damaged or not a run's file ({type(error).__name__}).") from None


def is_whole(content: bytes) -> bool:
    """Whether a run's file, of which this is the content, is what was written."""
    try:
        _verified_metadata(content)
    except _DAMAGE:
        return False
    return True


def _verified_metadata(content: bytes) -> dict[str, str]:
    """The metadata of a file; one of `_DAMAGE` where it is not what was written.

    Files of the first version have neither a checksum nor a layout, only the checksums of Parquet's pages.
    """
    meta = pl.read_parquet_metadata(io.BytesIO(content))
    if not {_CHECKSUM, LAYOUT} & meta.keys():
        pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read()
        return meta
    checksum = meta[_CHECKSUM].encode()
    if _checksum(content, content.rindex(checksum)) != checksum:
        raise ValueError("checksum")
    return meta
