"""Something computed of each of many runs: by threads of this process, or by the workers that a context names."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Calls under way at once for each CPU core, and on workers elsewhere: their results wait in memory until they are taken.
_PER_CORE, _ELSEWHERE = 2, 64
_workers: ContextVar[Executor | None] = ContextVar("workers", default=None)


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

    On workers elsewhere the function and the items are pickled.
    """
    workers = _workers.get()
    if workers is not None:
        yield from _in_order(workers, _ELSEWHERE, function, items)
        return
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        yield from _in_order(pool, _PER_CORE * cores, function, items)


def _in_order(workers: Executor, most: int, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    pending = deque[Future[R]]()
    try:
        for item in items:
            pending.append(workers.submit(function, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
