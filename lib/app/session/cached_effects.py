"""Effects and effect charts of the open study, cached."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from lib.app.session import cached_results
from lib.app.session.cached_results import left_out_only
from lib.app.session.caches import cached
from lib.app.session.current import Current
from lib.charts import (
    Wired,
    curves_since_detach,
    detach_marks,
    difference_chart,
    effects_text,
    forest_chart,
    jump_chart,
    placebo_chart,
    placebo_text,
    quadrant_chart,
    quadrant_points,
    quadrant_text,
    slope_chart,
    slope_text,
    wire,
)
from lib.study import CONTROL, Evidence, Task

if TYPE_CHECKING:
    import altair as alt

Drawn: TypeAlias = "tuple[alt.TopLevelMixin, str] | None"


@cached(left_out_only)
def effect_chart(current: Current, kind: str, evidence: Evidence | None, *of: str) -> Wired | None:
    """A chart of the page with its takeaway, ready to be sent; None where the data hold nothing of it.

    Parameters
    ----------
    kind : a name in `_CHARTS`.
    of : what it is of: keys of a task, metrics or an arm, as the function of that name takes them.
    """
    drawn = _CHARTS[kind](current, evidence, *of)
    return None if drawn is None else wire(*drawn)


def _forest(current: Current, evidence: Evidence | None) -> "Drawn":
    effects = cached_results.analysis(current, evidence).effects
    chart = forest_chart(effects, current.study, outer=True)
    return chart, effects_text(effects, current.study)


def _quadrant(current: Current, evidence: Evidence | None, reward: str, loss: str) -> "Drawn":
    study = current.study
    points = quadrant_points(cached_results.analysis(current, evidence).per_run, reward, loss)
    if points.is_empty():
        return None
    names = study.metric(reward).name, study.metric(loss).name
    across, up = (f"{name}: effect (%)" for name in names)
    chart = quadrant_chart(points, study, reward=across, loss=up)
    return chart, quadrant_text(points, *names)


def _slope(current: Current, evidence: Evidence | None, task: str, metric: str) -> "Drawn":
    per_run, study = cached_results.analysis(current, evidence).task(task).per_run, current.study
    asked = study.task(task), study.metric(metric)
    return slope_chart(per_run, study, *asked), slope_text(per_run, *asked)


def _differences(current: Current, evidence: Evidence | None, task: str, metric: str) -> "Drawn":
    found, study = cached_results.analysis(current, evidence).task(task).differences, current.study
    asked = study.task(task), study.metric(metric)
    if found.filter(pl.col("metric") == metric).is_empty():
        return None
    chart = difference_chart(found, study, *asked, rules=_marks(current, asked[0]))
    return chart, f"{asked[1].name}: detached minus control over steps, mean of the fork pairs"


def _jump(current: Current, evidence: Evidence | None, task: str, metric: str) -> "Drawn":
    found, study = cached_results.analysis(current, evidence).task(task).fits, current.study
    asked = study.task(task), study.metric(metric)
    fits = found.filter(pl.col("metric") == metric)
    if fits.is_empty():
        return None
    low, high = fits.select(low=pl.col("step").min(), high=pl.col("step").max()).row(0)
    points = cached_results.rows_around(current, tuple(fits["run_id"].unique().sort()), metric, low, high)
    chart = jump_chart(points, found, study, *asked, rules=_marks(current, asked[0]))
    return chart, f"{asked[1].name} around the detach with a line fitted on each side, by run"


def _placebo(current: Current, evidence: Evidence | None, task: str, metric: str, arm: str) -> "Drawn":
    found = cached_results.analysis(current, evidence).task(task).placebo
    asked = current.study.task(task), current.study.metric(metric), arm
    return placebo_chart(found, *asked), placebo_text(found, *asked)


def _marks(current: Current, task: Task) -> tuple:
    return detach_marks(current.treated_of(task.key))


_CHARTS: dict[str, Callable[..., "Drawn"]] = {
    "forest": _forest,
    "quadrant": _quadrant,
    "slope": _slope,
    "differences": _differences,
    "jump": _jump,
    "placebo": _placebo,
}


@cached()
def event_chart(current: Current, metric: str, axis: str, arms: tuple[str, ...]) -> Wired | None:
    """The curves of a metric in every task, counted from the detach; None where no arm has a curve there."""
    study = current.study
    view = replace(current.view, x=axis, grid="aligned")  # type: ignore[arg-type]
    here = current.with_view(view)
    curves = pl.concat([cached_results.curves(here, task.key) for task in study.tasks])
    shown = set(curves.filter(pl.col("metric") == metric)["arm"])
    if not shown & set(arms):
        return None
    chart = curves_since_detach(curves, study, study.metric(metric), arms, view=view)
    takeaway = f"{study.metric(metric).name} of every task, aligned at the detach."
    if CONTROL in arms and CONTROL not in shown:
        takeaway += " Detach steps differ, so the control arm has no step to be aligned at."
    return wire(chart, takeaway)
