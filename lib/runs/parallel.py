"""Something computed of each of many runs: by threads of this process, or by the workers that a context names."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from lib.study import InputError

T = TypeVar("T")
R = TypeVar("R")

#: Calls under way at once for each CPU core, and on workers elsewhere: their results wait in memory until they are taken.
_PER_CORE, _ELSEWHERE = 2, 64
_workers: ContextVar[Executor | None] = ContextVar("workers", default=None)


def cpu_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def computing_on(workers: Executor | None) -> Iterator[None]:
    """Let `each` call its functions on these workers, which see the store; None: by threads of this process."""
    token = _workers.set(workers)
    try:
        yield
    finally:
        _workers.reset(token)


def each(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What a function gives for each item, in order; few results wait at a time, however many items there are.

    On workers elsewhere the function and the items are pickled. What none of them could do is done here.
    """
    workers = _workers.get()
    if workers is not None:
        for item, future in in_order(workers, _ELSEWHERE, function, items):
            try:
                result = future.result()
            except InputError:
                raise
            except Exception:  # noqa: BLE001 - a worker that died, or that lacks something; an error of the call comes again
                result = function(item)
            yield result
        return
    cores = cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        for _, future in in_order(pool, _PER_CORE * cores, function, items):
            yield future.result()


def in_order(
    workers: Executor, most: int, function: Callable[[T], R], items: Iterable[T]
) -> Iterator[tuple[T, Future[R]]]:
    """The items with what is to come of a function of them, in order; at most so many of them are under way."""
    pending = deque[tuple[T, Future[R]]]()
    try:
        for item in items:
            pending.append((item, workers.submit(function, item)))
            if len(pending) >= most:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        for _, future in pending:
            future.cancel()
