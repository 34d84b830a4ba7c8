"""The curves of a task and of whole studies, collected."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from lib.curves.aggregate import aligned_curves, run_curves
from lib.curves.bins import bins
from lib.curves.notebook_arithmetic import exact_curves
from lib.curves.seed_groups import seed_groups
from lib.curves.view_settings import View
from lib.curves.wall_time import Clocks, clocks
from lib.runs import (
    History,
    Manifest,
    Treatment,
    of_task,
    task_treatments,
    task_with_duplicates,
    treatments_with_duplicates,
)
from lib.study import Metric, Study, Task, part_of

Query = Callable[[History, Task, Sequence[Metric], Sequence[Treatment], View], pl.DataFrame]


def curves(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """Each metric over steps, aggregated over the seeds of each arm, by the arithmetic that the view chooses.

    Parameters
    ----------
    task : the task whose runs `treatments` are.
    metrics : what to draw.
    treatments : the runs and their arms; others in the history are ignored.
    view : aggregate, spread, smoothing, grid, arms and x axis.

    Returns
    -------
    Frame with the columns `COLUMNS`: see `aligned_curves` and `exact_curves`.
    """
    arithmetic = exact_curves if view.grid == "exact" else aligned_curves
    return arithmetic(history, task, metrics, treatments, view)


def seed_curves(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """Each run's own curve on the same grid as `aligned_curves`: columns of `lib.curves.aggregate.run_curves`."""
    return run_curves(bins(history, task, metrics, treatments, view), task, metrics, treatments, view).collect()


def raw_curves(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """The smoothed metrics of each run before smoothing, one value per bin: columns as `seed_curves`."""
    smoothed = [m for m in metrics if m.smoothed]
    return seed_curves(history, task, smoothed, treatments, replace(view, smooth=False))


def task_bins(
    study: Study, manifest: Manifest, task: Task, treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """The bins of one task's runs: what their own curves need of the history."""
    return bins(manifest.history(manifest.of_task(task.key)), task, study.metrics, treatments, view)


def task_groups(
    study: Study, manifest: Manifest, task: Task, treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """The statistics of one task's runs by arm and bin, as `seed_groups` gives them: they serve every aggregate and band."""
    return seed_groups(manifest.history(manifest.of_task(task.key)), task, study.metrics, treatments, view)


def task_curves(study: Study, manifest: Manifest, task: Task, view: View) -> pl.DataFrame:
    """The curves of one task: columns `COLUMNS`."""
    treatments = task_with_duplicates(study, manifest, task)
    return curves(manifest.history(manifest.of_task(task.key)), task, study.metrics, treatments, view)


def study_curves(
    study: Study, manifest: Manifest, view: View, treatments: Sequence[Treatment] | None = None
) -> pl.DataFrame:
    """The curves of the tasks and metrics that the view shows.

    Parameters
    ----------
    treatments : those of the tasks, with duplicates, where the caller has them: telling duplicates apart takes long.

    Returns
    -------
    Frame with the columns `COLUMNS`.
    """
    return _of_study(curves, study, manifest, view, treatments)


def study_seeds(
    study: Study, manifest: Manifest, view: View, treatments: Sequence[Treatment] | None = None
) -> pl.DataFrame | None:
    """Each run's own curve of the same, as `seed_curves` gives them; None where the view draws none."""
    return _of_study(seed_curves, study, manifest, view, treatments) if view.draws_runs else None


def study_raw(
    study: Study, manifest: Manifest, view: View, treatments: Sequence[Treatment] | None = None
) -> pl.DataFrame | None:
    """The smoothed metrics of each run before smoothing, as `raw_curves` gives them; None where the view draws none."""
    return _of_study(raw_curves, study, manifest, view, treatments) if view.draws_raw else None


def _of_study(
    query: Query, study: Study, manifest: Manifest, view: View, treatments: Sequence[Treatment] | None
) -> pl.DataFrame:
    """The tasks and metrics that the view shows; which runs are duplicates is told from all metrics."""
    visible = part_of(study, view.tasks, view.metrics)
    if treatments is None:
        treatments = treatments_with_duplicates(part_of(study, view.tasks, ()), manifest)
    return pl.concat(
        query(manifest.history(manifest.of_task(task.key)), task, visible.metrics, of_task(treatments, task.key), view)
        for task in visible.tasks
    )


def task_clocks(study: Study, manifest: Manifest, task: Task) -> Clocks:
    """The wall times of one task's runs, those left out included."""
    treatments = task_treatments(study, manifest, task)
    return clocks(manifest.history(manifest.of_task(task.key)), treatments, study.metrics)
