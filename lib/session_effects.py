"""What the Detach effect page reads and draws, computed once for a set of runs and windows and cached."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl
import streamlit as st

from lib import results, session
from lib.charts_wire import Wired, wire
from lib.gates import Gate
from lib.history import Manifest
from lib.session import AS_TEXT, Current
from lib.study import CONTROL, Evidence, Study, Task
from lib.view import View

if TYPE_CHECKING:
    import altair as alt

    Drawn = tuple[alt.TopLevelMixin, str] | None


@dataclass(frozen=True)
class TaskEffects:
    """The frames behind one task's effects: columns as in `lib.effects_frames` and `lib.claims`."""

    per_run: pl.DataFrame
    differences: pl.DataFrame
    fits: pl.DataFrame
    placebo: pl.DataFrame
    gap: pl.DataFrame
    hints: pl.DataFrame
    gates: tuple[Gate, ...]


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def _task_effects(
    study: Study, task: str, stamp: str, view: View, evidence: Evidence | None, _manifest: Manifest
) -> TaskEffects:
    from lib import effects_frames as frames
    from lib.claims import power_hints
    from lib.designs import material
    from lib.gates import gates

    history, treated = results.effect_inputs(study, _manifest, view)[task]
    given = material(study, study.task(task), history, treated, evidence=evidence)
    configs = {run.id: run.config for run in _manifest.of_task(task)}
    set_aside = [run_id for run_id in view.left_out if run_id in configs]
    return TaskEffects(
        per_run=frames.per_run(given),
        differences=frames.pair_differences(given),
        fits=frames.jump_fits(given),
        placebo=frames.placebo(given),
        gap=frames.gap(given),
        hints=power_hints(given),
        gates=tuple(gates(given, configs, set_aside)),
    )


def task_effects(current: Current, task: str, evidence: Evidence | None) -> TaskEffects:
    """The frames behind one task's effects, in the study's windows or in others."""
    view = View(left_out=current.view.left_out)
    return _task_effects(current.study, task, current.stamp, view, evidence, current.manifest)


def effect_chart(current: Current, kind: str, evidence: Evidence | None, *of: str) -> Wired | None:
    """A chart of the page with its takeaway, ready to be sent; None where the data hold nothing of it.

    Parameters
    ----------
    kind : a name in `_CHARTS`.
    of : what it is of: keys of a task, metrics or an arm, as the function of that name takes them.
    """
    # Evidence does not depend on how curves are drawn.
    view = current.view if kind == "event_time" else View(left_out=current.view.left_out)
    return _effect_chart(kind, of, current.study, current.stamp, view, evidence, current)


@st.cache_data(scope="session", max_entries=128, show_spinner=False, hash_funcs=AS_TEXT)
def _effect_chart(
    kind: str, of: tuple[str, ...], study: Study, stamp: str, view: View, evidence: Evidence | None, _current: Current
) -> Wired | None:
    drawn = _CHARTS[kind](_current, evidence, *of)
    return None if drawn is None else wire(*drawn)


def _forest(current: Current, evidence: Evidence | None) -> "Drawn":
    from lib import charts_effect

    effects = session.effects(current, evidence)
    chart = charts_effect.forest_chart(effects, current.study, outer=True)
    return chart, charts_effect.effects_text(effects, current.study)


def _quadrant(current: Current, evidence: Evidence | None, reward: str, loss: str) -> "Drawn":
    from lib import charts_effect

    study = current.study
    per_run = pl.concat([task_effects(current, task.key, evidence).per_run for task in study.tasks])
    points = charts_effect.quadrant_points(per_run, reward, loss)
    if points.is_empty():
        return None
    names = study.metric(reward).name, study.metric(loss).name
    across, up = (f"{name}: effect (%)" for name in names)
    chart = charts_effect.quadrant_chart(points, study, reward=across, loss=up)
    return chart, charts_effect.quadrant_text(points, *names)


def _slope(current: Current, evidence: Evidence | None, task: str, metric: str) -> "Drawn":
    from lib import charts_effect

    per_run, study = task_effects(current, task, evidence).per_run, current.study
    asked = study.task(task), study.metric(metric)
    return charts_effect.slope_chart(per_run, study, *asked), charts_effect.slope_text(per_run, *asked)


def _differences(current: Current, evidence: Evidence | None, task: str, metric: str) -> "Drawn":
    from lib import charts_evidence

    found, study = task_effects(current, task, evidence).differences, current.study
    asked = study.task(task), study.metric(metric)
    if found.filter(pl.col("metric") == metric).is_empty():
        return None
    chart = charts_evidence.difference_chart(found, study, *asked, rules=_marks(current, asked[0]))
    return chart, f"{asked[1].name}: detached minus control over steps, mean of the fork pairs"


def _jump(current: Current, evidence: Evidence | None, task: str, metric: str) -> "Drawn":
    from lib import charts_evidence

    found, study = task_effects(current, task, evidence).fits, current.study
    asked = study.task(task), study.metric(metric)
    fits = found.filter(pl.col("metric") == metric)
    if fits.is_empty():
        return None
    low, high = fits.select(low=pl.col("step").min(), high=pl.col("step").max()).row(0)
    points = session.rows_around(current, tuple(fits["run_id"].unique().sort()), metric, low, high)
    chart = charts_evidence.jump_chart(points, found, study, *asked, rules=_marks(current, asked[0]))
    return chart, f"{asked[1].name} around the detach with a line fitted on each side, by run"


def _placebo(current: Current, evidence: Evidence | None, task: str, metric: str, arm: str) -> "Drawn":
    from lib import charts_evidence

    found = task_effects(current, task, evidence).placebo
    asked = current.study.task(task), current.study.metric(metric), arm
    return charts_evidence.placebo_chart(found, *asked), charts_evidence.placebo_text(found, *asked)


def _event_time(current: Current, evidence: Evidence | None, metric: str, axis: str, *arms: str) -> "Drawn":
    from lib import charts_evidence

    study = current.study
    view = replace(current.view, x=axis, grid="aligned")  # type: ignore[arg-type]
    here = replace(current, view=view)
    curves = pl.concat([session.curves(here, task.key) for task in study.tasks])
    placed = set(curves.filter(pl.col("metric") == metric)["arm"])
    if not placed & set(arms):
        return None
    chart = charts_evidence.curves_since_detach(curves, study, study.metric(metric), arms, view=view)
    takeaway = f"{study.metric(metric).name} of every task, aligned at the detach."
    if CONTROL in arms and CONTROL not in placed:
        takeaway += " Detach steps differ, so the control arm has no step to be aligned at."
    return chart, takeaway


def _marks(current: Current, task: Task) -> tuple:
    from lib.charts import detach_marks

    return detach_marks(session.shown_treated(current, task.key))


_CHARTS: dict[str, Callable[..., "Drawn"]] = {
    "forest": _forest,
    "quadrant": _quadrant,
    "slope": _slope,
    "differences": _differences,
    "jump": _jump,
    "placebo": _placebo,
    "event_time": _event_time,
}
