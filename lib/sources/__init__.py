"""Where runs come from: one module a source, all behind `fetch`."""

from collections.abc import Callable
from dataclasses import dataclass

from lib.history import Manifest
from lib.study import InputError, Study


class SourceError(InputError):
    """A source that cannot give what the study asks of it."""


class Unreachable(SourceError):
    """A server that does not answer: what is stored may still serve."""


@dataclass(frozen=True)
class Progress:
    """How far a fetch is: runs done of all, and what is happening."""

    done: int
    total: int
    message: str


@dataclass(frozen=True)
class Request:
    """How to fetch: with whose key, anew or not, only these runs, and how to report and stop.

    `key` is a W&B API key or None; it is never shown (`repr` leaves it out).
    """

    key: str | None = None
    refresh: bool = False
    only: tuple[str, ...] = ()
    deadline: float = 60.0
    progress: Callable[[Progress], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False

    def __repr__(self) -> str:
        return f"Request(key={'given' if self.key else 'none'}, refresh={self.refresh}, only={self.only})"


def fetch(study: Study, request: Request | None = None) -> Manifest:
    """Bring the study's runs and say where they lie.

    Raises
    ------
    SourceError
        One sentence, where nothing can be brought. A part that fails is a `Problem` of the manifest instead.
    """
    request = request or Request()
    if study.source.kind == "offline":
        from lib.sources import offline as source
    elif study.source.kind == "bundle":
        from lib.sources import bundle as source
    else:
        from lib.sources import cloud as source
    return source.fetch(study, request)
