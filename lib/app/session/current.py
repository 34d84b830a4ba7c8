"""The open study of this session with its runs and view settings."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from lib.app.session.caches import cached
from lib.curves import View, included_runs
from lib.report import visible_study
from lib.runs import Manifest, Treatment, of_task, treatments_with_duplicates
from lib.study import Evidence, Study


@dataclass(frozen=True)
class Current:
    """What a page shows: the study with the baselines added to it, its runs, and how to draw them.

    `stamp` changes when the study, its runs or the files of its baselines do; `is_public` says that all sessions may
    share what is computed of it. `evidence` are the windows that claims stand in; None for those that the study declares.
    """

    study: Study
    manifest: Manifest
    stamp: str
    is_public: bool
    view: View = field(default_factory=View)
    evidence: Evidence | None = None

    @cached_property
    def visible_study(self) -> Study:
        """The tasks and metrics that pages and exports show; everything is analysed, whatever is shown."""
        return visible_study(self.study, self.view)

    @cached_property
    def cache_key(self) -> str:
        """What caches know these runs in this view by."""
        return f"{self.stamp} {self.view}"

    @cached_property
    def treatments(self) -> tuple[Treatment, ...]:
        """Every run's treatment, those left out included."""
        return _treatments(self)

    def curve_treatments(self, task: str) -> tuple[Treatment, ...]:
        """The treatments of the runs of one task that curves show."""
        return included_runs(of_task(self.treatments, task), self.view)

    def with_view(self, view: View) -> Self:
        """The same runs in another view."""
        return self if view == self.view else replace(self, view=view)


@cached(view=lambda view: View())
def _treatments(current: Current) -> tuple[Treatment, ...]:
    return treatments_with_duplicates(current.study, current.manifest)


@dataclass(frozen=True)
class PageInput:
    """What the frame hands to a page: the chosen study, with its runs where there are any, and what went wrong."""

    study: Study | None = None
    current: Current | None = None
    message: str = ""

    @property
    def manifest(self) -> Manifest | None:
        """The runs, where there are any."""
        return self.current.manifest if self.current else None
