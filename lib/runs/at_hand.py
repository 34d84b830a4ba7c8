"""What was read or computed last stays in memory, up to so many bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

import numpy as np

Arrays = tuple[np.ndarray, ...]


class AtHand:
    """Arrays by name: those asked for last stay. In another process none are."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._arrays, self._lock = OrderedDict[Hashable, Arrays](), Lock()

    def __reduce__(self) -> tuple[type["AtHand"], tuple[int]]:
        return AtHand, (self._most,)

    def get(self, name: Hashable, read: Callable[[], Arrays]) -> Arrays:
        """What `read` gives, or gave before for the same name."""
        if not self._most:
            return read()
        with self._lock:
            if name in self._arrays:
                self._arrays.move_to_end(name)
                return self._arrays[name]
        arrays = read()
        with self._lock:
            if name not in self._arrays:
                self._arrays[name] = arrays
                self._bytes += _size(arrays)
            while self._bytes > self._most:
                self._bytes -= _size(self._arrays.popitem(last=False)[1])
        return arrays


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays)
