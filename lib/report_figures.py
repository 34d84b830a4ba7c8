"""The figures of effects that the report draws and the app exports: chart, file name, plotted numbers, what it shows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from lib import charts_effect, charts_evidence
from lib.charts import detach_marks
from lib.detach import Treatment, arms_of
from lib.study import Metric, Study, Task
from lib.view import View


@dataclass(frozen=True)
class Figure:
    """A chart with the name it is chosen by, the stem of its file, the numbers it draws and a sentence on them."""

    name: str
    stem: str
    chart: alt.TopLevelMixin
    numbers: pl.DataFrame
    text: str


@dataclass(frozen=True)
class Frames:
    """What is drawn of one task: columns as in `lib.effects_frames`.

    `jump` has the local fits and the raw rows around the detach; without them the jump is not drawn.
    """

    per_run: pl.DataFrame
    differences: pl.DataFrame
    placebo: pl.DataFrame
    jump: tuple[pl.DataFrame, pl.DataFrame] | None = None


def claims_figure(effects: pl.DataFrame, study: Study, width: int, title: str | None = None) -> Figure:
    """Every claim on one axis."""
    chart = charts_effect.forest_chart(effects, study, width=width, title=title)
    return Figure("All claims", "claims", chart, effects, charts_effect.effects_text(effects, study))


def quadrant_figure(per_run: pl.DataFrame, study: Study, width: int, title: str | None = None) -> Figure | None:
    """Reward effect against loss effect, a point a seed and task; None where no run has both."""
    rewards, losses = study.family("reward"), study.family("loss")
    if not rewards or not losses:
        return None
    reward, loss = rewards[-1], losses[0]
    points = charts_effect.quadrant_points(per_run, reward.key, loss.key)
    if points.is_empty():
        return None
    of_reward, of_loss = f"{reward.name}: effect (%)", f"{loss.name}: effect (%)"
    chart = charts_effect.quadrant_chart(points, study, reward=of_reward, loss=of_loss, width=width, title=title)
    text = charts_effect.quadrant_text(points, reward.name, loss.name)
    return Figure("Reward against loss", "reward_against_loss", chart, points, text)


def event_figure(
    curves: pl.DataFrame, study: Study, metric: Metric, view: View, treated: Sequence[Treatment]
) -> Figure:
    """A metric's curves of every task, counted from the detach; `view` has such an axis."""
    mine = curves.filter(pl.col("metric") == metric.key)
    title = f"{metric.name} - Event Time"
    chart = charts_evidence.curves_since_detach(
        curves, study, metric, arms_of(treated), view=view, width=800, title=title
    )
    text = f"{metric.name} of every task, aligned at the detach"
    return Figure("Event time", f"event_time_{_plain(metric.key)}", chart, mine, text)


def metric_figures(
    study: Study,
    task: Task,
    metric: Metric,
    treated: Sequence[Treatment],
    frames: Frames,
    width: int,
    prefix: str = "",
) -> Iterator[Figure]:
    """One metric of a task: its seeds, fork pairs, jump and pretended detach steps, as far as there are any.

    Parameters
    ----------
    treated : the task's treatments, for the detach rule.
    prefix : what the titles start with.
    """
    here, rules = pl.col("metric") == metric.key, detach_marks(treated)
    stem = f"{task.stem}_{_plain(metric.key)}"
    runs, pairs = frames.per_run.filter(here), frames.differences.filter(here)
    if runs.height:
        chart = charts_effect.slope_chart(runs, study, task, metric, width=width, title=f"{prefix}Seed by seed")
        text = charts_effect.slope_text(runs, task, metric)
        yield Figure("Seed by seed", f"{stem}_seeds", chart, runs, text)
    if pairs.height:
        name = "Fork pairs over steps"
        chart = charts_evidence.difference_chart(
            pairs, study, task, metric, rules=rules, width=width, title=f"{prefix}{name}"
        )
        text = "Detached minus control, mean of the fork pairs with its pointwise 95% t interval."
        yield Figure(name, f"{stem}_pairs", chart, pairs, text)
    if frames.jump and (fits := frames.jump[0].filter(here)).height:
        name = "The jump at the detach"
        points = frames.jump[1].select("run_id", "metric", "step", "value").sort("run_id", "step")
        chart = charts_evidence.jump_chart(
            points, fits, study, task, metric, rules=rules, width=width, title=f"{prefix}{name}"
        )
        text = f"{metric.name} around the detach with a line fitted on each side, by run"
        yield Figure(name, f"{stem}_jump", chart, pl.concat([points, fits], how="diagonal_relaxed"), text)
    yield from _placebo(task, metric, frames.placebo.filter(here), f"{stem}_pretended", width, prefix)


def _placebo(task: Task, metric: Metric, placebo: pl.DataFrame, stem: str, width: int, prefix: str) -> Iterator[Figure]:
    arms = placebo["arm"].unique(maintain_order=True)
    for arm in arms:
        name = "Pretended detach steps" + (f" ({arm})" if len(arms) > 1 else "")
        chart = charts_evidence.placebo_chart(
            placebo, task, metric, arm, width=width, height=300, title=f"{prefix}{name}"
        )
        text = charts_evidence.placebo_text(placebo, task, metric, arm)
        own = f"{stem}_{_plain(arm)}" if len(arms) > 1 else stem
        yield Figure(name, own, chart, placebo.filter(pl.col("arm") == arm), text)


def _plain(name: str) -> str:
    """A key or an arm as part of a file's name."""
    return re.sub(r"[^\w.]", "_", name)
