"""Work in a thread of its own: the fetches of a study, the listing of runs."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from lib.formatting import one_line
from lib.runs import Manifest
from lib.sources import Progress, StopFetch
from lib.study import InputError

if TYPE_CHECKING:
    from lib.discover import Inspection

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class FetchResult:
    """A manifest, and a stamp that changes whenever it or its runs do."""

    manifest: Manifest
    stamp: str


class Job(Generic[T]):
    """Work in a thread of its own: its progress, a way to stop it, and how it ended.

    A quiet one shows no progress on pages. `is_announced` says whether the visitor was told that it ended, or the page
    ran again for it.

    Parameters
    ----------
    name : what the work is, for the sentence that says that it ended with an error.
    """

    def __init__(self, name: str, is_quiet: bool = False) -> None:
        self.name, self.is_quiet = name, is_quiet
        self.progress = Progress(0, 0, "Asking for the list of runs")
        self.result: T | None = None
        self.error = ""
        self.ended = 0.0
        self.is_announced = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], T]) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        add_script_run_ctx(self._thread, get_script_run_ctx())
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to end; what is there stays."""
        self._stop.set()

    def is_stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    @property
    def is_running(self) -> bool:
        """Whether the work has not ended yet."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for the end, so long at most: short work then shows no progress that comes and goes."""
        if self._thread is not None:
            self._thread.join(seconds)

    def report(self, progress: Progress) -> None:
        """Say how far the work is."""
        self.progress = progress

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self.result = work()
        except InputError as error:
            self.error = one_line(str(error), 1000)
        except StopFetch:
            pass
        except BaseException as error:  # noqa: BLE001 - a panic of a library too: the page must not try it again by itself
            _log.exception("%s ended with an error", self.name)
            self.error = f"{self.name} ended with an error of this program ({type(error).__name__}); its log says more."
        finally:
            self.ended = time.monotonic()


@dataclass
class StudyFetches:
    """The fetches of one study as one identity.

    `generation` counts them, `job` is the last, `shown` the generation and the runs that pages show, and `was_running`
    whether the job ran when the page last asked for runs.
    """

    generation: int = 0
    job: Job[None] | None = None
    shown: tuple[int, FetchResult | None] | None = None
    was_running: bool = False


@dataclass
class Listing:
    """What was asked for, as it was typed ("" for an upload), and the work that lists its runs."""

    text: str
    job: "Job[Inspection]"
