"""The collected frames that the figures of curves are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from lib.charts import Background, Coloring, coloring, with_colors
from lib.curves import (
    Clocks,
    View,
    included_runs,
    runs_not_drawn,
    study_baselines,
    study_curves,
    study_raw,
    study_seeds,
    task_clocks,
)
from lib.runs import Manifest, Treatment, of_task, task_treatments, treatments_with_duplicates, unknown_arms
from lib.study import Study, part_of


@dataclass(frozen=True)
class FigureData:
    """Frames of every task for one view.

    `curves` as `lib.curves.study_curves` gives them, `baselines` as `study_baselines`; `seeds`, each run's own curve, and
    `raw`, the same before smoothing (None where the view draws none); `coloring` of the runs and `clocks`, where x is
    wall time, are by task. `warnings` say which runs and rows of baselines are not drawn, of which runs nobody knows the
    arm, and what may stand at a wrong step.
    """

    study: Study
    view: View
    treatments: tuple[Treatment, ...]
    curves: pl.DataFrame
    baselines: pl.DataFrame | None = None
    seeds: pl.DataFrame | None = None
    raw: pl.DataFrame | None = None
    coloring: Mapping[str, Coloring] = field(default_factory=dict)
    clocks: Mapping[str, Clocks] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def background(self, task: str) -> Background:
        """What is drawn behind the means of one task."""
        return Background(self.seeds, self.raw, self.baselines, self.coloring.get(task))


def visible_study(study: Study, view: View) -> Study:
    """The tasks and metrics that a view shows, in the colours that they have in the whole study."""
    return part_of(with_colors(study), view.tasks, view.metrics) if view.tasks or view.metrics else study


def figure_data(study: Study, manifest: Manifest, view: View) -> FigureData:
    """Everything that the figures of curves are drawn from: of the tasks and metrics that the view shows.

    Raises
    ------
    BaselineError
        Where a baseline cannot be read or drawn.
    """
    visible = visible_study(study, view)
    marked = treatments_with_duplicates(part_of(study, view.tasks, ()), manifest)
    treatments = included_runs(marked, view)
    omissions = [runs_not_drawn(task, of_task(marked, task.key), view) for task in visible.tasks]
    omissions += [unknown_arms(task, of_task(marked, task.key)) for task in visible.tasks]
    warnings = [sentence for sentence in omissions if sentence]
    return FigureData(
        study=visible,
        view=view,
        treatments=treatments,
        curves=study_curves(study, manifest, view, marked),
        baselines=study_baselines(visible, treatments, view, warnings.append),
        seeds=study_seeds(study, manifest, view, marked),
        raw=study_raw(study, manifest, view, marked),
        coloring=_study_coloring(visible, manifest, view),
        clocks={t.key: task_clocks(study, manifest, t) for t in visible.tasks} if view.x == "wall" else {},
        warnings=warnings,
    )


def _study_coloring(study: Study, manifest: Manifest, view: View) -> dict[str, Coloring]:
    """What the runs are coloured by, by task; empty where the view colours none. Runs left out count."""
    if not view.color_by:
        return {}
    by_task = {t.key: coloring(manifest, task_treatments(study, manifest, t), view.color_by) for t in study.tasks}
    return {task: colors for task, colors in by_task.items() if colors}
