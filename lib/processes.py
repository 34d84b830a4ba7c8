"""Processes of this machine that take calls one after the other, behind an `Executor`."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from lib.workers import Result, WorkerError, result_of

#: How often a call is made whose process dies.
_TRIES = 2

T = TypeVar("T")


class Processes(Executor):
    """Processes with one call each at a time, for work that holds Python's lock; errors are those of `Cluster`.

    Not a ProcessPoolExecutor: Streamlit has its script in the place of the main module, which the processes of that would
    run anew, and one of them that dies takes the calls of all with it.
    """

    def __init__(self, count: int) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], bytes] | None] = SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock, self._has_ended = threading.Lock(), False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> "Future[T]":
        """The result to come of a call in a process; what it needs and returns can be pickled."""
        future: Future[T] = Future()
        self._calls.put((future, pickle.dumps((function, arguments, named))))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; calls that wait or are under way are cancelled."""
        with self._lock:
            self._has_ended = True
            for process in self._processes:
                process.kill()
        for _ in self._threads:
            self._calls.put(None)
        for process in self._processes:
            process.wait()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """Hand calls to one process, and to another one where it dies."""
        process = None
        while (call := self._calls.get()) is not None:
            future, content = call
            for _ in range(_TRIES):
                if self._has_ended or future.cancelled():
                    future.cancel()
                    future.set_running_or_notify_cancel()
                    break
                process = process or self._start()
                result = _answer(process, content)
                if result is not None:
                    result.hand_on(future)
                    break
                code, process = process.wait(), None
            else:
                why = f"signal {-code}" if code < 0 else f"exit status {code}"
                error = WorkerError(f"the process that took it died {_TRIES} times, {why}")
                Result(error=error).hand_on(future)
        if process is not None:
            _end(process)

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            # As this process imports; and no more threads than calls.
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # noqa: PTH109
            "POLARS_MAX_THREADS": "1",
        }
        with self._lock:
            process = subprocess.Popen(
                [sys.executable, "-m", "lib.processes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the process that asks
            )
            self._processes.append(process)
            if self._has_ended:
                process.kill()
        return process


def _answer(process: "subprocess.Popen[bytes]", content: bytes) -> Result | None:
    """What a process says to a call; None where it has died."""
    assert process.stdin and process.stdout
    try:
        pickle.dump(content, process.stdin)
        process.stdin.flush()
        result: Result = pickle.load(process.stdout)  # noqa: S301 - from the process that was started here
    except (OSError, EOFError, pickle.UnpicklingError):
        _end(process)
        return None
    return result


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and close its pipes."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what it did not read any more
            pipe.close()  # type: ignore[union-attr]


def _serve() -> None:
    """Make the calls that come, until no more come."""
    with os.fdopen(os.dup(1), "wb") as answers:
        # What a library prints is no answer.
        os.dup2(2, 1)
        while True:
            try:
                content = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
            except EOFError:
                return
            pickle.dump(result_of(content), answers)
            answers.flush()


if __name__ == "__main__":
    _serve()
