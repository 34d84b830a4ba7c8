"""One case and its outcome, and the worker processes that try many of them under a deadline."""

import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.study import InputError

#: Seconds that a refusal may take, and that a watcher waits beyond it before it kills the worker.
LIMIT, GRACE = 5.0, 5.0
#: The most memory of a process that tries a case, in MB.
MEMORY = 400


class WrongNumbers(Exception):
    """The product gave other numbers than it was given, and said nothing."""


class _Late(BaseException):
    """A case took longer than its limit."""


@dataclass(frozen=True)
class Outcome:
    """How one case ended: `read`, `refused`, `traceback`, `hang`, `wrong`, `long` (several lines) or `large` (memory)."""

    seed: int
    kind: str
    message: str
    seconds: float
    peak: int


@dataclass(frozen=True)
class Kind:
    """A kind of input: what makes a case of a seed and tries it, and the seconds that one may take.

    `attempt` gets a seed and an empty folder; it returns what the product said of an input that it read ("" where nothing),
    raises `InputError` where it refused the input, and `WrongNumbers`. `is_alone` gives every case a process of its own,
    which takes at most `memory` MB.
    """

    name: str
    attempt: Callable[[int, Path], str]
    count: int
    limit: float = LIMIT
    is_alone: bool = False
    memory: int = MEMORY


@dataclass
class Tally:
    """The outcomes of one kind."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, kind: str) -> int:
        """How many cases ended so."""
        return sum(outcome.kind == kind for outcome in self.outcomes)

    @property
    def bad(self) -> list[Outcome]:
        """The outcomes that should not be."""
        return [outcome for outcome in self.outcomes if outcome.kind not in ("read", "refused")]

    @property
    def peak(self) -> int:
        """The most memory that a worker took, in MB."""
        return max((outcome.peak for outcome in self.outcomes), default=0)

    @property
    def longest(self) -> float:
        """The seconds of the longest case."""
        return max((outcome.seconds for outcome in self.outcomes), default=0.0)


def attempt(kind: Kind, seed: int, folder: Path) -> Outcome:
    """Try one case in this process."""
    start_clock()
    word, message = _judged(kind, seed, folder)
    seconds, peak = elapsed(), peak_memory()
    if peak > kind.memory and word in ("read", "refused"):
        word, message = "large", f"{peak} MB: {message}"
    return Outcome(seed, word, message, seconds, peak)


_clock = [0.0]


def start_clock() -> None:
    """Count time and memory from here on: a case that makes a large input says when it is made."""
    peak_memory()
    _clock[0] = time.perf_counter()


def elapsed() -> float:
    """Seconds since the clock was started."""
    return time.perf_counter() - _clock[0]


def _judged(kind: Kind, seed: int, folder: Path) -> tuple[str, str]:
    signal.setitimer(signal.ITIMER_REAL, kind.limit)
    try:
        message = kind.attempt(seed, folder)
        return ("read" if _is_one_line(message) else "long"), message
    except InputError as error:
        message = str(error)
        return ("refused" if 0 < len(message) <= 1000 and _is_one_line(message) else "long"), message
    except WrongNumbers as error:
        return "wrong", str(error)
    except _Late:
        return "hang", _last_lines()
    except BaseException:  # noqa: BLE001 - a panic of a library is one too
        return "traceback", _last_lines()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _is_one_line(message: str) -> bool:
    return not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in message)


def _last_lines() -> str:
    """Where the error came from: the last lines of its traceback."""
    text = traceback.format_exc().strip().splitlines()
    return " | ".join(line.strip() for line in text[-6:])[-600:]


def peak_memory() -> int:
    """The most memory that this process has taken since the last look, in MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    peak = re.search(r"VmHWM:\s+(\d+)", status.read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(peak.group(1)) // 1024 if peak else 0


def try_all(kind: Kind, seeds: Sequence[int], processes: int) -> Tally:
    """Try the cases of these seeds in worker processes; one that does not come back is killed, and its case is a hang."""
    tally, start = Tally(kind.name), time.perf_counter()
    shares = [list(seeds[i::processes]) for i in range(processes)]
    workers = [_Worker(kind, share) for share in shares if share]
    while any(worker.is_busy for worker in workers):
        for worker in workers:
            worker.look()
        time.sleep(0.01)
    tally.outcomes = [outcome for worker in workers for outcome in worker.outcomes]
    tally.seconds = time.perf_counter() - start
    return tally


class _Worker:
    """A process that tries cases, and is started anew where it hangs or dies."""

    def __init__(self, kind: Kind, seeds: list[int]) -> None:
        self._kind, self._seeds = kind, seeds
        self.outcomes: list[Outcome] = []
        self._start()

    @property
    def is_busy(self) -> bool:
        return bool(self._seeds)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, pipe = context.Pipe()
        seeds = self._seeds[:1] if self._kind.is_alone else self._seeds
        self._process = context.Process(target=_work, args=(self._kind, seeds, pipe), daemon=True)
        self._process.start()
        pipe.close()
        self._since: float | None = None

    def look(self) -> None:
        if not self._seeds:
            return
        try:
            while self._pipe.poll():
                answer: Any = self._pipe.recv()
                if answer is not None:
                    self.outcomes.append(answer)
                    self._seeds.remove(answer.seed)
                self._since = time.monotonic()
        except EOFError:
            self._process.join()
            if self._process.exitcode:
                self._replace("traceback", "the process died")
            else:
                self._start()
        if self._seeds and self._since and time.monotonic() - self._since > self._kind.limit + GRACE:
            self._replace("hang", "the process did not come back")

    def _replace(self, word: str, message: str) -> None:
        self._process.kill()
        self._process.join()
        if self._seeds:
            seed = self._seeds.pop(0)
            self.outcomes.append(Outcome(seed, word, message, self._kind.limit, 0))
        if self._seeds:
            self._start()


def _work(kind: Kind, seeds: list[int], pipe: Any) -> None:
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stderr.fileno())

    def late(*_: object) -> None:
        raise _Late

    signal.signal(signal.SIGALRM, late)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DETACH_STORE"] = f"{scratch}/store"
        peak_memory()
        pipe.send(None)
        for seed in seeds:
            folder = Path(scratch) / f"case-{seed}"
            folder.mkdir()
            pipe.send(attempt(kind, seed, folder))
    pipe.close()
