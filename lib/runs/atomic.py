"""Atomic writes: a file is there whole or not at all."""

import errno
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lib.formatting import one_line
from lib.study import InputError

TEMPORARY = ".aside-"
#: The name of what is written aside tells the machine and the process: another one knows whether its writer is gone.
_MACHINE, _PROCESS = re.sub(r"[^A-Za-z0-9]", "_", platform.node()), secrets.token_hex(4)
_OWNER = re.compile(re.escape(TEMPORARY) + r"([A-Za-z0-9_]*)-([0-9]{1,9})-([0-9a-f]{8})-")
#: Nobody writes for so many seconds.
_LONGEST_WRITE = 24 * 3600.0


class StoreError(InputError):
    """The store cannot be read or written."""


@contextmanager
def store_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a StoreError of one sentence."""
    try:
        yield
    except OSError as error:
        name = one_line(str(folder))
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            message = (
                f"There is no space left in {name}: free some, or name another folder (the store: in DETACH_STORE)."
            )
        elif error.errno in {errno.EEXIST, errno.ENOTDIR}:
            message = f"{name} cannot be written: part of that path is a file, not a folder."
        else:
            message = f"{name} cannot be written ({error.strerror or error})."
        raise StoreError(message) from None


@dataclass(frozen=True)
class StagedFile:
    """A file that is written to a temporary one beside it, to be put in its place."""

    path: Path
    temporary: Path

    def settle(self) -> None:
        """Put the file in its place, once it is on the disk: a reader sees the old file or the new one, whole.

        Raises
        ------
        StoreError
            Where the folder cannot be written, naming it.
        """
        with store_errors(self.path.parent):
            try:
                with self.temporary.open("rb") as file:
                    os.fsync(file.fileno())
                self.temporary.replace(self.path)
            finally:
                self.temporary.unlink(missing_ok=True)


def temporary_prefix() -> str:
    """How the names of this process's files and folders aside begin."""
    return f"{TEMPORARY}{_MACHINE}-{os.getpid()}-{_PROCESS}-"


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove those of some paths that writers left aside when they were killed."""
    for path in paths:
        with suppress(OSError):
            if _is_left(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_left(path: Path) -> bool:
    """Whether a path is one aside to which nobody writes any more."""
    owner = _OWNER.match(path.name)
    if not path.name.startswith(TEMPORARY):
        return False
    if time.time() - path.stat().st_mtime > _LONGEST_WRITE:
        return True
    if owner is None or owner[1] != _MACHINE:
        return False
    if int(owner[2]) == os.getpid():
        return owner[3] != _PROCESS
    try:
        os.kill(int(owner[2]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def stage(path: Path, write: Callable[[Path], object]) -> StagedFile:
    """Let `write` fill a temporary file beside `path`; StoreError as in `StagedFile.settle`."""
    with store_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix())
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return StagedFile(path, temporary)


def put(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write bytes atomically, for the user alone or for everybody to read.

    Raises
    ------
    StoreError
        Where the folder cannot be written.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        if shared:
            temporary.chmod(0o644)

    stage(path, write).settle()
