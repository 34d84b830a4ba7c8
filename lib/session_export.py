"""What the Export popover offers: every figure of the study by name, how it is drawn, and the numbers it draws."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from lib import results, session
from lib.session import Current
from lib.session_effects import TaskEffects, task_effects
from lib.study import Metric, Study, Task
from lib.view import View

GRID, CLAIMS, QUADRANT, EVIDENCE = "Grid of all tasks", "All claims", "Reward against loss", "Evidence of one metric"
#: Pixels; presets have widths of their own.
WIDTH = 800


@dataclass(frozen=True)
class Exported:
    """One figure: the stem of its file, its bytes in a look, what it rests on as JSON, and the numbers that it draws.

    All but the stem are made when called; the footer and `about` tell of the settings that it was drawn with.
    """

    stem: str
    drawn: Callable[..., bytes]
    about: Callable[[], bytes]
    numbers: Callable[[], pl.DataFrame]


def curve_stems(study: Study) -> dict[str, str]:
    """What each figure of curves is called, and the stem of its file."""
    from lib.figures import GRID_STEM

    cells = results.cells(study).items()
    return {GRID: GRID_STEM} | {f"{task.title}: {' and '.join(families)}": stem for stem, (task, families) in cells}


def of_curves(current: Current, stem: str) -> Exported:
    """A figure of curves, or the grid, from the settings on screen."""
    return Exported(
        stem,
        lambda **look: session.figure_bytes(current, stem, **look),
        lambda: session.sidecar_bytes(current),
        lambda: results.plotted(current.study, current.manifest, current.view, stem),
    )


def of_study(current: Current, name: str) -> Exported | None:
    """All claims or reward against loss, in the declared windows; None where there is nothing to draw."""
    from lib.report_figures import claims_figure, quadrant_figure

    study = current.study
    if name == CLAIMS:
        effects = session.effects(current)
        return None if effects.is_empty() else _exported(current, claims_figure(effects, study, WIDTH, study.title))
    per_run = pl.concat([task_effects(current, task.key, None).per_run for task in study.tasks])
    figure = quadrant_figure(per_run, study, WIDTH, study.title)
    return _exported(current, figure) if figure else None


def of_metric(current: Current, task: Task, metric: Metric) -> Mapping[str, Exported]:
    """What stands behind one metric of a task, by name, in the declared windows."""
    from lib.report_figures import event_figure, metric_figures

    study, treated = current.study, session.shown_treated(current, task.key)
    frames = _frames(current, metric, task_effects(current, task.key, None))
    prefix = f"{task.title} - {metric.name} - "
    figures = metric_figures(study, task, metric, treated, frames, WIDTH, prefix)
    found = {figure.name: _exported(current, figure) for figure in figures}
    since = replace(current, view=event_view(current.view))
    curves = pl.concat([session.curves(since, one.key) for one in study.tasks])
    if curves.filter(pl.col("metric") == metric.key).height:
        figure = event_figure(curves, study, metric, since.view, current.treated)
        found[figure.name] = _exported(since, figure, effects=False)
    return found


def event_view(view: View) -> View:
    """The view that event time is drawn with: means and bands of the whole of every task, counted from the detach."""
    return replace(view, x="since_percent", grid="aligned", span=None, seeds=False, color_by="", raw=False)


def _frames(current: Current, metric: Metric, found: TaskEffects) -> Any:
    from lib.report_figures import Frames

    fits = found.fits.filter(pl.col("metric") == metric.key)
    if fits.is_empty():
        return Frames(found.per_run, found.differences, found.placebo)
    low, high = fits.select(low=pl.col("step").min(), high=pl.col("step").max()).row(0)
    points = session.rows_around(current, tuple(fits["run_id"].unique().sort()), metric.key, low, high)
    return Frames(found.per_run, found.differences, found.placebo, (fits, points))


def _exported(current: Current, figure: Any, effects: bool = True) -> Exported:
    """A figure drawn with these settings; of effects, which no setting of curves changes, where it is not said otherwise."""
    return Exported(
        figure.stem,
        lambda **look: session.drawn_bytes(current, figure.chart, **look, effects=effects),
        lambda: session.sidecar_bytes(current, effects),
        lambda: figure.numbers,
    )
