"""Everything that the report of a study shows, collected."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from lib.curves import View
from lib.effects import StudyAnalysis, analyse, effects_detail, visible_effects
from lib.report.figure_data import FigureData, figure_data
from lib.report.figures import Figure, study_figures
from lib.runs import Manifest, Treatment, runs_table
from lib.study import Study


@dataclass(frozen=True)
class Results:
    """A study's small collected frames: what the files and the page show.

    All of the study is analysed; `effects`, `effects_detail` and `data` have the tasks and metrics that the view shows.
    """

    study: Study
    manifest: Manifest
    data: FigureData
    analysis: StudyAnalysis
    runs: pl.DataFrame

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of curves: each is drawn once, however many files show it."""
        return tuple(study_figures(self.data))

    @property
    def view(self) -> View:
        """The settings of every figure and table."""
        return self.data.view

    @property
    def visible(self) -> Study:
        """The tasks and metrics that the view shows."""
        return self.data.study

    @property
    def effects(self) -> pl.DataFrame:
        """One row per claim: columns of effects.csv."""
        return visible_effects(self.analysis.effects, self.visible)

    @property
    def effects_detail(self) -> pl.DataFrame:
        """Everything behind the claims: columns of effects_detail.csv."""
        return visible_effects(effects_detail(self.analysis), self.visible)

    @property
    def treatments(self) -> tuple[Treatment, ...]:
        """Every run's treatment, without those left out."""
        return self.data.treatments

    @property
    def curves(self) -> pl.DataFrame:
        """The plotted numbers: columns `lib.curves.COLUMNS`."""
        return self.data.curves


def study_results(study: Study, manifest: Manifest, view: View) -> Results:
    """Compute everything the report shows."""
    return Results(
        study=study,
        manifest=manifest,
        data=figure_data(study, manifest, view),
        analysis=analyse(study, manifest, view.left_out),
        runs=runs_table(study, manifest, view.left_out),
    )
