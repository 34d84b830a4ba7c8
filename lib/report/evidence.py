"""Figures and lists behind the claims in the report: forest, quadrants, each task's checklist and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from lib.charts import ChartSpec
from lib.effects import Check, TaskAnalysis, checklist
from lib.report.figures import Figure, claims_figure, metric_figures, quadrant_figure
from lib.report.render import render
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


def evidence(results: Results) -> EvidencePage:
    """Everything that the Detach effect page draws of the declared windows, as SVG."""
    overview = tuple(_overview(results))
    budget = ENOUGH - sum(len(drawing.svg) for drawing in overview)
    tasks = []
    for analysis in results.analysis.tasks:
        tasks.append(_task(analysis, budget))
        budget -= sum(metric.size for metric in tasks[-1].metrics)
    return EvidencePage(overview, tuple(tasks))


def drawing(figure: Figure, chart: ChartSpec) -> Drawing:
    """A figure with one of its charts."""
    return Drawing(Markup(render(chart, "svg").decode()), figure.caption)  # noqa: S704


def _overview(results: Results) -> Iterator[Drawing]:
    if figure := claims_figure(results.effects, results.study):
        yield drawing(figure, figure.chart(width=WIDE))
    if figure := quadrant_figure(results.analysis.per_run, results.study):
        yield drawing(figure, figure.chart(width=HALF))


def _task(analysis: TaskAnalysis, budget: int) -> TaskEvidence:
    """One task's evidence, in about so many bytes."""
    shown: list[MetricEvidence] = []
    left_out = []
    for metric in analysis.study.metrics:
        if budget <= 0:
            left_out.append(metric.name)
            continue
        figures = metric_figures(analysis, metric)
        evidence = MetricEvidence(
            metric.name, tuple(drawing(figure, figure.chart(width=THIRD, title=figure.name)) for figure in figures)
        )
        budget -= evidence.size
        if evidence.drawings:
            shown.append(evidence)
    return TaskEvidence(analysis.task.title, checklist(analysis), tuple(shown), tuple(left_out))
