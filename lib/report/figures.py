"""Every figure of a study: chart, file stem, plotted numbers, caption."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from lib.charts import (
    FAMILIES,
    curves_since_detach,
    detach_marks,
    difference_chart,
    effects_text,
    family_chart,
    family_metrics,
    figure_title,
    forest_chart,
    grid,
    jump_chart,
    placebo_chart,
    placebo_text,
    quadrant_chart,
    quadrant_points,
    quadrant_text,
    shown_range,
    slope_chart,
    slope_text,
    split,
)
from lib.curves import COLUMNS, View, study_baselines, study_curves, study_raw, study_seeds
from lib.formatting import slug
from lib.report.results import Drawn
from lib.runs import Manifest, Treatment, arms_of, of_task, treatments
from lib.study import Metric, Study, Task


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
    """What is drawn of one task: columns as in `lib.effects.chart_data`.

    `jump` has the local fits and the raw rows around the detach; without them the jump is not drawn.
    """

    per_run: pl.DataFrame
    differences: pl.DataFrame
    placebo: pl.DataFrame
    jump: tuple[pl.DataFrame, pl.DataFrame] | None = None


def claims_figure(effects: pl.DataFrame, study: Study, width: int, title: str | None = None) -> Figure:
    """Every claim on one axis."""
    chart = forest_chart(effects, study, width=width, title=title)
    return Figure("All claims", "claims", chart, effects, effects_text(effects, study))


def quadrant_figure(per_run: pl.DataFrame, study: Study, width: int, title: str | None = None) -> Figure | None:
    """Reward effect against loss effect, a point a seed and task; None where no run has both."""
    rewards, losses = study.family("reward"), study.family("loss")
    if not rewards or not losses:
        return None
    reward, loss = rewards[-1], losses[0]
    points = quadrant_points(per_run, reward.key, loss.key)
    if points.is_empty():
        return None
    of_reward, of_loss = f"{reward.name}: effect (%)", f"{loss.name}: effect (%)"
    chart = quadrant_chart(points, study, reward=of_reward, loss=of_loss, width=width, title=title)
    text = quadrant_text(points, reward.name, loss.name)
    return Figure("Reward against loss", "reward_against_loss", chart, points, text)


def event_figure(
    curves: pl.DataFrame, study: Study, metric: Metric, view: View, treated: Sequence[Treatment]
) -> Figure:
    """A metric's curves of every task, counted from the detach; `view` has such an axis."""
    mine = curves.filter(pl.col("metric") == metric.key)
    title = f"{metric.name} - Event Time"
    chart = curves_since_detach(curves, study, metric, arms_of(treated), view=view, width=800, title=title)
    text = f"{metric.name} of every task, aligned at the detach"
    return Figure("Event time", f"event_time_{slug(metric.key, keep='.')}", chart, mine, text)


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
    stem = f"{task.stem}_{slug(metric.key, keep='.')}"
    runs, pairs = frames.per_run.filter(here), frames.differences.filter(here)
    if runs.height:
        chart = slope_chart(runs, study, task, metric, width=width, title=f"{prefix}Seed by seed")
        text = slope_text(runs, task, metric)
        yield Figure("Seed by seed", f"{stem}_seeds", chart, runs, text)
    if pairs.height:
        name = "Fork pairs over steps"
        chart = difference_chart(pairs, study, task, metric, rules=rules, width=width, title=f"{prefix}{name}")
        text = "Detached minus control, mean of the fork pairs with its pointwise 95% t interval."
        yield Figure(name, f"{stem}_pairs", chart, pairs, text)
    if frames.jump and (fits := frames.jump[0].filter(here)).height:
        name = "The jump at the detach"
        points = frames.jump[1].select("run_id", "metric", "step", "value").sort("run_id", "step")
        chart = jump_chart(points, fits, study, task, metric, rules=rules, width=width, title=f"{prefix}{name}")
        text = f"{metric.name} around the detach with a line fitted on each side, by run"
        yield Figure(name, f"{stem}_jump", chart, pl.concat([points, fits], how="diagonal_relaxed"), text)
    yield from _placebo(task, metric, frames.placebo.filter(here), f"{stem}_pretended", width, prefix)


def _placebo(task: Task, metric: Metric, placebo: pl.DataFrame, stem: str, width: int, prefix: str) -> Iterator[Figure]:
    arms = placebo["arm"].unique(maintain_order=True)
    for arm in arms:
        name = "Pretended detach steps" + (f" ({arm})" if len(arms) > 1 else "")
        chart = placebo_chart(placebo, task, metric, arm, width=width, height=300, title=f"{prefix}{name}")
        text = placebo_text(placebo, task, metric, arm)
        own = f"{stem}_{slug(arm, keep='.')}" if len(arms) > 1 else stem
        yield Figure(name, own, chart, placebo.filter(pl.col("arm") == arm), text)


GRID_STEM = "combined_ablation"


def file_stem(task: Task, *families: str) -> str:
    """The notebook's name of a figure's file: `acrobot_swingup_reward`; of several families `…_reward_and_loss`."""
    return f"{task.stem}_{'_and_'.join(families)}"


FIGURE_SIZE = (800, 500)


#: What a row of `plotted` is: a curve's, a run's own where the view draws every seed, the same before smoothing where it
#: draws that, or a baseline's.
DRAWN = ("curve", "seed", "raw", "baseline")


def plotted(study: Study, manifest: Manifest, view: View, stem: str) -> pl.DataFrame:
    """The numbers that one `figure` draws; the grid's stem gives those of every cell.

    Returns
    -------
    Columns of `lib.curves.COLUMNS` (a run's value as its mean, with n 1), then `drawn` (one of `DRAWN`), `run_id` of a
    run and `label` of a baseline; within the range of x that the figure shows of each task.
    """
    pass

    by_stem = cells(study)
    shown = list(by_stem.values()) if stem == GRID_STEM else [by_stem[stem]]
    here = pl.lit(False)
    for task, families in shown:
        keys = [metric.key for family in families for metric in study.family(family)]
        baseline = pl.lit("reward" in families) & (pl.col("drawn") == "baseline")
        here |= (pl.col("task") == task.key) & (pl.col("metric").is_in(keys) | baseline)
    curves = study_curves(study, manifest, view)
    rows = [curves.with_columns(drawn=pl.lit("curve"))]
    one = pl.lit(1, pl.UInt32).alias("n")
    for drawn, runs in (("seed", study_seeds(study, manifest, view)), ("raw", study_raw(study, manifest, view))):
        if runs is not None:
            rows.append(runs.rename({"value": "mean"}).drop("seed").with_columns(one, drawn=pl.lit(drawn)))
    behind = study_baselines(study, treatments(study, manifest, view.left_out), view).drop("color")
    rows.append(behind.with_columns(drawn=pl.lit("baseline")))
    columns = (*COLUMNS, "drawn", "run_id", "label")
    empty = pl.DataFrame(schema={"run_id": pl.String, "label": pl.String})
    frame = pl.concat([*rows, empty], how="diagonal").select(columns).filter(here)
    within = {task.key: shown_range(split(curves, task.key), view.span) for task, _ in shown}
    beyond = [(pl.col("task") == key) & ~pl.col("step").is_between(*span) for key, span in within.items() if span]
    return frame.filter(~pl.any_horizontal(False, *beyond))


def cells(study: Study) -> dict[str, tuple[Task, tuple[str, ...]]]:
    """What each figure of one task draws, by the stem of its file: a family, or all of them one below the other."""
    pass

    families = tuple(family for family in FAMILIES if study.family(family))
    sets = [(family,) for family in families] + ([families] if len(families) > 1 else [])
    return {file_stem(task, *drawn): (task, drawn) for task in study.tasks for drawn in sets}


def figures(study: Study, drawn: Drawn) -> Iterator[tuple[str, "alt.TopLevelMixin"]]:
    """The report's figures with the stems of their files: the notebook's names."""
    pass

    yield GRID_STEM, figure(study, drawn, GRID_STEM)
    for stem, (task, families) in cells(study).items():
        if len(families) == 1 and family_metrics(drawn.curves, study, task, *families):
            yield stem, figure(study, drawn, stem)


def figure(study: Study, drawn: Drawn, stem: str) -> "alt.TopLevelMixin":
    """One figure by the stem of its file: the grid, or one of `cells`."""
    pass

    view, curves = drawn.view, drawn.curves
    marks = {
        task.key: detach_marks(of_task(drawn.treated, task.key), drawn.clocks.get(task.key)) for task in study.tasks
    }
    behind: dict[str, Any] = {"seeds": drawn.seeds, "raw": drawn.raw, "baselines": drawn.baselines}
    if stem == GRID_STEM:
        return grid(curves, study, view=view, rules=marks, coloring=drawn.coloring, **behind)
    task, families = cells(study)[stem]
    # Without any curve the axes are drawn, and nothing along them.
    families = tuple(family for family in families if family_metrics(curves, study, task, family)) or families[:1]
    width, height = FIGURE_SIZE
    return family_chart(
        curves,
        study,
        task,
        *families,
        view=view,
        rules=marks[task.key],
        width=width,
        height=height * len(families),
        title=figure_title(curves, study, task, *families),
        coloring=drawn.coloring.get(task.key),
        **behind,
    )
