"""Frames and charts of the open study, cached."""

from dataclasses import replace

import polars as pl
import streamlit as st

from lib.app.session.current import AS_TEXT, Current, _known_by
from lib.charts import Behind, Options, Wired, color_keys, coloring, detach_marks, family_wired, split
from lib.curves import (
    BASELINES,
    BaselineError,
    Clocks,
    View,
    grouped,
    notes,
    per_seed,
    summarised,
    task_baselines,
    task_bins,
    task_clocks,
    task_curves,
)
from lib.effects import effect_inputs, study_effects
from lib.runs import Manifest, Treatment, of_task, runs_table, unusable_points
from lib.study import Evidence, Study


@st.cache_data(scope="session", max_entries=8, show_spinner=False, hash_funcs=AS_TEXT)
def keys_to_color_by(study: Study, stamp: str, _manifest: Manifest) -> list[str]:
    """What runs can be coloured by: seed, arm, and config keys on which they differ."""
    return color_keys(study, _manifest)


@st.cache_resource(scope="session", max_entries=32, show_spinner=False)
def _bins(known: str, _current: Current, _task: str, _view: View) -> pl.DataFrame:
    return task_bins(_current.study, _current.manifest, _current.study.task(_task), _view)


def _unaggregated(view: View) -> View:
    """The view without what is chosen after grouping: its bins and groups serve every aggregate, band and choice of arms."""
    return View(smooth=view.smooth, window=view.window, left_out=view.left_out, x=view.x)


def _current_bins(current: Current, task: str) -> pl.LazyFrame:
    view = _unaggregated(current.view)
    return _bins(_known_by(current.study, task, current.stamp, view), current, task, view).lazy()


@st.cache_resource(scope="session", max_entries=32, show_spinner=False)
def _groups(known: str, _current: Current, _task: str, _view: View) -> pl.DataFrame:
    return grouped(_current_bins(_current, _task), of_task(_current.treated, _task), _view).collect()


def curves(current: Current, task: str) -> pl.DataFrame:
    """The curves of one task, all metrics: columns of `lib.curves.COLUMNS`."""
    if task not in current._drawn:
        current._drawn[task] = _curves(current, task)
    return current._drawn[task]


def _curves(current: Current, task: str) -> pl.DataFrame:
    study, view = current.study, current.view
    if view.grid == "exact":
        plain = replace(view, seeds=False, color_by="", raw=False)
        return _exact_curves(study, task, current.stamp, plain, current.manifest)
    shared = _unaggregated(view)
    groups = _groups(_known_by(study, task, current.stamp, shared), current, task, shared)
    treated = of_task(current.treated, task)
    return summarised(groups.lazy(), study.task(task), study.metrics, treated, view).collect()


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def _exact_curves(study: Study, task: str, stamp: str, view: View, _manifest: Manifest) -> pl.DataFrame:
    return task_curves(study, _manifest, study.task(task), view)


def seed_curves(current: Current, task: str) -> pl.DataFrame:
    """Each run's own curve of one task, all metrics."""
    treated = of_task(current.treated, task)
    study = current.study
    return per_seed(_current_bins(current, task), study.task(task), study.metrics, treated, current.view).collect()


def raw_curves(current: Current, task: str) -> pl.DataFrame:
    """The smoothed metrics of each run of one task before smoothing, one value a bin."""
    study, view = current.study, replace(current.view, smooth=False)
    binned = _current_bins(replace(current, view=view), task)
    smoothed = [m.key for m in study.metrics if m.smoothed]
    points = per_seed(binned, study.task(task), study.metrics, of_task(current.treated, task), view)
    return points.filter(pl.col("metric").is_in(smoothed)).collect()


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def _clocks(study: Study, task: str, stamp: str, _manifest: Manifest) -> Clocks:
    return task_clocks(study, _manifest, study.task(task))


def clocks(current: Current, task: str) -> Clocks | None:
    """What wall time says of one task's runs; None where x is something else."""
    if current.view.x != "wall":
        return None
    return _clocks(current.study, task, current.stamp, current.manifest)


def axis_notes(current: Current) -> list[str]:
    """What the view's x axis cannot show of the tasks, a sentence each."""
    placed = [(task, clocks(current, task.key)) for task in current.study.tasks]
    return [line for task, at in placed if at for line in notes(task, shown_treated(current, task.key), at)]


def task_chart(
    current: Current, task: str, families: tuple[str, ...], height: int, brush: bool = False
) -> tuple[Wired | None, list[str]]:
    """The chart of a task's families, ready to be sent, and those of which nothing was logged.

    With `brush`, a drag with Shift held is a selection of steps that the page can read.
    """
    study = current.study
    files = _file_stamp(study, task) if "reward" in families else ""
    known = _known_by(study, task, *families, current.stamp, current.view, height, brush, files)
    return _task_chart(known, current, task, families, height, brush)


def baselines(current: Current, task: str) -> tuple[pl.DataFrame, str]:
    """One task's baselines (columns of `lib.curves.BASELINES`), or none and the sentence that says why."""
    if not current.study.task(task).baselines:
        return BASELINES.to_frame(), ""
    known = _known_by(current.study, task, current.stamp, current.view, _file_stamp(current.study, task))
    return _baselines(known, current, task)


@st.cache_data(scope="session", max_entries=64, show_spinner=False)
def _baselines(known: str, _current: Current, _task: str) -> tuple[pl.DataFrame, str]:
    study, view = _current.study, _current.view
    try:
        return task_baselines(study, study.task(_task), shown_treated(_current, _task), view), ""
    except BaselineError as error:
        return BASELINES.to_frame(), str(error)


def _file_stamp(study: Study, task: str) -> str:
    """A text that changes when a baseline's file does."""
    found = []
    for path in (study.at(baseline.path) for baseline in study.task(task).baselines):
        try:
            about = path.stat()
            found.append(f"{about.st_mtime_ns} {about.st_size}")
        except (OSError, ValueError):
            found.append("gone")
    return ", ".join(found)


@st.cache_data(scope="session", max_entries=256, show_spinner=False)
def _task_chart(
    known: str, _current: Current, _task: str, _families: tuple[str, ...], _height: int, _brush: bool
) -> tuple[Wired | None, list[str]]:
    task, study, view = _task, _current.study, _current.view
    if task not in _current._split:
        _current._split[task] = split(curves(_current, task), task)
    logged = {study.metric(key).family for key, _ in _current._split[task]}
    behind = Behind(
        seeds=seed_curves(_current, task) if view.draws_runs else None,
        raw=raw_curves(_current, task) if view.draws_raw else None,
        baselines=baselines(_current, task)[0] if "reward" in _families else None,
        coloring=coloring(_current.manifest, of_task(_current.treated, task), view.color_by),
    )
    wired = family_wired(
        _current._split[task],
        study,
        study.task(task),
        *_families,
        view=view,
        rules=detach_marks(shown_treated(_current, task), clocks(_current, task)),
        behind=behind,
        options=Options(height=_height, brush=_brush),
    )
    return wired, [family for family in _families if family not in logged]


def shown_treated(current: Current, task: str) -> tuple[Treatment, ...]:
    """The treatments of one task's runs, without those left out."""
    return tuple(t for t in of_task(current.treated, task) if t.run_id not in current.view.left_out)


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def _effects(study: Study, stamp: str, view: View, evidence: Evidence | None, _manifest: Manifest) -> pl.DataFrame:
    return study_effects(study, effect_inputs(study, _manifest, view.left_out), evidence=evidence)


def effects(current: Current, evidence: Evidence | None = None) -> pl.DataFrame:
    """The study's effects, one row a task, metric and arm: columns of `lib.effects.effects_table.EFFECTS`."""
    view = View(left_out=current.view.left_out)
    return _effects(current.study, current.stamp, view, evidence, current.manifest)


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def _runs(study: Study, stamp: str, left_out: tuple[str, ...], _manifest: Manifest) -> pl.DataFrame:
    return runs_table(study, _manifest, left_out)


def runs(current: Current) -> pl.DataFrame:
    """The audit, one row a run and task: columns of `lib.runs.runs_table`."""
    return _runs(current.study, current.stamp, current.view.left_out, current.manifest)


@st.cache_data(scope="session", max_entries=8, show_spinner=False, hash_funcs=AS_TEXT)
def _unusable(study: Study, stamp: str, _manifest: Manifest) -> pl.DataFrame:
    return unusable_points(study, _manifest)


def unusable_values(current: Current) -> pl.DataFrame:
    """Points that no curve can show: columns of `lib.runs.unusable_points`."""
    return _unusable(current.study, current.stamp, current.manifest)


@st.cache_data(scope="session", max_entries=8, show_spinner=False)
def _rows_around(
    stamp: str, runs: tuple[str, ...], metric: str, low: float, high: float, _manifest: Manifest
) -> pl.DataFrame:
    chosen = [run for run in _manifest.runs if run.id in runs]
    near = pl.col("step").is_between(low, high) & (pl.col("metric") == metric)
    return _manifest.history(chosen).filter(near).collect(engine="streaming")


def rows_around(current: Current, runs: tuple[str, ...], metric: str, low: float, high: float) -> pl.DataFrame:
    """Raw points of one metric of several runs in a range of steps: columns of `lib.runs.HISTORY`."""
    return _rows_around(current.stamp, runs, metric, low, high, current.manifest)


@st.cache_data(scope="session", max_entries=64, show_spinner=False, hash_funcs=AS_TEXT)
def _points(stamp: str, run_id: str, keys: tuple[str, ...], _manifest: Manifest) -> pl.DataFrame:
    chosen = [run for run in _manifest.runs if run.id == run_id]
    return _manifest.history(chosen).filter(pl.col("metric").is_in(keys)).sort("metric", "step").collect()


def points(current: Current, run_id: str) -> pl.DataFrame:
    """One run's raw points of the study's metrics: columns of `lib.runs.HISTORY`."""
    keys = tuple(m.key for m in current.study.metrics)
    return _points(current.stamp, run_id, keys, current.manifest)
