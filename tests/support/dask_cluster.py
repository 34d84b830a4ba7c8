"""A Dask scheduler with workers on loopback, each a process whose log is kept."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from lib.study import StudyError

ROOT = Path(__file__).parents[2]


class DaskCluster:
    """A scheduler and workers, started from this project's folder, that log all they can and know no key."""

    def __init__(self, folder: Path, workers: int = 2, allowed_failures: int = 3) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        options = [
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--scheduler-file",
            str(self._file),
            "--no-show",
            "--no-dashboard",
        ]
        self._failures = str(allowed_failures)
        self.scheduler = self._start("scheduler", *options, "--dashboard-address", "127.0.0.1:0")
        self.workers = [self.start_worker() for _ in range(workers)]

    def start_worker(self) -> "subprocess.Popen[bytes]":
        """One worker more, with one thread."""
        options = ["--scheduler-file", str(self._file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        return self._start("worker", *options, "--local-directory", str(self.folder))

    def _start(self, kind: str, *options: str) -> "subprocess.Popen[bytes]":
        log = (self.folder / f"{kind}-{len(self.processes)}.log").open("wb")
        environment = {name: text for name, text in os.environ.items() if not name.startswith("WANDB_")}
        environment |= {
            "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "debug",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": self._failures,
        }
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    @property
    def address(self) -> str:
        """The scheduler's address, once it listens."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                return str(json.loads(self._file.read_text())["address"])
            except (OSError, ValueError):
                time.sleep(0.05)
        raise TimeoutError(self.logs())

    def logs(self) -> str:
        """All that the scheduler and the workers have written."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def __enter__(self) -> "DaskCluster":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


# ---- calls for a worker, which imports them from here ----------------------------------------------------------------


def refuse(message: str) -> None:
    raise StudyError(message)


def fail(message: str) -> None:
    raise ValueError(message)


def die(file: Path) -> None:
    """End the worker's process, and leave a mark for each time."""
    with file.open("a") as marks:
        marks.write("x")
    os._exit(1)
