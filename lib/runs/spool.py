"""Rows of many runs that wait in a file, and come back a part of them at a time."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]

#: Bytes of rows that wait in memory rather than in the file.
_IN_MEMORY = 2 << 20


class Spool:
    """Rows, written one run after the other and read a part of all runs after the other: see `open_spool`."""

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any], part_of: Callable[[Rows], NDArray[Any]]) -> None:
        self._file, self._dtype, self._part_of = file, dtype, part_of
        self._waiting: dict[str, list[Rows]] = {}
        self._bytes = 0
        #: By metric and part, where its rows lie in the file, each place followed by its bytes: there may be very many.
        self._places: dict[str, dict[int, array[int]]] = {}

    def add(self, metric: str, rows: Rows) -> None:
        """Take rows of a run."""
        if not len(rows):
            return
        self._waiting.setdefault(metric, []).append(rows)
        self._bytes += rows.nbytes
        if self._bytes > _IN_MEMORY:
            self._write()

    def parts(self, metric: str) -> Iterator[Rows]:
        """The rows of a metric: all runs of one part, in the order in which they came, then all runs of the next."""
        self._write()
        for _, places in sorted(self._places.get(metric, {}).items()):
            yield np.concatenate([self._read(at, size) for at, size in zip(places[::2], places[1::2], strict=True)])

    def _write(self) -> None:
        """Write what waits, each part at a place of its own."""
        for metric, arrays in self._waiting.items():
            rows, places = np.concatenate(arrays), self._places.setdefault(metric, {})
            part = self._part_of(rows)
            order = np.argsort(part, kind="stable")
            rows, part = rows[order], part[order]
            edges = np.flatnonzero(np.diff(part)) + 1
            for number, of_part in zip(part[np.append(0, edges)], np.split(rows, edges), strict=True):
                places.setdefault(int(number), array("q")).extend((self._file.tell(), of_part.nbytes))
                self._file.write(of_part.tobytes())
        self._waiting.clear()
        self._bytes = 0

    def _read(self, at: int, size: int) -> Rows:
        self._file.seek(at)
        return np.frombuffer(self._file.read(size), dtype=self._dtype)


@contextmanager
def open_spool(dtype: np.dtype[Any], part_of: Callable[[Rows], NDArray[Any]]) -> Iterator[Spool]:
    """A spool, and its file while it is open.

    What compares runs row by row needs the rows of all runs, and those of thousands are more than memory should hold.

    Parameters
    ----------
    dtype : of the rows.
    part_of : gives the number of the part that each of some rows is in.
    """
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        yield Spool(file, dtype, part_of)
