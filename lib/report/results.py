"""The collected frames of a study that its report and exports show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from lib.charts import Coloring, coloring
from lib.curves import Clocks, View, study_baselines, study_curves, study_raw, study_seeds, task_clocks
from lib.effects import StudyAnalysis, analyse, effects_detail
from lib.runs import Manifest, Treatment, of_task, runs_table, treatments
from lib.study import Study


@dataclass(frozen=True)
class Drawn:
    """What the figures of a study are drawn from, for one view: frames of every task.

    `curves` as `lib.curves.curves` gives them, `baselines` as `lib.curves.baselines`; `seeds`, each run's own curve, and `raw`,
    the same before smoothing, one value a bin, as `lib.curves.seed_curves` (None where the view draws none); `coloring` of the
    runs and `clocks`, where x is wall time, are by task.
    """

    view: View
    treated: tuple[Treatment, ...]
    curves: pl.DataFrame
    baselines: pl.DataFrame | None = None
    seeds: pl.DataFrame | None = None
    raw: pl.DataFrame | None = None
    coloring: Mapping[str, Coloring] = field(default_factory=dict)
    clocks: Mapping[str, Clocks] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """A study's small collected frames: what the files, the page and the pages of the app show."""

    study: Study
    manifest: Manifest
    drawn: Drawn
    analysis: StudyAnalysis
    runs: pl.DataFrame

    @property
    def view(self) -> View:
        """The settings of every figure and table."""
        return self.drawn.view

    @property
    def effects(self) -> pl.DataFrame:
        """One row per claim: columns of effects.csv."""
        return self.analysis.effects

    @property
    def effects_detail(self) -> pl.DataFrame:
        """Everything behind the claims: columns of effects_detail.csv."""
        return effects_detail(self.analysis)

    @property
    def treated(self) -> tuple[Treatment, ...]:
        """Every run's treatment, without those left out."""
        return self.drawn.treated

    @property
    def curves(self) -> pl.DataFrame:
        """The plotted numbers: columns `lib.curves.COLUMNS`."""
        return self.drawn.curves


def study_coloring(study: Study, manifest: Manifest, view: View) -> dict[str, Coloring]:
    """What the runs are coloured by, by task; empty where the view colours none."""
    treated = treatments(study, manifest)
    found = {t.key: coloring(manifest, of_task(treated, t.key), view.color_by) for t in study.tasks}
    return {task: by for task, by in found.items() if by}


def study_drawn(study: Study, manifest: Manifest, view: View) -> Drawn:
    """Everything that the figures of a study are drawn from.

    Raises
    ------
    BaselineError
        Where a baseline cannot be read or drawn.
    """
    treated = treatments(study, manifest, view.left_out)
    return Drawn(
        view=view,
        treated=treated,
        curves=study_curves(study, manifest, view),
        baselines=study_baselines(study, treated, view),
        seeds=study_seeds(study, manifest, view),
        raw=study_raw(study, manifest, view),
        coloring=study_coloring(study, manifest, view),
        clocks={t.key: task_clocks(study, manifest, t) for t in study.tasks} if view.x == "wall" else {},
    )


def study_results(study: Study, manifest: Manifest, view: View) -> Results:
    """Compute everything the report shows."""
    drawn = study_drawn(study, manifest, view)
    return Results(
        study=study,
        manifest=manifest,
        drawn=drawn,
        analysis=analyse(study, manifest, view.left_out),
        runs=runs_table(study, manifest, view.left_out),
    )
