"""Frames and charts of the open study, cached."""

from dataclasses import replace

import polars as pl

from lib import charts
from lib.app.session.caches import cached
from lib.app.session.current import Current
from lib.charts import ChartSpec, LegendEntry, color_keys, coloring
from lib.curves import (
    BASELINES,
    BaselineError,
    Clocks,
    View,
    aggregate,
    notes,
    run_curves,
    task_baselines,
    task_bins,
    task_clocks,
    task_curves,
    task_groups,
)
from lib.effects import StudyAnalysis, analyse, visible_effects
from lib.report import FigureData, curve_figure
from lib.runs import of_task, runs_table, unusable_points
from lib.study import Evidence, Study


def no_settings(view: View) -> View:
    """The view of what no setting changes."""
    return View()


def left_out_only(view: View) -> View:
    """The view of what depends on no setting but the runs left out: evidence is the same however curves are drawn."""
    return View(left_out=view.left_out)


def of_effects(view: View) -> View:
    """The view of pictures and tables of effects: they show a part of an analysis that is the same whatever is shown."""
    return View(left_out=view.left_out, tasks=view.tasks, metrics=view.metrics)


def ungrouped(view: View) -> View:
    """The view without what is chosen after grouping: its bins and groups serve every aggregate, band and choice of arms."""
    return View(smooth=view.smooth, window=view.window, left_out=view.left_out, x=view.x)


def aggregates_only(view: View) -> View:
    """The view without what is drawn beside the curves."""
    return replace(
        view, seeds=False, color_by="", raw=False, span=None, tasks=(), metrics=(), log_reward=False, log_loss=None
    )


@cached(no_settings)
def keys_to_color_by(current: Current) -> tuple[str, ...]:
    """What runs can be coloured by: seed, arm, and config keys on which they differ."""
    return tuple(color_keys(current.study, current.manifest))


@cached(ungrouped)
def bins(current: Current, task: str) -> pl.DataFrame:
    """The bins of one task, for each run's own curve: as `lib.curves.task_bins` gives them."""
    treatments = of_task(current.treatments, task)
    return task_bins(current.study, current.manifest, current.study.task(task), treatments, current.view)


@cached(ungrouped)
def groups(current: Current, task: str) -> pl.DataFrame:
    """The seeds of each arm of one task together, which serve every aggregate: as `lib.curves.task_groups` gives them."""
    treatments = of_task(current.treatments, task)
    return task_groups(current.study, current.manifest, current.study.task(task), treatments, current.view)


@cached(aggregates_only)
def curves(current: Current, task: str) -> pl.DataFrame:
    """The curves of one task, all metrics: columns of `lib.curves.COLUMNS`."""
    study, view = current.study, current.view
    if view.grid == "exact":
        return task_curves(study, current.manifest, study.task(task), view)
    treatments = of_task(current.treatments, task)
    return aggregate(groups(current, task), study.task(task), study.metrics, treatments, view).collect()


def seed_curves(current: Current, task: str) -> pl.DataFrame:
    """Each run's own curve of one task, all metrics."""
    study, treatments = current.study, of_task(current.treatments, task)
    return run_curves(bins(current, task), study.task(task), study.metrics, treatments, current.view).collect()


def raw_curves(current: Current, task: str) -> pl.DataFrame:
    """The smoothed metrics of each run of one task before smoothing, one value per bin."""
    smoothed = [metric.key for metric in current.study.metrics if metric.smoothed]
    points = seed_curves(current.with_view(replace(current.view, smooth=False)), task)
    return points.filter(pl.col("metric").is_in(smoothed))


@cached(no_settings)
def _clocks(current: Current, task: str) -> Clocks:
    return task_clocks(current.study, current.manifest, current.study.task(task))


def clocks(current: Current, task: str) -> Clocks | None:
    """What wall time says of one task's runs; None where x is something else."""
    return _clocks(current, task) if current.view.x == "wall" else None


def axis_notes(current: Current) -> list[str]:
    """What the view's x axis cannot show of the tasks, a sentence each."""
    if current.view.x != "wall":
        return []
    return [
        sentence
        for task in current.visible_study.tasks
        for sentence in notes(task, current.curve_treatments(task.key), _clocks(current, task.key))
    ]


@cached()
def baselines(current: Current, task: str) -> tuple[pl.DataFrame, list[str]]:
    """One task's baselines (columns of `lib.curves.BASELINES`) with their warnings, or none and why."""
    study, warnings = current.study, list[str]()
    try:
        return task_baselines(
            study, study.task(task), current.curve_treatments(task), current.view, warnings.append
        ), warnings
    except BaselineError as error:
        return BASELINES.to_frame(), [str(error)]


@cached(no_settings)
def _logged(current: Current) -> frozenset[str]:
    """The metrics that some run has."""
    return frozenset(key for run in current.manifest.runs for key, rows in run.rows.items() if rows)


def in_charts(current: Current) -> Current:
    """The same runs in the view that charts of curves have: where nobody chose metrics, those that can be told apart."""
    if current.view.metrics:
        return current
    metrics = charts.default_metrics(current.study, _logged(current))
    is_part = len(metrics) < len(current.study.metrics)
    return current.with_view(replace(current.view, metrics=tuple(m.key for m in metrics))) if is_part else current


def default_metrics_text(current: Current, families: tuple[str, ...]) -> str:
    """A sentence on the metrics that charts of these families draw; "" where they draw all that were chosen."""
    if current.view.metrics or current.view.color_by:
        return ""
    return charts.default_metrics_text(current.study, in_charts(current).visible_study.metrics, *families)


@cached()
def task_chart(
    current: Current, task: str, families: tuple[str, ...], height: int, brush: bool = False, legend: bool = True
) -> tuple[ChartSpec | None, tuple[str, ...]]:
    """The chart of a task's families, ready to be sent, and those of which nothing was logged.

    With `brush`, a drag with Shift held is a selection of steps that the page can read. Without `legend`, the page has one.
    """
    study, view = current.visible_study, current.view
    plotted = _visible(curves(current, task), study)
    logged = {study.metric(key).family for key in plotted["metric"].unique()}
    missing = tuple(family for family in families if family not in logged)
    if len(missing) == len(families):
        return None, missing
    colors, hours = coloring(current.manifest, of_task(current.treatments, task), view.color_by), clocks(current, task)
    data = FigureData(
        study,
        view,
        current.curve_treatments(task),
        plotted,
        baselines=baselines(current, task)[0] if "reward" in families else None,
        seeds=_visible(seed_curves(current, task), study) if view.draws_runs else None,
        raw=_visible(raw_curves(current, task), study) if view.draws_raw else None,
        coloring={task: colors} if colors else {},
        clocks={task: hours} if hours else {},
    )
    return curve_figure(data, study.task(task), *families).chart(height=height, brush=brush, legend=legend), missing


def _visible(curves: pl.DataFrame, study: Study) -> pl.DataFrame:
    """The rows of the metrics of a part of the study."""
    return curves.filter(pl.col("metric").is_in([metric.key for metric in study.metrics]))


def one_metric_text(current: Current, task: str, families: tuple[str, ...]) -> str:
    """A sentence on the metrics that a task's chart leaves out while it colours runs; "" where there are none."""
    study = in_charts(current).visible_study
    return charts.one_metric_text(curves(current, task), study, study.task(task), *families, view=current.view)


def legend(current: Current) -> tuple[LegendEntry, ...]:
    """What the lines of all curve charts are."""
    study = current.visible_study
    rows = pl.concat([curves(current, task.key) for task in study.tasks])
    return charts.legend_entries(_visible(rows, study), study, current.view)


@cached(left_out_only)
def analysis(current: Current, evidence: Evidence | None) -> StudyAnalysis:
    """The study's comparisons and claims, in these windows; None for its own."""
    return analyse(current.study, current.manifest, current.view.left_out, evidence)


def effects(current: Current, evidence: Evidence | None = None) -> pl.DataFrame:
    """The claims that the view shows, in these windows: columns of effects.csv."""
    return visible_effects(analysis(current, evidence).effects, current.visible_study)


@cached(left_out_only)
def runs(current: Current) -> pl.DataFrame:
    """The audit, one row per run and task: columns of `lib.runs.runs_table`."""
    return runs_table(current.study, current.manifest, current.view.left_out)


@cached(no_settings)
def unusable_values(current: Current) -> pl.DataFrame:
    """Points that no curve can show: columns of `lib.runs.unusable_points`."""
    return unusable_points(current.study, current.manifest)


@cached(no_settings)
def rows_around(current: Current, run_ids: tuple[str, ...], metric: str, low: float, high: float) -> pl.DataFrame:
    """Raw points of one metric of several runs in a range of steps: columns of `lib.runs.HISTORY`."""
    runs = [run for run in current.manifest.runs if run.id in run_ids]
    near = pl.col("step").is_between(low, high) & (pl.col("metric") == metric)
    history = current.manifest.history(runs)
    with history.store_errors():
        return history.lazy().filter(near).collect(engine="streaming")


@cached(no_settings)
def points(current: Current, run_id: str) -> pl.DataFrame:
    """One run's raw points of the study's metrics: columns of `lib.runs.HISTORY`."""
    keys = [metric.key for metric in current.study.metrics]
    runs = [run for run in current.manifest.runs if run.id == run_id]
    history = current.manifest.history(runs)
    with history.store_errors():
        return history.lazy().filter(pl.col("metric").is_in(keys)).sort("metric", "step").collect()
