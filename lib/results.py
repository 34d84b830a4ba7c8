"""A study's small collected frames and figures: what the pages show and the report writes. The one collect boundary."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lib.audit import runs_table
from lib.baselines import BASELINES, task_baselines
from lib.curves import COLUMNS, View, bins, curves, seed_curves
from lib.detach import Treatment, of_task, treatments
from lib.history import Manifest
from lib.study import Study, Task

if TYPE_CHECKING:
    import altair as alt

FIGURE_SIZE = (800, 500)


@dataclass(frozen=True)
class Results:
    """A study's small collected frames: what the files, the page and the pages of the app show."""

    study: Study
    manifest: Manifest
    view: View
    treated: tuple[Treatment, ...]
    curves: pl.DataFrame
    seeds: pl.DataFrame | None
    effects: pl.DataFrame
    effects_detail: pl.DataFrame
    runs: pl.DataFrame
    baselines: pl.DataFrame


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
    treated = treatments(study, manifest)
    queries = [
        curves(manifest.history(manifest.of_task(task.key)), task, study.metrics, of_task(treated, task.key), view)
        for task in study.tasks
    ]
    return pl.concat(pl.collect_all(queries)).select(COLUMNS)


def study_seeds(study: Study, manifest: Manifest, view: View) -> pl.DataFrame | None:
    """Each run's own curve of every task, as `lib.curves.seed_curves` gives them; None where the view draws none."""
    if not view.seeds:
        return None
    treated = treatments(study, manifest)
    queries = [
        seed_curves(manifest.history(manifest.of_task(task.key)), task, study.metrics, of_task(treated, task.key), view)
        for task in study.tasks
    ]
    return pl.concat(pl.collect_all(queries))


def study_baselines(study: Study, treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """The baselines of every task: columns as `lib.baselines.BASELINES`.

    Raises
    ------
    BaselineError
        Where one cannot be read or drawn.
    """
    found = [task_baselines(study, task, of_task(treated, task.key), view) for task in study.tasks]
    return pl.concat([BASELINES.to_frame(), *found])


#: What a row of `plotted` is: a curve's, a run's own where the view draws every seed, or a baseline's.
DRAWN = ("curve", "seed", "baseline")


def plotted(study: Study, manifest: Manifest, view: View, stem: str) -> pl.DataFrame:
    """The numbers that one figure draws, of `figures` with this stem; the grid's stem gives those of every cell.

    Returns
    -------
    Columns of `lib.curves.COLUMNS` (a seed's value as its mean, with n 1), then `drawn` (one of `DRAWN`), `run_id` of a
    seed and `label` of a baseline; within the view's range of steps.
    """
    from lib.figures import GRID_STEM, file_stem

    cells = {file_stem(task, family): (task, family) for task in study.tasks for family in ("reward", "loss")}
    shown = cells.values() if stem == GRID_STEM else [cells[stem]]
    here = pl.lit(False)
    for task, family in shown:
        keys = [metric.key for metric in study.family(family)]
        baseline = pl.lit(family == "reward") & (pl.col("drawn") == "baseline")
        here |= (pl.col("task") == task.key) & (pl.col("metric").is_in(keys) | baseline)
    rows = [study_curves(study, manifest, view).with_columns(drawn=pl.lit("curve"))]
    if (seeds := study_seeds(study, manifest, view)) is not None:
        one = pl.lit(1, pl.UInt32).alias("n")
        rows.append(seeds.rename({"value": "mean"}).drop("seed").with_columns(one, drawn=pl.lit("seed")))
    behind = study_baselines(study, treatments(study, manifest, view.left_out), view).drop("color")
    rows.append(behind.with_columns(drawn=pl.lit("baseline")))
    columns = (*COLUMNS, "drawn", "run_id", "label")
    empty = pl.DataFrame(schema={"run_id": pl.String, "label": pl.String})
    frame = pl.concat([*rows, empty], how="diagonal").select(columns).filter(here)
    return frame if view.span is None else frame.filter(pl.col("step").is_between(*view.span))


def results(study: Study, manifest: Manifest, view: View) -> Results:
    """Compute everything the report shows."""
    from lib.effects import study_effects
    from lib.effects_detail import effects_detail

    inputs = effect_inputs(study, manifest, view)
    treated = treatments(study, manifest, view.left_out)
    baselines = study_baselines(study, treated, view)
    return Results(
        study=study,
        manifest=manifest,
        view=view,
        treated=treated,
        curves=study_curves(study, manifest, view),
        seeds=study_seeds(study, manifest, view),
        effects=study_effects(study, inputs),
        effects_detail=effects_detail(study, inputs),
        runs=runs_table(study, manifest, view.left_out),
        baselines=baselines,
    )


def figures(
    study: Study,
    treated: Sequence[Treatment],
    curves: pl.DataFrame,
    view: View,
    baselines: pl.DataFrame | None = None,
    seeds: pl.DataFrame | None = None,
) -> Iterator[tuple[str, "alt.TopLevelMixin"]]:
    """Every figure of the study with the stem of its file: the notebook's names.

    Parameters
    ----------
    curves : of every task, as `study_curves` gives them.
    baselines : of every task, as `study_baselines` gives them.
    seeds : of every task, as `study_seeds` gives them.
    """
    from lib.charts import FAMILIES, detach_marks, family_chart, family_metrics, figure_title, grid
    from lib.figures import GRID_STEM, file_stem

    marks = {task.key: detach_marks(of_task(treated, task.key)) for task in study.tasks}
    logs = {family: log for family in FAMILIES if (log := view.log(family)) is not None}
    yield GRID_STEM, grid(curves, study, view=view, rules=marks, log=logs, baselines=baselines, seeds=seeds)
    width, height = FIGURE_SIZE
    for task in study.tasks:
        for family in FAMILIES:
            if family_metrics(curves, study, task, family):
                title = figure_title(curves, study, task, family)
                chart = family_chart(
                    curves,
                    study,
                    task,
                    family,
                    view=view,
                    rules=marks[task.key],
                    seeds=seeds,
                    baselines=baselines,
                    width=width,
                    height=height,
                    title=title,
                    domain=view.span,
                    log=view.log(family),
                )
                yield file_stem(task, family), chart
