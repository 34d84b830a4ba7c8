"""The on-disk store: one Parquet file a run, whole or absent, apart for each identity.

<root>/v1/<identity>/<project>/            a shelf: the runs of one project as one identity may see them
    about.json                             whose runs these are, for people
    .lock                                  held by the one who writes
    runs/<run id>.parquet                  a run's history, with its description in the file's metadata
    studies/<study>.json                   what a study last brought
"""

import errno
import hashlib
import hmac
import io
import json
import os
import re
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from lib.history import SCHEMA_VERSION, Run, run_from
from lib.points import LAYOUT, Points, points_of, spacings
from lib.study import InputError

_META, _EXTRA, _SUM = "run", "extra", "crc32"
#: Where a file's footer has the checksum of the file, that of the file with this in its place.
_UNSUMMED = b"checksum of this file: 00000000"
_BLOCK, _TRAILER = 1 << 17, 8
_LOCK, _ABOUT = ".lock", "about.json"
_ASIDE = ".aside-"
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


class StoreError(InputError):
    """The store cannot be read or written."""


@dataclass(frozen=True)
class Usage:
    """What one shelf takes: its project, its folder, bytes on disk, runs."""

    project: str
    folder: Path
    bytes: int
    runs: int


def store_root() -> Path:
    """The store's folder: `DETACH_STORE`, or the platform's user cache folder."""
    named = os.environ.get("DETACH_STORE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("detach-encoder-study"))


def shelf(server: str, key: str, project: str) -> Path:
    """The folder of one identity's runs of one project (`entity/project`, or a local folder).

    The identity is a keyed hash of server and key under a salt that stays in the store: the key cannot be read back.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", project)[-60:]
    digest = hashlib.sha256(project.encode()).hexdigest()[:8]
    return _shelves(server, key) / f"{safe}-{digest}"


def _shelves(server: str, key: str) -> Path:
    """The folder of one identity."""
    root = store_root()
    mixed = f"{server}\0{key}".encode()
    identity = hmac.new(_salt(root), mixed, hashlib.sha256).hexdigest()[:24] if key else "local"
    return root / f"v{SCHEMA_VERSION}" / identity


def _salt(root: Path) -> bytes:
    """The store's own secret, made once whoever else is about to make it."""
    path = root / "salt"
    with _said(root):
        if not path.exists():
            root.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=root, prefix=_ASIDE)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            try:
                Path(path).hardlink_to(name)
            except FileExistsError:
                pass
            finally:
                Path(name).unlink()
        return path.read_bytes()


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """What the operating system complains of, as a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            said = f"There is no space left to write in {folder}: free some, or name another folder in DETACH_STORE."
        elif error.errno in {errno.EEXIST, errno.ENOTDIR}:
            said = f"{folder} cannot be written: part of that path is a file, not a folder."
        else:
            said = f"{folder} cannot be written ({error.strerror or error})."
        raise StoreError(said) from None


@dataclass(frozen=True)
class Staged:
    """A file that is written aside, to be put in its place."""

    path: Path
    aside: Path

    def settle(self) -> None:
        """Put the file in its place, once it is on the disk: a reader sees the old file or the new one, whole.

        Raises
        ------
        StoreError
            Where the folder cannot be written, naming it.
        """
        with _said(self.path.parent):
            try:
                with self.aside.open("rb") as file:
                    os.fsync(file.fileno())
                self.aside.replace(self.path)
            finally:
                self.aside.unlink(missing_ok=True)


def stage(path: Path, write: Callable[[Path], object]) -> Staged:
    """Let `write` fill a file aside; StoreError as in `Staged.settle`."""
    with _said(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_ASIDE)
        os.close(handle)
        aside = Path(name)
        try:
            write(aside)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        return Staged(path, aside)


def put(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write bytes atomically, for the user alone or for everybody to read.

    Raises
    ------
    StoreError
        Where the folder cannot be written.
    """

    def write(aside: Path) -> None:
        aside.write_bytes(content)
        if shared:
            aside.chmod(0o644)

    stage(path, write).settle()


@contextmanager
def writing(folder: Path, project: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Be the only one who writes to a shelf; what an interrupted writer left aside is cleared away.

    The lock is the operating system's: it is free when its holder has died. Waits for another writer until
    `cancelled`; StoreError then, and where the folder cannot be written.
    """
    with _said(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.2)
            except Timeout:
                if cancelled():
                    raise StoreError("Stopped while another fetch was writing the same runs.") from None
    try:
        for left in folder.rglob(f"{_ASIDE}*"):
            left.unlink(missing_ok=True)
        if not (folder / _ABOUT).exists():
            (folder / _ABOUT).write_bytes(json.dumps({"project": project}).encode())
        yield
    finally:
        lock.release()


def run_file(run_id: str) -> str:
    """The name of a run's file: its id, made safe for a folder."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", run_id)
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
    run = replace(run, file=run_file(run.id))
    points = points_of(history) if isinstance(history, pl.DataFrame) else history
    meta = {_META: json.dumps(asdict(run), default=str), _EXTRA: json.dumps(dict(extra or {}))}

    return run, stage(folder / run.file, lambda aside: _write_points(aside, run.id, points, meta))


def _write_points(path: Path, run_id: str, points: Sequence[Points], meta: Mapping[str, str]) -> None:
    """The stretches one after the other, each in row groups of its own."""
    layout: dict[str, Any] = {"run_id": run_id, "metrics": [], "spacings": []}
    schema, sink = _schema(points), pa.BufferOutputStream()
    last: tuple[np.ndarray, Any] | None = None
    with pq.ParquetWriter(sink, schema, **_FORMAT) as writer:
        for p in points:
            arrow = _arrow(run_id, p, schema)
            step = p.frame["step"].to_numpy()
            # Metrics that are logged together have the same steps.
            if last is None or not np.array_equal(step, last[0]):
                last = step, spacings(step)
            for start in range(0, len(arrow), _ROWS):
                writer.write_table(arrow.slice(start, _ROWS), row_group_size=_ROWS)
                layout["metrics"].append(p.metric)
                layout["spacings"].append(last[1] if len(arrow) <= _ROWS else None)
        writer.add_key_value_metadata({**meta, LAYOUT: json.dumps(layout), _SUM: _UNSUMMED.decode()})
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


def usage(server: str, key: str) -> tuple[Usage, ...]:
    """What this identity has stored, one entry a project, the largest first; a `key` of "" is the local identity."""
    found = [_usage_of(folder) for folder in _shelves(server, key).glob("*/")]
    return tuple(sorted(found, key=lambda u: (-u.bytes, u.folder)))


def _usage_of(folder: Path) -> Usage:
    """What a shelf takes now; a fetch may be writing to it, and take away what it put aside."""
    size, runs = 0, set()
    for at, _, names in os.walk(folder):
        kept = [name for name in names if not name.startswith(".")]
        for name in kept:
            with suppress(FileNotFoundError):
                size += (Path(at) / name).stat().st_size
        runs |= {name for name in kept if name.endswith(".parquet") and Path(at).name != "raw"}
    return Usage(_project(folder), folder, size, len(runs))


def _project(folder: Path) -> str:
    try:
        return str(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["project"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name


def clear(folder: Path) -> None:
    """Remove a shelf (as `shelf` or `usage` name it) with all its runs, once nobody writes to it.

    Raises
    ------
    StoreError
        Where it is no folder of the store, or cannot be removed.
    """
    folder = folder.resolve()
    if not folder.is_relative_to(store_root().resolve()) or folder == store_root().resolve():
        raise StoreError(f"{folder} is not a folder of the store.")
    if not folder.is_dir():
        return
    with writing(folder, folder.name), _said(folder):
        for item in folder.iterdir():
            if item.is_dir():
                shutil.rmtree(item)
            elif item.name != _LOCK:
                item.unlink()
    with _said(folder):
        shutil.rmtree(folder)
