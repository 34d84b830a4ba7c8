"""A fetch in a thread of its own, and what a session fetched of one study."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from lib.formatting import one_line
from lib.runs import Manifest
from lib.sources import Progress, Request
from lib.study import InputError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchResult:
    """A manifest, and a stamp that changes whenever it or its runs do."""

    manifest: Manifest
    stamp: str


class Job:
    """A fetch in a thread of its own: its progress, a way to stop it, and how it ended.

    A quiet one shows no progress on pages. `is_announced` says whether the visitor was told that it ended, or the page
    ran again for it.
    """

    def __init__(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        self.progress = Progress(0, 0, "Asking for the list of runs")
        self.error = ""
        self.ended = 0.0
        self.is_announced = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, fetch: Callable[[Request], Manifest], request: Request) -> None:
        """Begin; the result lands in the session's cache."""
        request = replace(request, progress=self._report, cancelled=self._stop.is_set)
        self._thread = threading.Thread(target=self._run, args=(fetch, request), daemon=True)
        add_script_run_ctx(self._thread, get_script_run_ctx())
        self._thread.start()

    def stop(self) -> None:
        """Ask the fetch to end; the runs that are there stay."""
        self._stop.set()

    @property
    def is_running(self) -> bool:
        """Whether the fetch has not ended yet."""
        return self._thread is not None and self._thread.is_alive()

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def _run(self, fetch: Callable[[Request], Manifest], request: Request) -> None:
        try:
            fetch(request)
        except InputError as error:
            self.error = one_line(str(error), 1000)
        except BaseException as error:  # noqa: BLE001 - a panic of a library too: the page must not try it again by itself
            _log.exception("A fetch ended with an error")
            self.error = f"The fetch ended with an error of this program ({type(error).__name__}); its log says more."
        finally:
            self.ended = time.monotonic()


@dataclass
class StudyFetches:
    """The fetches of one study as one identity.

    `generation` counts them, `job` is the last, `shown` the generation and the runs that pages show, and `was_running`
    whether the job ran when the page last asked for runs.
    """

    generation: int = 0
    job: Job | None = None
    shown: tuple[int, FetchResult | None] | None = None
    was_running: bool = False
