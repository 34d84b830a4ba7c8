"""Arrays computed from the rows of one run, kept on disk beside the runs: a second look reads them and no rows."""

import hashlib
import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.runs.atomic import StoreError, stage
from lib.runs.quota import remove_old
from lib.versions import versions

#: The folder of what is kept, below that of the runs: it is cleared with them.
FOLDER = "computed"
_DIGEST = 16
#: A folder that was used within so many seconds does not say so again.
_USED_WITHIN = 3600.0


def kept_array(run_file: Path, stamp: str, rule: str, own: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """What `compute` gives of a run's rows: as it was kept, or computed now and kept.

    What is kept serves only the same rule for the same file of the run, the code and the packages that computed it, and only
    as it was written. Where it cannot be written, it is computed each time.

    Parameters
    ----------
    stamp : of the run; "" keeps nothing.
    rule : what is computed, alike for many runs, with everything it depends on but the run.
    own : what else it depends on for this run.
    """
    try:
        status = run_file.stat() if stamp else None
    except OSError:
        status = None
    if status is None:
        return compute()
    folder = run_file.parent / FOLDER / hashlib.sha256(rule.encode()).hexdigest()[:24]
    file = f"{stamp}\0{status.st_mtime_ns}\0{status.st_size}"
    mark = "\0".join((rule, own, file, *versions().values())).encode()
    path = folder / f"{run_file.stem}.npy"
    array = _read(path, mark)
    if array is None:
        array = compute()
        # The store may be full or read-only, or may have been cleared meanwhile.
        with suppress(OSError, StoreError):
            _write(path, mark, array)
    return array


def _digest(mark: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST, key=hashlib.sha256(mark).digest()).digest()


def _read(path: Path, mark: bytes) -> NDArray[Any] | None:
    """The array that was written for this mark; None where there is none, or it is not what was written."""
    try:
        content = path.read_bytes()
        if content[:_DIGEST] != _digest(mark, content[_DIGEST:]):
            return None
        if time.time() - path.parent.stat().st_mtime > _USED_WITHIN:
            with suppress(PermissionError):  # A store that is read-only keeps what it has.
                os.utime(path.parent)
        array: NDArray[Any] = np.load(io.BytesIO(content[_DIGEST:]), allow_pickle=False)
    except (OSError, ValueError):
        return None
    return array


def _write(path: Path, mark: bytes, array: NDArray[Any]) -> None:
    """Write atomically. It need not be on the disk at once: what did not get there whole is computed again."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    content = file.getvalue()
    folder = path.parent
    if not folder.exists():
        # Not with its parents: what was cleared must not come back.
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        remove_old(folder.parent, {folder})
    staged = stage(path, lambda aside: aside.write_bytes(_digest(mark, content) + content))
    staged.aside.replace(path)
