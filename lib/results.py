"""A study's small collected frames and figures: what the pages show and the report writes. The one collect boundary."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from lib.audit import runs_table
from lib.baselines import BASELINES, task_baselines
from lib.bins import bins
from lib.curves import COLUMNS, curves, raw_curves, seed_curves
from lib.detach import Treatment, of_task, treatments
from lib.history import Manifest
from lib.run_values import Coloring, coloring
from lib.study import Study, Task
from lib.view import View
from lib.wall_time import Clocks, clocks

if TYPE_CHECKING:
    import altair as alt

FIGURE_SIZE = (800, 500)


@dataclass(frozen=True)
class Drawn:
    """What the figures of a study are drawn from, for one view: frames of every task.

    `curves` as `lib.curves.curves` gives them, `baselines` as `lib.baselines`; `seeds`, each run's own curve, and `raw`,
    the same before smoothing, one value a bin, as `lib.curves.seed_curves` (None where the view draws none); `coloring` of
    the runs and `clocks`, where x is wall time, are by task.
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
    effects: pl.DataFrame
    effects_detail: pl.DataFrame
    runs: pl.DataFrame

    @property
    def view(self) -> View:
        """The settings of every figure and table."""
        return self.drawn.view

    @property
    def treated(self) -> tuple[Treatment, ...]:
        """Every run's treatment, without those left out."""
        return self.drawn.treated

    @property
    def curves(self) -> pl.DataFrame:
        """The plotted numbers: columns `lib.curves.COLUMNS`."""
        return self.drawn.curves


def task_bins(study: Study, manifest: Manifest, task: Task, view: View) -> pl.DataFrame:
    """The bins of one task, collected: what its curves need of the history, whatever their aggregate, band and arms."""
    treated = of_task(treatments(study, manifest), task.key)
    return bins(manifest.history(manifest.of_task(task.key)), task, study.metrics, treated, view).collect()


def task_curves(study: Study, manifest: Manifest, task: Task, view: View) -> pl.DataFrame:
    """The curves of one task, collected: columns `lib.curves.COLUMNS`."""
    treated = of_task(treatments(study, manifest), task.key)
    return curves(manifest.history(manifest.of_task(task.key)), task, study.metrics, treated, view).collect()


def effect_inputs(
    study: Study, manifest: Manifest, view: View
) -> dict[str, tuple[pl.LazyFrame, tuple[Treatment, ...]]]:
    """The history and the runs of every task, as `lib.effects` takes them, without those left out.

    Which arms are drawn is no matter: hiding the control arm on screen does not take it from the evidence.
    """
    treated = treatments(study, manifest, view.left_out)
    return {
        task.key: (manifest.history(manifest.of_task(task.key)), of_task(treated, task.key)) for task in study.tasks
    }


def study_curves(study: Study, manifest: Manifest, view: View) -> pl.DataFrame:
    """The curves of every task, collected at once: columns `lib.curves.COLUMNS`."""
    return _of_every_task(curves, study, manifest, view).select(COLUMNS)


def study_seeds(study: Study, manifest: Manifest, view: View) -> pl.DataFrame | None:
    """Each run's own curve of every task, as `lib.curves.seed_curves` gives them; None where the view draws none."""
    return _of_every_task(seed_curves, study, manifest, view) if view.draws_runs else None


def study_raw(study: Study, manifest: Manifest, view: View) -> pl.DataFrame | None:
    """The smoothed metrics of each run before smoothing, one value a bin, as `study_seeds`; None where the view draws none."""
    return _of_every_task(raw_curves, study, manifest, view) if view.draws_raw else None


def _of_every_task(query: Callable[..., pl.LazyFrame], study: Study, manifest: Manifest, view: View) -> pl.DataFrame:
    treated = treatments(study, manifest)
    queries = [
        query(manifest.history(manifest.of_task(task.key)), task, study.metrics, of_task(treated, task.key), view)
        for task in study.tasks
    ]
    return pl.concat(pl.collect_all(queries))


def task_clocks(study: Study, manifest: Manifest, task: Task) -> Clocks:
    """What wall time says of one task's runs, those left out included."""
    treated = of_task(treatments(study, manifest), task.key)
    return clocks(manifest.history(manifest.of_task(task.key)), treated, study.metrics)


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


def study_baselines(study: Study, treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """The baselines of every task: columns as `lib.baselines.BASELINES`.

    Raises
    ------
    BaselineError
        Where one cannot be read or drawn.
    """
    found = [task_baselines(study, task, of_task(treated, task.key), view) for task in study.tasks]
    return pl.concat([BASELINES.to_frame(), *found])


#: What a row of `plotted` is: a curve's, a run's own where the view draws every seed, the same before smoothing where it
#: draws that, or a baseline's.
DRAWN = ("curve", "seed", "raw", "baseline")


def plotted(study: Study, manifest: Manifest, view: View, stem: str) -> pl.DataFrame:
    """The numbers that one `figure` draws; the grid's stem gives those of every cell.

    Returns
    -------
    Columns of `lib.curves.COLUMNS` (a run's value as its mean, with n 1), then `drawn` (one of `DRAWN`), `run_id` of a
    run and `label` of a baseline; within the range of x that the figure shows of each task.
    """
    from lib.charts_tables import shown_range, split
    from lib.figures import GRID_STEM

    by_stem = cells(study)
    shown = list(by_stem.values()) if stem == GRID_STEM else [by_stem[stem]]
    here = pl.lit(False)
    for task, families in shown:
        keys = [metric.key for family in families for metric in study.family(family)]
        baseline = pl.lit("reward" in families) & (pl.col("drawn") == "baseline")
        here |= (pl.col("task") == task.key) & (pl.col("metric").is_in(keys) | baseline)
    curves = study_curves(study, manifest, view)
    rows = [curves.with_columns(drawn=pl.lit("curve"))]
    one = pl.lit(1, pl.UInt32).alias("n")
    for drawn, runs in (("seed", study_seeds(study, manifest, view)), ("raw", study_raw(study, manifest, view))):
        if runs is not None:
            rows.append(runs.rename({"value": "mean"}).drop("seed").with_columns(one, drawn=pl.lit(drawn)))
    behind = study_baselines(study, treatments(study, manifest, view.left_out), view).drop("color")
    rows.append(behind.with_columns(drawn=pl.lit("baseline")))
    columns = (*COLUMNS, "drawn", "run_id", "label")
    empty = pl.DataFrame(schema={"run_id": pl.String, "label": pl.String})
    frame = pl.concat([*rows, empty], how="diagonal").select(columns).filter(here)
    within = {task.key: shown_range(split(curves, task.key), view.span) for task, _ in shown}
    beyond = [(pl.col("task") == key) & ~pl.col("step").is_between(*span) for key, span in within.items() if span]
    return frame.filter(~pl.any_horizontal(False, *beyond))


def results(study: Study, manifest: Manifest, view: View) -> Results:
    """Compute everything the report shows."""
    from lib.effects import study_effects
    from lib.effects_detail import effects_detail

    drawn = study_drawn(study, manifest, view)
    inputs = effect_inputs(study, manifest, view)
    return Results(
        study=study,
        manifest=manifest,
        drawn=drawn,
        effects=study_effects(study, inputs),
        effects_detail=effects_detail(study, inputs),
        runs=runs_table(study, manifest, view.left_out),
    )


def cells(study: Study) -> dict[str, tuple[Task, tuple[str, ...]]]:
    """What each figure of one task draws, by the stem of its file: a family, or all of them one below the other."""
    from lib.charts import FAMILIES
    from lib.figures import file_stem

    families = tuple(family for family in FAMILIES if study.family(family))
    sets = [(family,) for family in families] + ([families] if len(families) > 1 else [])
    return {file_stem(task, *drawn): (task, drawn) for task in study.tasks for drawn in sets}


def figures(study: Study, drawn: Drawn) -> Iterator[tuple[str, "alt.TopLevelMixin"]]:
    """The report's figures with the stems of their files: the notebook's names."""
    from lib.charts import family_metrics
    from lib.figures import GRID_STEM

    yield GRID_STEM, figure(study, drawn, GRID_STEM)
    for stem, (task, families) in cells(study).items():
        if len(families) == 1 and family_metrics(drawn.curves, study, task, *families):
            yield stem, figure(study, drawn, stem)


def figure(study: Study, drawn: Drawn, stem: str) -> "alt.TopLevelMixin":
    """One figure by the stem of its file: the grid, or one of `cells`."""
    from lib.charts import detach_marks, family_chart, family_metrics
    from lib.charts_grid import figure_title, grid
    from lib.figures import GRID_STEM

    view, curves = drawn.view, drawn.curves
    marks = {
        task.key: detach_marks(of_task(drawn.treated, task.key), drawn.clocks.get(task.key)) for task in study.tasks
    }
    behind: dict[str, Any] = {"seeds": drawn.seeds, "raw": drawn.raw, "baselines": drawn.baselines}
    if stem == GRID_STEM:
        return grid(curves, study, view=view, rules=marks, coloring=drawn.coloring, **behind)
    task, families = cells(study)[stem]
    # Without any curve the axes are drawn, and nothing along them.
    families = tuple(family for family in families if family_metrics(curves, study, task, family)) or families[:1]
    width, height = FIGURE_SIZE
    return family_chart(
        curves,
        study,
        task,
        *families,
        view=view,
        rules=marks[task.key],
        width=width,
        height=height * len(families),
        title=figure_title(curves, study, task, *families),
        coloring=drawn.coloring.get(task.key),
        **behind,
    )
