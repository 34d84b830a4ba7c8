"""Figures and lists behind the claims in the report: forest, quadrants, each task's checklist and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lib.effects import Check, checklist, encoder_table, visible_effects
from lib.report.figures import Figure, claims_figure, metric_figures, quadrant_figure
from lib.report.render import Picture, pictures
from lib.report.results import Results

#: Bytes of drawings after which the seeds' pictures of further metrics are left to the app.
ENOUGH = 1_800_000
THIRD, HALF, WIDE = 345, 520, 1040


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG with its caption."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class TaskEvidence:
    """One task's checklist and its drawings by the name of their metric; the page has no room for those `left_out`.

    `encoder` are rows of `lib.effects.encoder.ENCODER`.
    """

    title: str
    checklist: tuple[Check, ...]
    encoder: Sequence[Mapping[str, Any]]
    drawings: Mapping[str, tuple[Drawing, ...]]
    left_out: tuple[str, ...]


def overview(results: Results, workers: Executor | None = None) -> Iterator[Drawing]:
    """The drawings of all claims together."""
    claims = claims_figure(results.effects, results.visible)
    quadrant = quadrant_figure(results.analysis.per_run, results.visible)
    figures = [(figure, width) for figure, width in ((claims, WIDE), (quadrant, HALF)) if figure]
    images = pictures((figure.chart(width=width) for figure, width in figures), workers)
    yield from map(drawing, (figure for figure, _ in figures), images)


def evidence(results: Results, workers: Executor | None = None) -> Iterator[TaskEvidence]:
    """What the Detach effect page draws of each task in the declared windows, in about `ENOUGH` bytes."""
    figures = {
        (task.key, metric.key): tuple(metric_figures(results.analysis.task(task.key), metric))
        for task in results.visible.tasks
        for metric in results.visible.metrics
    }
    charts = (figure.chart(width=THIRD, title=figure.name) for of_metric in figures.values() for figure in of_metric)
    images, budget = pictures(charts, workers), ENOUGH
    for task in results.visible.tasks:
        analysis = results.analysis.task(task.key)
        drawings: dict[str, tuple[Drawing, ...]] = {}
        left_out = []
        encoder = visible_effects(encoder_table([analysis]), results.visible).to_dicts()
        for metric in results.visible.metrics:
            if budget <= 0:
                left_out.append(metric.name)
            elif of_metric := tuple(drawing(figure, next(images)) for figure in figures[task.key, metric.key]):
                drawings[metric.name] = of_metric
                budget -= sum(len(drawing.svg) for drawing in of_metric)
        yield TaskEvidence(task.title, checklist(analysis), encoder, drawings, tuple(left_out))


def drawing(figure: Figure, image: Picture) -> Drawing:
    """A figure with the picture of one of its charts."""
    return Drawing(Markup(image.with_ids(figure.stem).file("svg").decode()), figure.caption)  # noqa: S704
