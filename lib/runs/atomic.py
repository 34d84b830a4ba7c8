"""Atomic writes: a file is there whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.study import InputError

ASIDE = ".aside-"


class StoreError(InputError):
    """The store cannot be read or written."""


@contextmanager
def store_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a StoreError of one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            message = f"There is no space left to write in {folder}: free some, or name another folder in DETACH_STORE."
        elif error.errno in {errno.EEXIST, errno.ENOTDIR}:
            message = f"{folder} cannot be written: part of that path is a file, not a folder."
        else:
            message = f"{folder} cannot be written ({error.strerror or error})."
        raise StoreError(message) from None


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
        with store_errors(self.path.parent):
            try:
                with self.aside.open("rb") as file:
                    os.fsync(file.fileno())
                self.aside.replace(self.path)
            finally:
                self.aside.unlink(missing_ok=True)


def stage(path: Path, write: Callable[[Path], object]) -> Staged:
    """Let `write` fill a file aside; StoreError as in `Staged.settle`."""
    with store_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=ASIDE)
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
