"""A cache of arrays in memory, bounded in bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

import numpy as np

Arrays = tuple[np.ndarray, ...]


class ArrayCache:
    """Arrays by name, those used last; a copy in another process is empty.

    Parameters
    ----------
    max_bytes : of all arrays together; 0 caches nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._arrays, self._lock = OrderedDict[Hashable, Arrays](), Lock()

    def __reduce__(self) -> tuple[type["ArrayCache"], tuple[int]]:
        return ArrayCache, (self._max_bytes,)

    def get(self, name: Hashable, read: Callable[[], Arrays]) -> Arrays:
        """The arrays of that name, from `read` where they are not in the cache."""
        if not self._max_bytes:
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
            while self._bytes > self._max_bytes:
                self._bytes -= _size(self._arrays.popitem(last=False)[1])
        return arrays


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays)
