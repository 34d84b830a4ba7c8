"""The limits of a fetch: one deadline per piece of work, memory shared by the runs under way, daemon threads."""

import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from lib.runs import cpu_count

#: What the runs under way may hold of their exports together, in bytes.
MEMORY = 96 << 20
#: Seconds after which a thread without work ends, and between two looks at a deadline.
_IDLE, _TICK = 30.0, 0.05
_CONNECT = 10.0
_TRIES_IN_DEADLINE = 3

T = TypeVar("T")

#: Set when the program ends: whoever waits for a server then stops.
program_ends = threading.Event()


class RequestError(Exception):
    """A request that failed for good; the message holds no address and no key."""


class RefusalError(RequestError):
    """The server answered that this may not be read, or is not there."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server refused it ({status})")
        self.status = status


class DeadlineError(RequestError):
    """The deadline has passed."""


class StopFetch(Exception):
    """The user stopped the fetch."""


class Deadline:
    """When a piece of work must be done, whatever the server does, and whether anybody still waits for it."""

    def __init__(self, seconds: float, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.seconds, self._cancelled = seconds, cancelled
        self._end = time.monotonic() + seconds

    def check_cancelled(self) -> None:
        """Raise `StopFetch` where nobody waits any more."""
        if program_ends.is_set() or self._cancelled():
            raise StopFetch

    def check(self) -> None:
        """Raise `StopFetch` or `DeadlineError` where there is no sense in going on."""
        self.check_cancelled()
        if time.monotonic() > self._end:
            raise DeadlineError(f"it took longer than {self.seconds:g} s")

    def sleep(self, seconds: float) -> None:
        """Wait, no longer than there is sense in it."""
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(remaining, _TICK))

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do not count a wait that is no fault of the server."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._end += time.monotonic() - start

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to wait for a connection and between two bytes, so that one silent answer leaves time for others."""
        seconds = max(0.1, self.seconds / _TRIES_IN_DEADLINE)
        return min(_CONNECT, seconds), seconds


class MemoryBudget:
    """Bytes that the runs under way may take together; a run that needs more than all of it waits to be alone."""

    def __init__(self, size: int = MEMORY) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, size: int, deadline: Deadline) -> Iterator[None]:
        """Hold so many bytes while the context lasts; waiting for other runs does not count for the deadline.

        Raises
        ------
        StopFetch
        """
        size = min(size, self._size)
        with self._changed:
            while self._free < size:
                with deadline.pause():
                    self._changed.wait(_TICK)
                deadline.check()
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


class _DaemonPool:
    """Threads for calls, as many as there are calls at a time but no more than `size`.

    Not a ThreadPoolExecutor: Python waits for its threads at exit, and a server may keep one of them waiting.
    """

    def __init__(self, size: int) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        # `_idle` is the threads that wait for a call less the calls that wait for a thread: below 0 when all are busy.
        self._lock, self._unstarted, self._idle = threading.Lock(), size, 0

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        with self._lock:
            if self._idle <= 0 and self._unstarted > 0:
                self._unstarted -= 1
                threading.Thread(target=self._work, daemon=True).start()
            else:
                self._idle -= 1
        self._calls.put((future, call))
        return future

    def _work(self) -> None:
        while True:
            try:
                future, call = self._calls.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle, self._unstarted = self._idle - 1, self._unstarted + 1
                        return
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - handed on to the thread that waits
                future.set_exception(error)
            del future, call
            with self._lock:
                self._idle += 1


#: For calls that wait, and for calls that compute: memory that many threads take one after the other is never returned.
_waiting, _computing = _DaemonPool(sys.maxsize), _DaemonPool(max(2, cpu_count()))


def in_background(call: Callable[[], T]) -> "Future[T]":
    """The result to come of a call made in a thread that keeps no process alive."""
    return _waiting.submit(call)


def in_compute_thread(call: Callable[[], T]) -> T:
    """The result of a call made in one of the few threads in which downloads become histories."""
    return _computing.submit(call).result()


def within(deadline: Deadline, call: Callable[[], T]) -> T:
    """The result of a call, which is left behind in its thread where the deadline passes first.

    Raises
    ------
    DeadlineError, StopFetch, and whatever the call raises.
    """
    future = in_background(call)
    while not wait([future], _TICK).done:
        deadline.check()
    return future.result()


def all_results(calls: Sequence[Callable[[], T]], at_once: int = 4) -> list[T]:
    """The results of calls made a few at the same time, in order; the first error, once those beside it have ended."""
    if len(calls) == 1:
        return [calls[0]()]
    results: list[T] = []
    for start in range(0, len(calls), at_once):
        futures = [in_background(call) for call in calls[start : start + at_once]]
        wait(futures)
        results += [future.result() for future in futures]
    return results


class Once(Generic[T]):
    """Results that several threads need: each is made by the first that asks, for which the others wait."""

    def __init__(self) -> None:
        self._lock, self._results = threading.Lock(), dict[Hashable, Future[T]]()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of `make` under this key, or what it raised."""
        with self._lock:
            is_first = key not in self._results
            result = self._results.setdefault(key, Future())
        if is_first:
            try:
                result.set_result(make())
            except BaseException as error:  # noqa: BLE001 - handed on to all who ask
                result.set_exception(error)
        return result.result()
