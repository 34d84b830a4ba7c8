"""A real server for the tests: the app under `streamlit run`."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
#: Milliseconds that a condition may take on a slow machine; nothing waits this long where things work.
PATIENCE = 60_000


class Server:
    """A `streamlit run` of the app, or of another script, on a free port, with a store of its own."""

    def __init__(self, folder: Path, script: Path = ROOT / "streamlit_app.py", **environment: str) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log, self._store = folder / "server.log", folder / "store"
        env = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "STREAMLIT_"))}
        env |= {"DETACH_STORE": str(self._store), "NETRC": str(folder / "netrc"), "PYTHONUNBUFFERED": "1"}
        env |= environment
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
        command += ["--server.address", "127.0.0.1", "--server.port", str(self.port)]
        command += ["--server.fileWatcherType", "none"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> "Server":
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"The server ended with {self._process.returncode}:\n{self.log()}")
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as answer:
                    if answer.read() == b"ok":
                        return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"The server did not come up:\n{self.log()}")

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return self._process.pid

    def stop(self) -> None:
        """End the server."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def forget_studies(self) -> None:
        """Delete the studies that visitors saved."""
        shutil.rmtree(self._store / "studies", ignore_errors=True)

    def log(self) -> str:
        """The server's log so far."""
        return self._log.read_text(errors="replace")

    def state(self) -> str:
        """Whether the server is alive."""
        code = self._process.poll()
        return "alive" if code is None else f"ended with {code}"

    def warnings(self) -> list[str]:
        """Lines of the log that look like an error or a warning, and whether the server ended."""
        pattern = re.compile(r"traceback|exception|error|warning|deprecat", re.IGNORECASE)
        ended = [] if self._process.poll() is None else [f"the server {self.state()}"]
        return [line for line in self.log().splitlines() if pattern.search(line)] + ended

    def address(self, page: str = "", **query: str) -> str:
        """The address of a page with a query."""
        return f"{self.url}/{'' if page == 'overview' else page}" + (f"?{urlencode(query)}" if query else "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
