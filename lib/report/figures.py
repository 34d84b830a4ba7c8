"""Every figure of a study, for the app's pages, its downloads and the report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import polars as pl
from altair.utils import schemapi

from lib import charts
from lib.charts import ChartSpec, Layout, detach_marks, family_metrics, is_unfinished
from lib.curves import COLUMNS, View
from lib.effects import TaskAnalysis, fit_lines, with_shown_verdicts, with_sizes
from lib.formatting import listing, plural, slug
from lib.report.figure_data import FigureData
from lib.runs import of_task
from lib.study import CONTROL, FAMILIES, Metric, Study, Task

_BUILDING = Lock()
GRID_NAME, GRID_STEM = "Grid of all tasks", "combined_ablation"
#: Names of the figures behind one metric's effects; several arms have a figure of pretended detach steps each.
SEEDS, PAIRS, JUMP, PRETENDED = (
    "Seed by seed",
    "Fork pairs over steps",
    "The jump at the detach",
    "Pretended detach steps",
)


@dataclass(frozen=True)
class Figure:
    """A figure of a study; its chart and its numbers are made when they are asked for.

    `name` is what it is chosen by, `stem` the name of its files without their endings; `title` stands above it in a file,
    `caption` below it on a page; `description` tells what it shows to whoever cannot see it. `draw` takes the options of
    its chart (width, height, title, ...), of which `size` are those of a file.
    """

    name: str
    stem: str
    title: str
    caption: str
    description: str
    numbers: Callable[[], pl.DataFrame]
    draw: Callable[..., ChartSpec]
    size: Mapping[str, int] = field(default_factory=lambda: {"width": 800})

    def chart(self, **options: Any) -> ChartSpec:
        """The chart with these options of its kind; without any, it fills its container and has no title."""
        # Tests check every chart against Altair's schema; here that takes 40% of the time. Altair's switch is one for all
        # threads, so one thread at a time turns it.
        with _BUILDING, schemapi.debug_mode(False):
            return replace(self.draw(**options), description=self.description)

    @cached_property
    def page_chart(self) -> ChartSpec:
        """The chart as a page shows it, with the caption below."""
        return self.chart()

    @cached_property
    def file_chart(self) -> ChartSpec:
        """The chart in the size of a file, with its title."""
        return self.chart(title=self.title, **self.size)


# Curves


def curve_names(study: Study) -> dict[str, str]:
    """The name of every figure of curves, with the stem of its files."""
    families = {_curve_name(*plot): stem for stem, plot in figure_families(study).items()}
    return {GRID_NAME: GRID_STEM} | families


def _curve_name(task: Task, families: Sequence[str]) -> str:
    return f"{task.title}: {listing(families)}"


def figure_families(study: Study) -> dict[str, tuple[Task, tuple[str, ...]]]:
    """The figures of one task each: its families one by one, and together, by the stems of their files."""
    families = tuple(family for family in FAMILIES if study.family(family))
    sets = [(family,) for family in families] + ([families] if len(families) > 1 else [])
    return {file_stem(task, *chosen): (task, chosen) for task in study.tasks for chosen in sets}


def file_stem(task: Task, *families: str) -> str:
    """The notebook's name of a figure's file: `acrobot_swingup_reward`; of several families `…_reward_and_loss`."""
    return f"{task.stem}_{'_and_'.join(families)}"


def study_figures(data: FigureData) -> Iterator[Figure]:
    """The report's figures of curves: the grid, and each family that a task has a curve of."""
    yield grid_figure(data)
    for task, families in figure_families(data.study).values():
        if len(families) == 1 and family_metrics(data.curves, data.study, task, *families):
            yield curve_figure(data, task, *families)


def figure_of_stem(data: FigureData, stem: str) -> Figure:
    """The figure of curves whose files have that name."""
    if stem == GRID_STEM:
        return grid_figure(data)
    task, families = figure_families(data.study)[stem]
    return curve_figure(data, task, *families)


def curve_figure(data: FigureData, task: Task, *families: str) -> Figure:
    """Families of one task, one below the other; axes and nothing along them where it has no curve."""
    study, view, curves = data.study, data.view, data.curves
    logged = tuple(family for family in families if family_metrics(curves, study, task, family)) or families[:1]
    treatments = of_task(data.treatments, task.key)
    rules = detach_marks(treatments, data.clocks.get(task.key))
    title, background = charts.figure_title(curves, study, task, *logged), data.background(task.key)
    return Figure(
        name=_curve_name(task, families),
        stem=file_stem(task, *families),
        title=title,
        caption=title,
        description=charts.curves_text(
            curves, study, task, *logged, view=view, rules=rules, coloring=background.coloring
        ),
        numbers=lambda: _plotted(data, [(task, families)]),
        draw=lambda **options: charts.family_chart(
            curves, study, task, *logged, view=view, rules=rules, background=background, layout=Layout(**options),
            unfinished=is_unfinished(treatments, task),
        ),
        size={"width": 800, "height": 500 * len(logged)},
    )  # fmt: skip


def grid_figure(data: FigureData) -> Figure:
    """Every task and family in one figure."""
    study = data.study
    rules = {t.key: detach_marks(of_task(data.treatments, t.key), data.clocks.get(t.key)) for t in study.tasks}
    backgrounds = {task.key: data.background(task.key) for task in study.tasks}
    unfinished = [t.key for t in study.tasks if is_unfinished(of_task(data.treatments, t.key), t)]
    return Figure(
        name=GRID_NAME,
        stem=GRID_STEM,
        title=study.title,
        caption=study.title,
        description=f"{study.title}: every task and family.",
        numbers=lambda: _plotted(data, list(figure_families(study).values())),
        draw=lambda title: charts.grid(
            data.curves, study, view=data.view, rules=rules, backgrounds=backgrounds, unfinished=unfinished
        ),
        size={},
    )


def _plotted(data: FigureData, plots: Sequence[tuple[Task, Sequence[str]]]) -> pl.DataFrame:
    """The numbers that the plots of these families draw.

    Returns
    -------
    Columns of `lib.curves.COLUMNS` (a run's value as its mean, with n 1), then `drawn` (`curve`, a run's own `seed`,
    the same `raw` before smoothing, or `baseline`), `run_id` of a run and `label` of a baseline; within the range of x
    that the figure shows of each task.
    """
    in_plots, in_range = pl.lit(False), pl.lit(True)
    for task, families in plots:
        keys = [m.key for f in families for m in family_metrics(data.curves, data.study, task, f, data.view)]
        baseline = pl.lit("reward" in families) & (pl.col("drawn") == "baseline")
        of_task = pl.col("task") == task.key
        in_plots |= of_task & (pl.col("metric").is_in(keys) | baseline)
        if span := charts.shown_range(charts.x_range(charts.split(data.curves, task.key)), data.view.span):
            in_range &= ~of_task | pl.col("step").is_between(*span)
    rows = [data.curves.with_columns(drawn=pl.lit("curve"))]
    for kind, runs in (("seed", data.seeds), ("raw", data.raw)):
        if runs is not None:
            values = runs.rename({"value": "mean"}).drop("seed")
            rows.append(values.with_columns(n=pl.lit(1, pl.UInt32), drawn=pl.lit(kind)))
    if data.baselines is not None:
        rows.append(data.baselines.drop("color").with_columns(drawn=pl.lit("baseline")))
    empty = pl.DataFrame(schema={"run_id": pl.String, "label": pl.String})
    columns = (*COLUMNS, "drawn", "run_id", "label")
    return pl.concat([*rows, empty], how="diagonal").select(columns).filter(in_plots & in_range)


# Effects


def claims_figure(effects: pl.DataFrame, study: Study, metric: Metric | None = None) -> Figure | None:
    """Every claim, or those of one metric, on one axis; None where there is none."""
    rows = with_sizes(with_shown_verdicts(effects), study)
    if metric:
        rows = rows.filter(pl.col("metric") == metric.key)
    if rows.is_empty():
        return None
    text = charts.forest_text(rows, study)
    if metric:
        text += f" Of {plural(effects.height, 'claim')} these are those of {metric.name}: choose another metric above."
    return Figure(
        "All claims", "claims", study.title, text, text, lambda: effects,
        lambda **options: charts.forest_chart(rows, study, **options),
    )  # fmt: skip


def quadrant_figure(
    per_run: pl.DataFrame, study: Study, reward: Metric | None = None, loss: Metric | None = None
) -> Figure | None:
    """The change of a reward against that of a loss, a point per seed and task; None where no run has both.

    Parameters
    ----------
    reward, loss : by default `charts.quadrant_reward` and the study's first metric of losses.
    """
    rewards, losses = study.family("reward"), study.family("loss")
    if not rewards or not losses:
        return None
    reward, loss = reward or charts.quadrant_reward(rewards), loss or losses[0]
    rows = per_run.filter(pl.col("task").is_in([task.key for task in study.tasks]))
    points = charts.quadrant_points(rows, reward.key, loss.key)
    if points.is_empty():
        return None
    axes = f"{reward.name}: change (%)", f"{loss.name}: change (%)"
    text = charts.quadrant_text(points, reward, loss)
    return Figure(
        "Reward against loss", "reward_against_loss", study.title, text, text, lambda: points,
        lambda **options: charts.quadrant_chart(points, study, *axes, (reward.expect, loss.expect), **options),
    )  # fmt: skip


def event_figure(curves: pl.DataFrame, study: Study, metric: Metric, view: View, arms: Sequence[str]) -> Figure | None:
    """A metric's curves of every task, counted from the detach; None where no run of these arms has one.

    Parameters
    ----------
    view : with an x axis that counts from the detach.
    """
    rows = curves.filter(pl.col("metric") == metric.key)
    aligned = set(rows["arm"])
    if not aligned & set(arms):
        return None
    text = f"{metric.name} of every task, aligned at the detach."
    if CONTROL in arms and CONTROL not in aligned:
        text += " Detach steps differ, so the control arm has no step to be aligned at."
    return Figure(
        "Event time", f"event_time_{slug(metric.key, keep='.')}", f"{metric.name} - Event Time", text, text, lambda: rows,
        lambda **options: charts.event_time_chart(rows, study, metric, arms, view=view, **options),
    )  # fmt: skip


def metric_figures(analysis: TaskAnalysis, metric: Metric, rows: pl.DataFrame | None = None) -> Iterator[Figure]:
    """One metric of a task: its seeds, fork pairs, jump and pretended detach steps, as far as there are any.

    Parameters
    ----------
    rows : raw rows around the detach; without them the jump is not drawn.
    """
    study, task, rules = analysis.study, analysis.task, detach_marks(analysis.treatments)
    of_metric = pl.col("metric") == metric.key

    def figure(name: str, ending: str, caption: str, description: str, numbers: pl.DataFrame, draw: Callable) -> Figure:
        stem = f"{task.stem}_{slug(metric.key, keep='.')}_{ending}"
        title = f"{task.title} - {metric.name} - {name}"
        return Figure(name, stem, title, caption, description, lambda: numbers, draw)

    runs = analysis.per_run.filter(of_metric)
    if runs.height:
        text = charts.slope_text(runs, task, metric)
        yield figure(
            SEEDS, "seeds", text, text, runs,
            lambda **options: charts.slope_chart(runs, study, task, metric, **options),
        )  # fmt: skip
    pairs = analysis.differences.filter(of_metric)
    if pairs.height:
        yield figure(
            PAIRS, "pairs",
            "Detached minus control, with its pointwise 95% t interval: a picture, the claim is the window's.",
            f"{metric.name} on {task.title}: detached minus control over steps, mean of the fork pairs.", pairs,
            lambda **options: charts.pairs_chart(pairs, study, task, metric, rules=rules, **options),
        )  # fmt: skip
    fits = analysis.fits.filter(of_metric)
    if rows is not None and fits.height:
        points, lines = rows.select("run_id", "metric", "step", "value").sort("run_id", "step"), fit_lines(fits, metric)
        text = f"{metric.name} on {task.title} around the detach, with a line fitted on each side, by run."
        yield figure(
            JUMP, "jump", text, text, pl.concat([points, lines], how="diagonal_relaxed"),
            lambda **options: charts.jump_chart(points, lines, study, task, metric, rules=rules, **options),
        )  # fmt: skip
    placebo = analysis.placebo.filter(of_metric)
    arms = placebo["arm"].unique(maintain_order=True)
    for arm in arms:
        text = charts.placebo_text(placebo, task, metric, arm)
        yield figure(
            PRETENDED + (f" ({arm})" if len(arms) > 1 else ""),
            "pretended" + (f"_{slug(arm, keep='.')}" if len(arms) > 1 else ""),
            f"{text} Windows overlap: a picture, not a test.", text, placebo.filter(pl.col("arm") == arm),
            lambda arm=arm, **options: charts.placebo_chart(placebo, task, metric, arm, **options),
        )  # fmt: skip
