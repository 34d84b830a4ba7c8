"""Figures and lists behind the claims in the report: forest, quadrants, each task's checklist and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from lib.effects import Check, TaskAnalysis, checklist
from lib.report.figures import Figure, Frames, claims_figure, metric_figures, quadrant_figure
from lib.report.render import render
from lib.report.results import Results

#: Bytes of drawings after which the seeds' pictures of further metrics are left to the app.
ENOUGH = 1_800_000
THIRD, HALF, WIDE = 345, 520, 1040


@dataclass(frozen=True)
class Drawing:
    """A chart as SVG with the sentence that says what it shows."""

    svg: Markup
    text: str


@dataclass(frozen=True)
class MetricEvidence:
    """One metric's drawings: seeds, fork pairs, pretended detach steps, as far as the task has them."""

    name: str
    drawings: tuple[Drawing, ...]

    @property
    def size(self) -> int:
        """Bytes, nearly."""
        return sum(len(drawing.svg) for drawing in self.drawings)


@dataclass(frozen=True)
class TaskEvidence:
    """One task's checklist and drawings; `left_out` are the metrics whose drawings the page has no room for."""

    title: str
    checklist: tuple[Check, ...]
    metrics: tuple[MetricEvidence, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class EvidencePage:
    """The drawings of all claims together, and those of each task."""

    overview: tuple[Drawing, ...]
    tasks: tuple[TaskEvidence, ...]


def evidence(found: Results) -> EvidencePage:
    """Everything that the Detach effect page draws of the declared windows, as SVG."""
    overview = tuple(_overview(found))
    room = ENOUGH - sum(len(drawing.svg) for drawing in overview)
    tasks = []
    for analysis in found.analysis.tasks:
        tasks.append(_task(found, analysis, room))
        room -= sum(metric.size for metric in tasks[-1].metrics)
    return EvidencePage(overview, tuple(tasks))


def _drawing(figure: Figure) -> Drawing:
    return Drawing(Markup(render(figure.chart, "svg").decode()), figure.text)  # noqa: S704


def _overview(found: Results) -> Iterator[Drawing]:
    if found.effects.is_empty():
        return
    yield _drawing(claims_figure(found.effects, found.study, WIDE))
    if figure := quadrant_figure(found.analysis.per_run, found.study, HALF):
        yield _drawing(figure)


def _task(found: Results, analysis: TaskAnalysis, room: int) -> TaskEvidence:
    task = analysis.task
    frames = Frames(analysis.per_run, analysis.differences, analysis.placebo)
    shown: list[MetricEvidence] = []
    left_out = []
    for metric in found.study.metrics:
        if room <= 0:
            left_out.append(metric.name)
            continue
        drawn = metric_figures(found.study, task, metric, analysis.treated, frames, THIRD)
        mine = MetricEvidence(metric.name, tuple(_drawing(figure) for figure in drawn))
        room -= mine.size
        if mine.drawings:
            shown.append(mine)
    return TaskEvidence(task.title, checklist(analysis), tuple(shown), tuple(left_out))
