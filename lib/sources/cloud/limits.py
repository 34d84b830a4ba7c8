"""Limits on the memory that a fetch takes."""

import mmap
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from lib.sources.cloud.http import Stopped, Watch

#: What runs under way may hold of their exports together, in bytes; so many runs may whatever they hold.
BYTES, RUNS = 12 << 20, 4
#: Requests for one run at the same time.
AT_ONCE = 4

T = TypeVar("T")


class Room:
    """Buffers for downloads, so many bytes of them at a time.

    They are used again: memory that is new to a process costs more than what is copied into it, and the heaps of
    threads keep what they once got.
    """

    def __init__(self, size: int = BYTES, runs: int = RUNS) -> None:
        self._size, self._runs = size, runs
        self._taken: list[int] = []
        self._free: list[mmap.mmap] = []
        self._turn = threading.Condition()

    @contextmanager
    def take(self, size: int, watch: Watch) -> Iterator[memoryview]:
        """A buffer for a while, once there is room for it.

        Raises
        ------
        Stopped
        """
        buffer = self._entered(size, watch)
        # Waiting for other runs is not the server's silence.
        watch.beat()
        try:
            yield memoryview(buffer)[:size]
        finally:
            with self._turn:
                self._taken.remove(size)
                self._free.append(buffer)
                self._free.sort(key=len)
                while self._free and sum(map(len, self._free)) > self._size:
                    self._free.pop()
                self._turn.notify_all()

    def _entered(self, size: int, watch: Watch) -> mmap.mmap:
        with self._turn:
            while len(self._taken) >= self._runs and sum(self._taken) + size > self._size:
                if watch.cancelled():
                    raise Stopped
                self._turn.wait(0.1)
            self._taken.append(size)
            fitting = next((held for held in self._free if len(held) >= size), None)
            if fitting is not None:
                self._free.remove(fitting)
                return fitting
            if self._free:
                # Too small by now: larger ones take its place.
                self._free.pop()
        return mmap.mmap(-1, max(1, size + size // 8))


@dataclass(frozen=True)
class _Raised:
    error: BaseException


class Desk:
    """A few threads in which downloads become histories, however many runs are under way.

    Each keeps the memory that a run took for the next one.
    """

    def __init__(self, places: int | None = None) -> None:
        self._todo: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]] | None] = queue.SimpleQueue()
        self._places = places or max(2, os.cpu_count() or 1)
        self._lock, self._open = threading.Lock(), True
        for _ in range(self._places):
            threading.Thread(target=self._work, daemon=True).start()

    def do(self, call: Callable[[], T]) -> T:
        """The result of a call, once there is a place for it; Stopped where the desk was closed."""
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._lock:
            if not self._open:
                raise Stopped
            self._todo.put((call, done))
        result = done.get()
        if isinstance(result, _Raised):
            raise result.error
        return cast(T, result)

    def close(self) -> None:
        """Let the threads end after what is waiting."""
        with self._lock:
            for _ in range(self._places if self._open else 0):
                self._todo.put(None)
            self._open = False

    def _work(self) -> None:
        while (asked := self._todo.get()) is not None:
            call, done = asked
            try:
                done.put(call())
            except BaseException as error:  # noqa: BLE001 - handed on to the thread that asked
                done.put(_Raised(error))
            del asked, call, done


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of calls made at the same time, a few in a thread each; where any fails, the first that did, once all ended."""
    todo: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()
    for numbered in enumerate(calls):
        todo.put(numbered)
    results, errors = dict[int, T](), list[Exception]()

    def work() -> None:
        while not errors:
            try:
                at, call = todo.get_nowait()
            except queue.Empty:
                return
            try:
                results[at] = call()
            except Exception as error:  # noqa: BLE001 - handed on to the thread that asked
                errors.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(calls)) - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return [results[at] for at in range(len(calls))]
