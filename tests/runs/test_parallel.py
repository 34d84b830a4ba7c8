"""What is computed of each of many runs comes in order, few results at a time, from threads or from given workers."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.runs import StoreError, computing_on, each, parallel


def test_results_come_in_the_order_of_their_items_and_few_wait(monkeypatch):
    monkeypatch.setattr(parallel, "cpu_count", lambda: 2)
    calls = []

    def square(number: int) -> int:
        calls.append(number)
        return number**2

    results = each(square, range(100))
    assert next(results) == 0
    # Two calls for each of two cores, and those that took their places.
    assert len(calls) <= 5
    assert [0, *results] == [n**2 for n in range(100)]


def test_calls_of_several_items_give_the_same_and_one_is_made_at_once():
    def name(_: int) -> str:
        return threading.current_thread().name

    assert [*each(abs, range(100), 7)] == [*range(100)]
    assert [*each(name, range(7), 7)] == [threading.current_thread().name] * 7
    assert [*each(abs, [], 7)] == []


def test_a_call_that_fails_ends_the_others_with_its_own_error():
    with pytest.raises(ZeroDivisionError):
        list(each(lambda n: 1 // (3 - n), range(1000)))


def test_calls_are_made_on_the_workers_of_their_context_alone():
    def name(_: int) -> str:
        return threading.current_thread().name

    with ThreadPoolExecutor(1, "elsewhere") as workers, computing_on(workers):
        assert set(each(name, range(200))) == {"elsewhere_0"}
    assert not any(thread.startswith("elsewhere") for thread in each(name, range(4)))


class Breaking(ThreadPoolExecutor):
    """Workers of which every second call comes to nothing."""

    def submit(self, function, /, *arguments):
        def call(group):
            if group[0] % 2:
                raise error
            return function(group)

        error = self.error
        return super().submit(call, *arguments)


@pytest.mark.parametrize("error", [RuntimeError("the worker died"), StoreError("The run is gone.")])
def test_what_workers_elsewhere_could_not_do_is_done_here(error):
    with Breaking(1) as workers, computing_on(workers):
        workers.error = error
        if isinstance(error, StoreError):
            with pytest.raises(StoreError):
                list(each(abs, range(100)))
        else:
            assert list(each(abs, range(100))) == list(range(100))
