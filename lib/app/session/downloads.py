"""Files that the app offers for download, built on click."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from lib import report
from lib.app.session import cached_results
from lib.app.session.current import Current
from lib.curves import View, study_curves
from lib.effects import TaskAnalysis
from lib.formatting import listing
from lib.report import (
    GRID_STEM,
    Frames,
    Results,
    claims_figure,
    event_figure,
    footer_text,
    metric_figures,
    plotted,
    quadrant_figure,
    render,
    report_page,
    sidecar,
    study_drawn,
    study_results,
    with_font,
)
from lib.sources import write_bundle
from lib.study import Metric, Study, Task

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
    cells = report.cells(study).items()
    return {GRID: GRID_STEM} | {f"{task.title}: {listing(families)}": stem for stem, (task, families) in cells}


def of_curves(current: Current, stem: str) -> Exported:
    """A figure of curves, or the grid, from the settings on screen."""
    return Exported(
        stem,
        lambda **look: figure_bytes(current, stem, **look),
        lambda: sidecar_bytes(current),
        lambda: plotted(current.study, current.manifest, current.view, stem),
    )


def of_study(current: Current, name: str) -> Exported | None:
    """All claims or reward against loss, in the declared windows; None where there is nothing to draw."""
    study = current.study
    if name == CLAIMS:
        effects = cached_results.analysis(current, None).effects
        return None if effects.is_empty() else _exported(current, claims_figure(effects, study, WIDTH, study.title))
    figure = quadrant_figure(cached_results.analysis(current, None).per_run, study, WIDTH, study.title)
    return _exported(current, figure) if figure else None


def of_metric(current: Current, task: Task, metric: Metric) -> Mapping[str, Exported]:
    """What stands behind one metric of a task, by name, in the declared windows."""
    study, treated = current.study, current.treated_of(task.key)
    frames = _frames(current, metric, cached_results.analysis(current, None).task(task.key))
    prefix = f"{task.title} - {metric.name} - "
    figures = metric_figures(study, task, metric, treated, frames, WIDTH, prefix)
    found = {figure.name: _exported(current, figure) for figure in figures}
    since = current.with_view(event_view(current.view))
    curves = pl.concat([cached_results.curves(since, one.key) for one in study.tasks])
    if curves.filter(pl.col("metric") == metric.key).height:
        figure = event_figure(curves, study, metric, since.view, current.treated)
        found[figure.name] = _exported(since, figure, effects=False)
    return found


def event_view(view: View) -> View:
    """The view that event time is drawn with: means and bands of the whole of every task, counted from the detach."""
    return replace(view, x="since_percent", grid="aligned", span=None, seeds=False, color_by="", raw=False)


def _frames(current: Current, metric: Metric, task: TaskAnalysis) -> Any:
    fits = task.fits.filter(pl.col("metric") == metric.key)
    if fits.is_empty():
        return Frames(task.per_run, task.differences, task.placebo)
    low, high = fits.select(low=pl.col("step").min(), high=pl.col("step").max()).row(0)
    points = cached_results.rows_around(current, tuple(fits["run_id"].unique().sort()), metric.key, low, high)
    return Frames(task.per_run, task.differences, task.placebo, (fits, points))


def _exported(current: Current, figure: Any, effects: bool = True) -> Exported:
    """A figure drawn with these settings; of effects, which no setting of curves changes, where it is not said otherwise."""
    return Exported(
        figure.stem,
        lambda **look: drawn_bytes(current, figure.chart, **look, effects=effects),
        lambda: sidecar_bytes(current, effects),
        lambda: figure.numbers,
    )


def bundle_bytes(current: Current) -> bytes:
    """The study and its runs as a .zip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.zip"
        write_bundle(current.study, current.manifest, path)
        return path.read_bytes()


# ---- exports, built when asked for -------------------------------------------------------------------------------


def _results(current: Current) -> Results:
    """Everything the report shows, for the settings on screen."""
    return study_results(current.study, current.manifest, current.view)


def result_frame(current: Current, name: str) -> pl.DataFrame:
    """One of the report's tables, by its name in `lib.report.TABLES`."""
    if name == "curves":
        return study_curves(current.study, current.manifest, current.view)
    frame: pl.DataFrame = getattr(_results(current), name)
    return frame


def report_html(current: Current) -> str:
    """The study as one self-contained page."""
    return report_page(_results(current))


def figure_bytes(
    current: Current, stem: str, kind: str, look: str, font: str, size: float, scale: float, footer: bool
) -> bytes:
    """One figure as a file, from the settings on screen; `stem` as `lib.report.figure` takes it."""
    study, view = current.study, current.view
    # A download is built outside the session's thread, where its caches are out of reach.
    chart = report.figure(study, study_drawn(study, current.manifest, view), stem)
    return drawn_bytes(current, chart, kind, look, font, size, scale, footer)


def drawn_bytes(
    current: Current,
    chart: Any,
    kind: str,
    look: str,
    font: str,
    size: float,
    scale: float,
    footer: bool,
    effects: bool = False,
) -> bytes:
    """A chart as a file, with the footer of the view it was drawn with; `effects` where it draws no curves."""
    text = footer_text(current.study, current.manifest, current.view, effects) if footer else ""
    return render(chart, kind, preset=with_font(look, font=font, font_size=size), scale=scale, footer=text)


def sidecar_bytes(current: Current, effects: bool = False) -> bytes:
    """What a figure of this view rests on, as JSON; `effects` where it draws no curves."""
    return sidecar(current.study, current.manifest, current.view, effects)
