"""The pool of threads: no call is left without one."""

import threading
import time

import pytest

from lib.sources.cloud import limits
from lib.sources.cloud.limits import _DaemonPool


def wait_until(holds) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_pool_that_was_busy_and_then_idle_for_long_takes_calls_again(monkeypatch, size):
    monkeypatch.setattr(limits, "_IDLE", 0.05)
    pool, gate = _DaemonPool(size), threading.Event()
    futures = [pool.submit(gate.wait) for _ in range(3 * size)]
    assert pool._unstarted == 0
    gate.set()
    assert [future.result(5) for future in futures] == [True] * (3 * size)
    wait_until(lambda: pool._unstarted == size)  # every thread has ended
    assert pool.submit(lambda: "done").result(5) == "done"


def test_a_pool_starts_no_more_threads_than_calls_wait_for():
    pool = _DaemonPool(8)
    for _ in range(20):
        assert pool.submit(lambda: 1).result(5) == 1
        wait_until(lambda: pool._idle == 1)
    assert pool._unstarted == 7


def test_what_ends_a_call_is_handed_on():
    def fails() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _DaemonPool(1).submit(fails).result(5)
