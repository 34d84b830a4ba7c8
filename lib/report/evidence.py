"""Figures and lists behind the claims in the report: forest, quadrants, each task's checklist and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
from markupsafe import Markup

from lib.effects import (
    Gate,
    Material,
    effect_inputs,
    gates,
    materials,
    pair_difference_table,
    per_run_table,
    placebo_table,
)
from lib.report.figures import Figure, Frames, claims_figure, metric_figures, quadrant_figure
from lib.report.render import render
from lib.report.results import Results
from lib.runs import of_task

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
    gates: tuple[Gate, ...]
    metrics: tuple[MetricEvidence, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class EvidencePage:
    """The drawings of all claims together, and those of each task."""

    overview: tuple[Drawing, ...]
    tasks: tuple[TaskEvidence, ...]


def evidence(found: Results) -> EvidencePage:
    """Everything that the Detach effect page draws of the declared windows, as SVG."""
    study = found.study
    given = materials(study, effect_inputs(study, found.manifest, found.view.left_out))
    per_run = {g.task.key: per_run_table(g) for g in given}
    overview = tuple(_overview(found, per_run))
    room = ENOUGH - sum(len(drawing.svg) for drawing in overview)
    tasks = []
    for g in given:
        tasks.append(_task(found, g, per_run[g.task.key], room))
        room -= sum(metric.size for metric in tasks[-1].metrics)
    return EvidencePage(overview, tuple(tasks))


def _drawing(figure: Figure) -> Drawing:
    return Drawing(Markup(render(figure.chart, "svg").decode()), figure.text)  # noqa: S704


def _overview(found: Results, per_run: dict[str, pl.DataFrame]) -> Iterator[Drawing]:
    if found.effects.is_empty():
        return
    yield _drawing(claims_figure(found.effects, found.study, WIDE))
    if per_run and (figure := quadrant_figure(pl.concat(per_run.values()), found.study, HALF)):
        yield _drawing(figure)


def _task(found: Results, given: Material, per_run: pl.DataFrame, room: int) -> TaskEvidence:
    task = given.task
    configs = {run.id: run.config for run in found.manifest.of_task(task.key)}
    set_aside = [run_id for run_id in found.view.left_out if run_id in configs]
    frames = Frames(per_run, pair_difference_table(given), placebo_table(given))
    treated = of_task(found.treated, task.key)
    shown: list[MetricEvidence] = []
    left_out = []
    for metric in found.study.metrics:
        if room <= 0:
            left_out.append(metric.name)
            continue
        drawn = metric_figures(found.study, task, metric, treated, frames, THIRD)
        mine = MetricEvidence(metric.name, tuple(_drawing(figure) for figure in drawn))
        room -= mine.size
        if mine.drawings:
            shown.append(mine)
    return TaskEvidence(task.title, tuple(gates(given, configs, set_aside)), tuple(shown), tuple(left_out))
