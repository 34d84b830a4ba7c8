"""Curves, per-run curves and baselines of whole studies, collected."""

from collections.abc import Callable, Sequence

import polars as pl

from lib.curves.aggregate import curves, raw_curves, seed_curves
from lib.curves.baselines import BASELINES, task_baselines
from lib.curves.bins import bins
from lib.curves.schema import COLUMNS
from lib.curves.view_settings import View
from lib.curves.wall_time import Clocks, clocks
from lib.runs import Manifest, Treatment, of_task, treatments
from lib.study import Study, Task


def task_bins(study: Study, manifest: Manifest, task: Task, view: View) -> pl.DataFrame:
    """The bins of one task, collected: what its curves need of the history, whatever their aggregate, band and arms."""
    treated = of_task(treatments(study, manifest), task.key)
    return bins(manifest.history(manifest.of_task(task.key)), task, study.metrics, treated, view)


def task_curves(study: Study, manifest: Manifest, task: Task, view: View) -> pl.DataFrame:
    """The curves of one task, collected: columns `lib.curves.COLUMNS`."""
    treated = of_task(treatments(study, manifest), task.key)
    return curves(manifest.history(manifest.of_task(task.key)), task, study.metrics, treated, view).collect()


def study_curves(study: Study, manifest: Manifest, view: View) -> pl.DataFrame:
    """The curves of every task, collected at once: columns `lib.curves.COLUMNS`."""
    return _of_every_task(curves, study, manifest, view).select(COLUMNS)


def study_seeds(study: Study, manifest: Manifest, view: View) -> pl.DataFrame | None:
    """Each run's own curve of every task, as `lib.curves.aggregate.seed_curves` gives them; None where the view draws none."""
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


def study_baselines(study: Study, treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """The baselines of every task: columns as `lib.curves.BASELINES`.

    Raises
    ------
    BaselineError
        Where one cannot be read or drawn.
    """
    found = [task_baselines(study, task, of_task(treated, task.key), view) for task in study.tasks]
    return pl.concat([BASELINES.to_frame(), *found])
