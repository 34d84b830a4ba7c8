"""Charts of a task: curves with their spread, the detach rule, n at every step; and the grid of tasks and families."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import polars as pl

from lib import charts_parts as parts
from lib.charts_baselines import baseline_layers, baseline_touch, drawn_baselines
from lib.charts_hover import hover_layer, number, strip_layers
from lib.charts_look import Look, selections
from lib.charts_parts import DetachMark, detach_marks
from lib.charts_runs import run_layers, run_touch
from lib.curves import View
from lib.run_values import Coloring, coloring_text
from lib.study import Metric, Study, Task

__all__ = [
    "FAMILIES",
    "DetachMark",
    "detach_marks",
    "family_chart",
    "family_metrics",
    "figure_title",
    "grid",
    "x_domain",
]

FAMILIES = ("reward", "loss")
#: Rows a chart sends at most, so that it stays under 300 KB however long the history is.
CURVE_ROWS = 3600
SEED_ROWS = 2400
RAW_ROWS = 1800

#: Channels with scales that each cell of a grid has for itself.
CHANNELS = ("color", "stroke", "strokeWidth", "strokeDash", "opacity")
#: Legends above a plot one below the other: beside each other they run out of a narrow chart.
STACKED = {"legend": {"layout": {"expr": "{top: {direction: 'vertical', margin: 2}}"}}}

Rules = Sequence[DetachMark]


def family_metrics(curves: pl.DataFrame, study: Study, task: Task, family: str) -> list[Metric]:
    """The metrics of a family that the task has curves of, train first and eval last."""
    drawn = set(curves.filter(pl.col("task") == task.key)["metric"].unique())
    return [m for m in study.family(family) if m.key in drawn]


def x_domain(curves: pl.DataFrame, task: Task) -> tuple[float, float] | None:
    """The x range of every curve of a task, to be shared by its charts; None where it has no curve."""
    step = curves.filter(pl.col("task") == task.key)["step"]
    if step.is_empty():
        return None
    low, high = float(step.min()), float(step.max())  # type: ignore[arg-type]
    # Training starts at 0 even where the first row is logged a little later.
    return (0.0 if 0 < low < 0.1 * high else low), high


def family_chart(
    curves: pl.DataFrame,
    study: Study,
    task: Task,
    family: str,
    *,
    view: View,
    rules: Rules = (),
    seeds: pl.DataFrame | None = None,
    raw: pl.DataFrame | None = None,
    coloring: Coloring | None = None,
    baselines: pl.DataFrame | None = None,
    domain: tuple[float, float] | None = None,
    width: int | Literal["container"] = "container",
    height: int = 380,
    log: bool | None = None,
    title: str | None = None,
    strip: bool = True,
    interactive: bool = True,
    brush: bool = False,
    legend: bool = True,
    cell: bool = False,
) -> alt.LayerChart:
    """One family of one task: a line and a band a metric and arm, the detach rule last, n in a strip at the foot.

    Parameters
    ----------
    curves : task, arm, metric, step (on the view's x axis), mean, std, n, lower, upper; other tasks are ignored.
    family : "reward" or "loss".
    rules : where the encoder was detached, in environment steps; see `detach_marks`.
    seeds : task, arm, metric, run_id, step, value: drawn thin behind the means.
    raw : the same columns, unsmoothed: drawn as dots behind the lines.
    coloring : where it is given, `seeds` are drawn in the colour of their run's value, and the bands faintly.
    baselines : columns of `lib.baselines.BASELINES`: drawn thin behind everything of a reward chart, named at their lines.
    domain : x range; by default, or where the task has none of it, that of all the task's curves, so that its charts share one.
    width : "container" for a page, pixels for a file.
    log : log or linear y; by default log where one of the metrics has a log scale.
    title : above the chart; none by default.
    strip : whether n(step) is drawn at the foot.
    interactive : zoom, hover and legend selections; off for files that nobody can point at.
    brush : whether a drag with the Shift key held is a selection named `range` that a page can read.

    cell : whether the chart becomes part of a larger figure, where its height is not a signal of its own.

    Returns
    -------
    A flat layered chart whose layers are named. Band, seeds, raw points and lines share one y axis; a band is not
    drawn where its bounds are null. Data sent to the browser is cut to six significant digits and, beyond
    `CURVE_ROWS` rows, to the lowest and highest point of equal spans of steps.
    """
    metrics = family_metrics(curves, study, task, family)
    domain = _range(curves, task, domain)
    look = Look(
        study,
        task,
        family,
        view,
        metrics,
        arms_in(curves, task),
        interactive,
        legend,
        _legend_side(rules, domain, task, view),
        coloring if seeds is not None else None,
    )
    table = _table(curves, look)
    behind = drawn_baselines(baselines, task.key, family, domain)
    bounds = _log_bounds(table, seeds, raw, behind, look, log)
    if bounds:
        table = parts.for_log(table, bounds)
    rows = len(look.metrics) * len(look.arms)
    gutter = 14 + 5 * rows if strip and rows else 0
    plot = height if cell else None
    headroom = parts.HEADROOM if rules else 8
    y = parts.value_axis(parts.family_title(metrics, family), bounds, gutter, headroom, plot)
    x = parts.step_axis(view, domain)
    drawn = parts.lean(parts.thin(table, ("metric", "arm"), "mean", CURVE_ROWS))
    layers = baseline_layers(behind, x, y, bounds, look.prefix) if behind is not None else []
    layers.append(_band(drawn, look, x, y, faint=look.coloring is not None))
    if raw is not None and not look.named(raw).is_empty():
        layers.append(_raw(raw, look, x, y))
    if seeds is not None:
        own = run_layers(seeds, look.coloring, look, x, y) if look.coloring else [_seeds(seeds, look, x, y)]
        layers += own
    layers.append(_lines(drawn, look, x, y))
    if interactive:
        layers.append(
            hover_layer(table, look.order(), x, bounds is not None, _only_step(rules, task, view), look.prefix)
        )
    # What has a tooltip of its own lies above the one that covers the whole plot.
    if gutter:
        layers += strip_layers(table, look.order(), look.color(), plot, look.prefix)
    if interactive and behind is not None:
        layers.append(baseline_touch(behind, x, y, bounds, look.prefix))
    if interactive and seeds is not None and look.coloring:
        layers.append(run_touch(seeds, look.coloring, look, x, y))
    layers += parts.rule_layers(rules, task, view, domain, look.prefix)
    params = selections(look, brush) if interactive else alt.Undefined
    config = STACKED if look.coloring and not cell else alt.Undefined
    heading = parts.figure_heading(title)
    return parts.Layered(layer=layers, params=params, width=width, height=height, title=heading, config=config)


def _range(curves: pl.DataFrame, task: Task, asked: tuple[float, float] | None) -> tuple[float, float] | None:
    """The x range to draw: the one asked for where the task has any of it, for tasks of other lengths share a view."""
    whole = x_domain(curves, task)
    return asked if asked and (whole is None or (asked[0] < whole[1] and whole[0] < asked[1])) else whole


def arms_in(curves: pl.DataFrame, task: Task) -> list[str]:
    """The arms of a task's curves in the legend's order."""
    return parts.arm_order(curves.filter(pl.col("task") == task.key)["arm"].to_list())


def _legend_side(rules: Rules, domain: tuple[float, float] | None, task: Task, view: View) -> str:
    """Where the arms' legend has room: in the strip above the curves, beside the rule's label, or above the plot."""
    if not domain or not parts.mark_places(rules, task, view):
        return "top"
    return "right" if parts.label_fraction(rules, task, view, domain) < 0.35 else "left"


def _only_step(rules: Rules, task: Task, view: View) -> float | None:
    """Where the only rule stands; None where there are several, or none that all runs pass at the same place."""
    if view.x == "wall" or len({r.step for r in rules}) != 1:
        return None
    return parts.mark_places(rules, task, view)[0]


def _table(curves: pl.DataFrame, look: Look) -> pl.DataFrame:
    table = look.named(curves).select("metric", "arm", "step", "mean", "lower", "upper", "n")
    # A NaN or an infinity in a column stretches the axis over everything else.
    finite = [pl.when(pl.col(c).is_finite()).then(c).alias(c) for c in ("mean", "lower", "upper")]
    return table.with_columns(finite)


def _log_bounds(
    table: pl.DataFrame,
    seeds: pl.DataFrame | None,
    raw: pl.DataFrame | None,
    behind: pl.DataFrame | None,
    look: Look,
    log: bool | None,
) -> tuple[float, float] | None:
    """The y range of a log axis, None for a linear one."""
    if not (any(m.scale == "log" for m in look.metrics) if log is None else log):
        return None
    columns = [table["mean"], table["upper"]]
    # A bound at or below 0 has no place on the axis and must not stretch it.
    columns.append(table.filter(pl.col("lower") > pl.col("mean") / 100)["lower"])
    columns += [look.named(f)["value"] for f in (seeds, raw) if f is not None]
    columns += [behind["mean"]] if behind is not None else []
    return parts.log_domain(pl.concat([c.rename("value") for c in columns]).drop_nulls())


def _band(frame: pl.DataFrame, look: Look, x: dict, y: dict, faint: bool = False) -> alt.Chart:
    return (
        alt.Chart(frame, name=look.name("band"))
        .mark_area(clip=True, strokeWidth=0, **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("lower:Q", **y),
            y2=alt.Y2("upper:Q"),
            color=look.color(),
            detail=alt.Detail("arm:N"),
            opacity=look.opacity(0.06 if faint else 0.2),
        )
    )


def _lines(frame: pl.DataFrame, look: Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(frame, name=look.name("line"))
        .mark_line(clip=True, strokeJoin="round", **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("mean:Q", **y),
            color=look.color(),
            strokeDash=look.dash(),
            strokeWidth=look.width(),
            opacity=look.opacity(1),
        )
    )


def _seeds(frame: pl.DataFrame, look: Look, x: dict, y: dict) -> alt.Chart:
    points = look.named(frame).select("metric", "arm", "run_id", "step", "value")
    points = parts.lean(parts.thin(points, ("metric", "arm", "run_id"), "value", SEED_ROWS))
    ids = sorted(points["run_id"].unique())
    return (
        alt.Chart(points.with_columns(pl.col("run_id").cast(pl.Enum(ids))), name=look.name("seeds"))
        .mark_line(clip=True, strokeWidth=1, **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("value:Q", **y),
            color=look.color(),
            strokeDash=look.dash(),
            detail=alt.Detail("run_id:N"),
            opacity=look.opacity(0.4),
        )
    )


def _raw(frame: pl.DataFrame, look: Look, x: dict, y: dict) -> alt.Chart:
    points = look.named(frame).select("metric", "arm", "run_id", "step", "value")
    points = parts.lean(parts.thin(points, ("metric", "arm", "run_id"), "value", RAW_ROWS)).drop("run_id")
    return (
        alt.Chart(points, name=look.name("raw"))
        .mark_circle(clip=True, size=9)
        .encode(x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y), color=look.color(), opacity=look.opacity(0.45))
    )


def alt_text(
    curves: pl.DataFrame,
    study: Study,
    task: Task,
    family: str,
    *,
    rules: Rules = (),
    coloring: Coloring | None = None,
) -> str:
    """The takeaway of a family's chart in a sentence: each arm's level of the last metric at the detach and at the end.

    Parameters
    ----------
    curves : as `family_chart` takes them; with several detach steps, or none, the levels are the first and the last.
    """
    metrics = family_metrics(curves, study, task, family)
    if not metrics:
        return f"{task.title}: nothing of the family {family} was logged."
    metric = metrics[-1]
    log = metric.scale == "log"
    mine = curves.filter(pl.col("task") == task.key, pl.col("metric") == metric.key, pl.col("mean").is_finite())
    at = rules[0].step if len({r.step for r in rules}) == 1 else None
    found = []
    for arm in arms_in(mine, task):
        rows = mine.filter(pl.col("arm") == arm).sort("step")
        before = rows.filter(pl.col("step") <= at) if at is not None else rows.head(1)
        start, end = (before if len(before) else rows)["mean"][-1], rows["mean"][-1]
        found.append(f"from {number(start, log)} to {number(end, log)} ({arm}, n = {max(rows['n'].to_list())})")
    since = f"the detach at {at:,.0f} steps" if at is not None else "the start"
    colors = f" {coloring_text(coloring)}" if coloring else ""
    return f"{metric.name} on {task.title}, from {since} to the end: {'; '.join(found)}.{colors}"


def grid(
    curves: pl.DataFrame,
    study: Study,
    *,
    view: View,
    rules: Mapping[str, Rules],
    families: Sequence[str] = FAMILIES,
    width: int = 430,
    height: int = 300,
    log: Mapping[str, bool] | None = None,
    seeds: pl.DataFrame | None = None,
    raw: pl.DataFrame | None = None,
    coloring: Mapping[str, Coloring] | None = None,
    baselines: pl.DataFrame | None = None,
) -> alt.VConcatChart:
    """Every task and family in one figure, a row a task, under the study's title: the `combined_ablation` figure.

    Cells are `family_chart`s: the same axes, range, smoothing, bands and rule as the single figures.

    Parameters
    ----------
    rules : the detach marks by task key.
    coloring : of each task's runs, by task key; see `family_chart`.
    log : log (True) or linear axis by family; by default as `family_chart` chooses.
    width, height : of one cell, in pixels.
    """
    rows = []
    apart: dict[str, Any] = dict.fromkeys(CHANNELS, "independent")
    for task in study.tasks:
        cells = [
            family_chart(
                curves, study, task, family, view=view, rules=rules.get(task.key, ()), width=width, height=height,
                log=(log or {}).get(family), domain=view.span, seeds=seeds, raw=raw, coloring=(coloring or {}).get(task.key),
                baselines=baselines,
                title=figure_title(curves, study, task, family), interactive=False, cell=True,
            )
            for family in families
            if family_metrics(curves, study, task, family)
        ]  # fmt: skip
        if cells:
            rows.append(alt.hconcat(*cells).resolve_scale(**apart))
    return alt.vconcat(
        *rows,
        title=alt.TitleParams(study.title, anchor="middle", fontSize=18),
        config=STACKED if coloring else alt.Undefined,
    ).resolve_scale(**apart)


def figure_title(curves: pl.DataFrame, study: Study, task: Task, family: str) -> str:
    """The title of a figure: the task and what is plotted (`Acrobot Swingup - Episode Reward`)."""
    return f"{task.title} - {parts.family_title(family_metrics(curves, study, task, family), family)}"
