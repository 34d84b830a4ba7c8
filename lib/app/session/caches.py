"""The one rule of caching: for all sessions what needs no key and no upload, for one session everything else."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, Self, TypeVar

import streamlit as st

from lib.curves import View


class Cacheable(Protocol):
    """What the first argument of a cached function is cached by: a `Current`."""

    @property
    def view(self) -> View:
        """The settings of the view."""

    @property
    def is_public(self) -> bool:
        """Whether all sessions may share results."""

    @property
    def cache_key(self) -> str:
        """A text that differs where results may differ."""

    def with_view(self, view: View) -> Self:
        """The same in another view."""


P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Cacheable)

#: Results of one function that are kept; the one used longest ago goes first.
ENTRIES = 32

#: For functions of the shipped bundle alone. Values are shared, never copied: they must not be changed.
cached_for_all = partial(st.cache_resource, max_entries=4 * ENTRIES, show_spinner=False)
#: For functions of what this session's key fetched or its visitor uploaded.
cached_for_session = partial(st.cache_resource, scope="session", max_entries=ENTRIES, show_spinner=False)


def cached(
    view: Callable[[View], View] = lambda view: view,
) -> Callable[[Callable[Concatenate[C, P], R]], Callable[Concatenate[C, P], R]]:
    """Cache a function of a `Current` and plain arguments, in the cache that `Current.is_public` chooses.

    Parameters
    ----------
    view : reduces the view to the settings that the function depends on; others then share its results.
    """

    def decorate(function: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
        def keyed(key: str, _call: Callable[[], R]) -> R:
            return _call()

        # Streamlit tells cached functions apart by their names.
        keyed.__module__, keyed.__qualname__ = function.__module__, function.__qualname__
        for_all, for_session = cached_for_all(keyed), cached_for_session(keyed)

        @wraps(function)
        def read(current: C, *args: P.args, **kwargs: P.kwargs) -> R:
            current = current.with_view(view(current.view))
            cache = for_all if current.is_public else for_session
            return cache(f"{current.cache_key} {args} {kwargs}", lambda: function(current, *args, **kwargs))

        return read

    return decorate


def file_stamp(*paths: Path) -> str:
    """A text that changes when one of these files does."""
    return " ".join(_stamp(path) for path in paths)


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return "gone"
    return f"{status.st_mtime_ns}:{status.st_size}"
