"""Something computed of each of many runs: by threads of this process, or by the workers that a context names."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from lib.study import InputError

T = TypeVar("T")
R = TypeVar("R")

#: Calls under way at once for each CPU core, and on workers elsewhere: their results wait in memory until they are taken.
_PER_CORE, _ELSEWHERE = 2, 64
#: Items of one call, where what is computed of each takes little time and few bytes.
GROUP_SIZE = 32
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


def each(function: Callable[[T], R], items: Iterable[T], group_size: int = 1) -> Iterator[R]:
    """What a function gives for each item, in order; few results wait at a time, however many items there are.

    On workers elsewhere the function and the items are pickled. What none of them could do is done here.

    Parameters
    ----------
    group_size : items of one call, `GROUP_SIZE` where a call for each would take longer than what it does.
    """
    groups, workers = _groups(items, group_size), _workers.get()
    of_group = partial(_of_group, function)
    if workers is not None:
        for group, future in in_order(workers, _ELSEWHERE, of_group, groups):
            try:
                results = future.result()
            except InputError:
                raise
            except Exception:  # noqa: BLE001 - a worker that died, or that lacks something; an error of the call comes again
                results = of_group(group)
            yield from results
        return
    first, second = next(groups, []), next(groups, [])
    if not second:
        yield from map(function, first)
        return
    cores = cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        for _, future in in_order(pool, _PER_CORE * cores, of_group, chain((first, second), groups)):
            yield from future.result()


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while group := [*islice(remaining, size)]:
        yield group


def _of_group(function: Callable[[T], R], group: list[T]) -> list[R]:
    return [function(item) for item in group]


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
