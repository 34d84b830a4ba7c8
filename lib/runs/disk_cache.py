"""A cache on disk, beside the runs, of arrays computed from the rows of one run: a second look reads no rows."""

import hashlib
import os
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lib.runs.atomic import StoreError, stage
from lib.runs.quota import remove_old
from lib.versions import versions

#: The folder of the cache, below that of the runs: it is cleared with them.
FOLDER = "computed"
#: The rule of what takes few bytes.
NUMBERS = "numbers"
#: What precedes an array in a file: a digest of its mark, one of its content, and the bytes of the content.
_HEAD = struct.Struct("<16s16sQ")
#: A file of so many bytes begins anew: most of it is of settings that were left.
_LARGEST = 4 << 20
#: A folder that was used within so many seconds does not say so again.
_USED_WITHIN = 3600.0


def cached_arrays(
    run_file: Path, stamp: str, rule: str, dtype: DTypeLike, compute: Mapping[str, Callable[[], NDArray[Any]]]
) -> list[NDArray[Any]]:
    """Arrays computed from a run's rows: from the cache, or computed and written to it.

    An entry serves only the same file of the run, the same code and the same packages, and only as it was written.
    Where it cannot be written, it is computed each time.

    Parameters
    ----------
    stamp : of the run; "" caches nothing.
    rule : what is stored and removed together; each run has one file for it.
    dtype : of the arrays, which have one dimension.
    compute : by a name that tells everything an array depends on but the run, the function that computes it.

    Returns
    -------
    The arrays, in the order of `compute`.
    """
    try:
        status = run_file.stat() if stamp else None
    except OSError:
        status = None
    if status is None:
        return [call() for call in compute.values()]
    environment = "\0".join(versions().values())
    file = f"{stamp}\0{status.st_mtime_ns}\0{status.st_size}"
    marks = ["\0".join((name, rule, file, environment)).encode() for name in compute]
    path = _folder(run_file, rule) / run_file.stem
    records = _records(path)
    contents = [_verified(records or {}, mark) for mark in marks]
    # Plain bytes: `numpy.load` parses Python, which threads of one process cannot do at once in CPython 3.11.7 (gh-106905).
    arrays = [
        call() if content is None else np.frombuffer(content, dtype).copy()  # a view would hold the whole file
        for content, call in zip(contents, compute.values(), strict=True)
    ]
    new = [
        _record(mark, np.ascontiguousarray(array, dtype).tobytes())
        for mark, content, array in zip(marks, contents, arrays, strict=True)
        if content is None
    ]
    if new:
        # The store may be full or read-only, or may have been cleared meanwhile.
        with suppress(OSError, StoreError):
            _write(path, b"".join(new), {path.parent, _folder(run_file, NUMBERS)}, anew=records is None)
    return arrays


def _folder(run_file: Path, rule: str) -> Path:
    """Where the files of a rule lie: those of other code are never read again."""
    of_rule = "\0".join((rule, *versions().values()))
    return run_file.parent / FOLDER / hashlib.sha256(of_rule.encode()).hexdigest()[:24]


def _records(path: Path) -> dict[bytes, tuple[bytes, memoryview]] | None:
    """The contents of a file with their digests, by the digests of their marks; None where the file must begin anew."""
    try:
        with path.open("rb") as file:
            # Python takes memory for as many bytes as it is asked to read, and a file has far fewer than it may have.
            content = memoryview(file.read(min(os.fstat(file.fileno()).st_size, _LARGEST)))
        if time.time() - path.parent.stat().st_mtime > _USED_WITHIN:
            with suppress(PermissionError):  # A store that is read-only keeps what it has.
                os.utime(path.parent)
    except OSError:
        return None
    records, at = {}, 0
    while at + _HEAD.size <= len(content):
        mark, digest, size = _HEAD.unpack_from(content, at)
        at += _HEAD.size + size
        records[mark] = digest, content[at - size : at]
    # Else it is full, or what was appended last did not get there whole.
    return records if at == len(content) else None


def _verified(records: Mapping[bytes, tuple[bytes, memoryview]], mark: bytes) -> memoryview | None:
    """The content for a mark; None where there is none, or it is not what was written."""
    digest, content = records.get(_digest(mark), (b"", memoryview(b"")))
    return content if digest == _digest(mark, content) else None


def _record(mark: bytes, content: bytes) -> bytes:
    return _HEAD.pack(_digest(mark), _digest(mark, content), len(content)) + content


def _digest(mark: bytes, content: bytes | memoryview = b"") -> bytes:
    return hashlib.blake2b(content, digest_size=16, key=hashlib.sha256(mark).digest()).digest()


def _write(path: Path, records: bytes, in_use: set[Path], *, anew: bool) -> None:
    """Write a file, or append to it. It need not be on the disk at once: what did not get there whole is computed again."""
    folder = path.parent
    if not folder.exists():
        # Not with its parents: what was cleared must not come back.
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        # The bins of thousands of runs exceed any fixed quota, and would be computed anew at every other view.
        runs = folder.parents[1].glob("*.parquet")
        remove_old(folder.parent, in_use, room=sum(run.stat().st_size for run in runs))
    if anew:
        staged = stage(path, lambda temporary: temporary.write_bytes(records))
        staged.temporary.replace(path)
    else:
        with path.open("ab", buffering=0) as file:
            file.write(records)
