"""Files that the app offers for download, built on click."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from lib.app.session.cached_effects import claims_figure, event_figure, metric_figures, quadrant_figure
from lib.app.session.current import Current
from lib.curves import Axis, View, study_curves
from lib.report import (
    Figure,
    figure_data,
    figure_of_stem,
    footer_text,
    render,
    report_page,
    sidecar,
    study_results,
    with_font,
)
from lib.sources import zipped_bundle
from lib.study import Metric, Task

CLAIMS, QUADRANT, EVIDENCE = "All claims", "Reward against loss", "Evidence of one metric"


@dataclass(frozen=True)
class FigureDownload:
    """A figure's files, each made when it is asked for.

    `current` has the view that the figure is drawn with; `effects` is whether it draws no curves, so that no setting of
    curves changes it.
    """

    current: Current
    stem: str
    figure: Callable[[], Figure]
    effects: bool = True

    def file(self, kind: str, look: str, font: str, size: float, scale: float, footer: bool) -> bytes:
        """The figure in one of `lib.report.FORMATS`, in the look of a preset."""
        study, manifest, view = self.current.study, self.current.manifest, self.current.view
        text = footer_text(study, manifest, view, self.effects) if footer else ""
        preset = with_font(look, font=font, font_size=size)
        return render(self.figure().file_chart, kind, preset=preset, scale=scale, footer=text)

    def sidecar(self) -> bytes:
        """What the figure rests on, as JSON."""
        return sidecar(self.current.study, self.current.manifest, self.current.view, self.effects)

    def numbers(self) -> pl.DataFrame:
        """What the figure draws."""
        return self.figure().numbers()


def of_curves(current: Current, stem: str) -> FigureDownload:
    """A figure of curves, or the grid, from the settings on screen."""

    def figure() -> Figure:
        # A download is built outside the session's thread, where its caches are out of reach.
        return figure_of_stem(figure_data(current.study, current.manifest, current.view), stem)

    return FigureDownload(current, stem, figure, effects=False)


def of_study(current: Current, name: str) -> FigureDownload | None:
    """All claims or reward against loss, in the declared windows; None where there is nothing to draw."""
    figure = claims_figure(current) if name == CLAIMS else quadrant_figure(current)
    return _effects(current, figure) if figure else None


def of_metric(current: Current, task: Task, metric: Metric) -> dict[str, FigureDownload]:
    """What stands behind one metric of a task, by name, in the declared windows."""
    figures = metric_figures(current, task.key, metric.key)
    downloads = {name: _effects(current, figure) for name, figure in figures.items()}
    since = current.with_view(event_view(current.view))
    if event := event_figure(since, metric.key):
        downloads[event.name] = replace(_effects(since, event), effects=False)
    return downloads


def _effects(current: Current, figure: Figure) -> FigureDownload:
    return FigureDownload(current, figure.stem, lambda: figure)


def event_view(view: View, x: Axis = "since_percent") -> View:
    """The view that event time is drawn with: means and bands of the whole of every task, counted from the detach."""
    return replace(view, x=x, grid="aligned", span=None, seeds=False, color_by="", raw=False)


def bundle_bytes(current: Current) -> bytes:
    """The study and its runs as a .zip."""
    return zipped_bundle(current.study, current.manifest)


def result_frame(current: Current, name: str) -> pl.DataFrame:
    """One of the report's tables, by its name in `lib.report.TABLES`."""
    if name == "curves":
        return study_curves(current.study, current.manifest, current.view)
    frame: pl.DataFrame = getattr(study_results(current.study, current.manifest, current.view), name)
    return frame


def report_html(current: Current) -> str:
    """The study as one self-contained page, for the settings on screen."""
    return report_page(study_results(current.study, current.manifest, current.view))
