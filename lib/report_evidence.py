"""What stands behind the claims, as drawings for the report: forest, quadrants, and each task's checklist and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import altair as alt
import polars as pl
from markupsafe import Markup

from lib import charts_effect, charts_evidence, effects_frames
from lib.charts import detach_marks
from lib.designs import Material
from lib.detach import of_task
from lib.effects import materials
from lib.figures import render
from lib.gates import Gate, gates
from lib.results import Results, effect_inputs
from lib.study import Metric, Task

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
    given = materials(study, effect_inputs(study, found.manifest, found.view))
    per_run = {g.task.key: effects_frames.per_run(g) for g in given}
    overview = tuple(_overview(found, per_run))
    room = ENOUGH - sum(len(drawing.svg) for drawing in overview)
    tasks = []
    for g in given:
        tasks.append(_task(found, g, per_run[g.task.key], room))
        room -= sum(metric.size for metric in tasks[-1].metrics)
    return EvidencePage(overview, tuple(tasks))


def _drawing(chart: alt.TopLevelMixin, text: str) -> Drawing:
    return Drawing(Markup(render(chart, "svg").decode()), text)  # noqa: S704


def _overview(found: Results, per_run: dict[str, pl.DataFrame]) -> Iterator[Drawing]:
    study = found.study
    if found.effects.is_empty():
        return
    yield _drawing(
        charts_effect.forest_chart(found.effects, study, width=WIDE), charts_effect.effects_text(found.effects, study)
    )
    rewards, losses = study.family("reward"), study.family("loss")
    if not rewards or not losses or not per_run:
        return
    reward, loss = rewards[-1], losses[0]
    points = charts_effect.quadrant_points(pl.concat(per_run.values()), reward.key, loss.key)
    if points.is_empty():
        return
    chart = charts_effect.quadrant_chart(
        points, study, reward=f"{reward.name}: effect (%)", loss=f"{loss.name}: effect (%)", width=HALF
    )
    yield _drawing(chart, charts_effect.quadrant_text(points, reward.name, loss.name))


def _task(found: Results, given: Material, per_run: pl.DataFrame, room: int) -> TaskEvidence:
    task = given.task
    configs = {run.id: run.config for run in found.manifest.of_task(task.key)}
    set_aside = [run_id for run_id in found.view.left_out if run_id in configs]
    frames = (effects_frames.pair_differences(given), effects_frames.placebo(given))
    shown: list[MetricEvidence] = []
    left_out = []
    for metric in found.study.metrics:
        if room <= 0:
            left_out.append(metric.name)
            continue
        mine = MetricEvidence(metric.name, tuple(_metric(found, task, metric, per_run, *frames)))
        room -= mine.size
        if mine.drawings:
            shown.append(mine)
    return TaskEvidence(task.title, tuple(gates(given, configs, set_aside)), tuple(shown), tuple(left_out))


def _metric(
    found: Results, task: Task, metric: Metric, per_run: pl.DataFrame, differences: pl.DataFrame, placebo: pl.DataFrame
) -> Iterator[Drawing]:
    study, here = found.study, pl.col("metric") == metric.key
    rules = detach_marks(of_task(found.treated, task.key))
    if per_run.filter(here).height:
        chart = charts_effect.slope_chart(per_run, study, task, metric, width=THIRD, title="Seed by seed")
        yield _drawing(chart, charts_effect.slope_text(per_run, task, metric))
    if differences.filter(here).height:
        chart = charts_evidence.difference_chart(
            differences, study, task, metric, rules=rules, width=THIRD, title="Fork pairs over steps"
        )
        yield _drawing(chart, "Detached minus control, mean of the fork pairs with its pointwise 95% t interval.")
    arms = placebo.filter(here)["arm"].unique(maintain_order=True)
    for arm in arms:
        name = "Pretended detach steps" + (f" ({arm})" if len(arms) > 1 else "")
        chart = charts_evidence.placebo_chart(placebo, task, metric, arm, width=THIRD, height=300, title=name)
        yield _drawing(chart, charts_evidence.placebo_text(placebo, task, metric, arm))
