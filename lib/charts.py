"""Charts of a task: curves with their spread, the detach rule, n at every step.

A chart is a plan, which says everything of it but its numbers, and tables of these. A page draws one plan again and
again with other numbers: it sends a specification that was made once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import altair as alt
import numpy as np
import polars as pl

from lib import charts_parts as parts
from lib import charts_tables as tables
from lib.charts_baselines import baseline_layers, baseline_tables, baseline_touch, drawn_baselines
from lib.charts_hover import hover_layer, hover_table, number, strip_layers, strip_table, tip_titles
from lib.charts_look import Look, look_of, selections
from lib.charts_parts import Data, DetachMark, detach_marks
from lib.charts_runs import run_layers, run_tables, run_touch
from lib.charts_tables import Curves
from lib.charts_wire import Template, Wired, template
from lib.run_values import Coloring, coloring_text
from lib.study import Metric, Study, Task
from lib.view import Axis, View

__all__ = [
    "FAMILIES",
    "DetachMark",
    "alt_text",
    "detach_marks",
    "family_chart",
    "family_metrics",
    "family_wired",
]

FAMILIES = ("reward", "loss")
#: Legends above a plot one below the other: beside each other they run out of a narrow chart.
STACKED = {"legend": {"layout": {"expr": "{top: {direction: 'vertical', margin: 2}}"}}}

Rules = Sequence[DetachMark]


@dataclass(frozen=True)
class Plan:
    """Everything of a curve chart but its numbers: what a specification depends on.

    `layers` are the tables it draws; `titles` and `n_label` what its tooltip and its strip say of them.
    """

    look: Look
    task: Task
    x: Axis
    y_title: str
    layers: tuple[str, ...]
    titles: tuple[str, ...]
    n_label: str
    rules: tuple[DetachMark, ...]
    domain: tuple[float, float] | None
    bounds: tuple[float, float] | None
    options: "Options"

    @property
    def view(self) -> View:
        """The view as far as axes and rules depend on it."""
        return View(x=self.x)


@dataclass(frozen=True)
class Options:
    """Size and parts of a curve chart, as `family_chart` takes them."""

    width: int | Literal["container"] = "container"
    height: int = 380
    title: str | None = None
    strip: bool = True
    interactive: bool = True
    brush: bool = False
    legend: bool = True
    cell: bool = False


@dataclass(frozen=True)
class Behind:
    """What may be drawn behind the means, frames of every task.

    `seeds` : task, arm, metric, run_id, step, value: each run's own curve, thin.
    `raw` : the same columns, before smoothing, one value a bin: dots.
    `coloring` : where it is given, `seeds` are drawn in the colour of their run's value, and the bands faintly.
    `baselines` : columns of `lib.baselines.BASELINES`: thin, named at their lines, in reward charts.
    """

    seeds: pl.DataFrame | None = None
    raw: pl.DataFrame | None = None
    baselines: pl.DataFrame | None = None
    coloring: Coloring | None = None


def family_metrics(curves: pl.DataFrame, study: Study, task: Task, family: str) -> list[Metric]:
    """The metrics of a family that the task has curves of, train first and eval last."""
    return _metrics(tables.split(curves, task.key), study, family)


def _metrics(curves: Curves, study: Study, family: str) -> list[Metric]:
    drawn = {metric for metric, _ in curves}
    return [m for m in study.family(family) if m.key in drawn]


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
    baselines: pl.DataFrame | None = None,
    coloring: Coloring | None = None,
    domain: tuple[float, float] | None = None,
    log: bool | None = None,
    **options: Any,
) -> alt.LayerChart:
    """One family of one task: a line and a band a metric and arm, the detach rule last, n in a strip at the foot.

    Parameters
    ----------
    curves : task, arm, metric, step (on the view's x axis), mean, std, n, lower, upper; other tasks are ignored.
    family : "reward" or "loss".
    rules : where the encoder was detached, in environment steps; see `detach_marks`.
    seeds, raw, baselines, coloring : as in `Behind`.
    domain : x range; by default, or where the task has none of it, that of all the task's curves, so that its charts share one.
    log : log or linear y; by default log where one of the metrics has a log scale.
    options : those of `Options`. width : "container" for a page, pixels for a file. title : above the chart.
        strip : whether n(step) is drawn at the foot. interactive : zoom, hover and legend selections; off for files that
        nobody can point at. brush : whether a drag with the Shift key held is a selection named `range` that a page can
        read. cell : whether the chart becomes part of a larger figure, where its height is not a signal of its own.

    Returns
    -------
    A flat layered chart whose layers are named. Band, seeds, raw points and lines share one y axis; a band is not
    drawn where its bounds are null. Data sent to the browser is cut to six significant digits and, beyond
    `CURVE_ROWS` rows, to the lowest and highest point of equal spans of steps.
    """
    behind = Behind(seeds, raw, baselines, coloring)
    mine = tables.split(curves, task.key)
    plan, data = _planned(mine, study, task, family, view, rules, behind, domain, log, Options(**options))
    return _drawn(plan, data)


def family_wired(
    curves: Curves,
    study: Study,
    task: Task,
    family: str,
    *,
    view: View,
    rules: Rules = (),
    behind: Behind | None = None,
    options: Options | None = None,
) -> Wired | None:
    """The same chart in the view's range and scale, with its takeaway, ready to be sent to a browser.

    Parameters
    ----------
    curves : of the task, as `lib.charts_tables.split` gives them.

    Returns
    -------
    None where the task has no curve of the family.
    """
    if not _metrics(curves, study, family):
        return None
    behind, options = behind or Behind(), options or Options()
    plan, data = _planned(curves, study, task, family, view, rules, behind, view.span, view.log(family), options)
    takeaway = alt_text(curves, study, task, family, rules if view.x == "steps" else (), behind.coloring)
    # The range of a log axis changes with the numbers: it is filled in with them.
    later = parts.LATER if plan.bounds else None
    return _template(replace(plan, bounds=later)).filled(data, plan.bounds, takeaway)


@lru_cache(maxsize=256)
def _template(plan: Plan) -> Template:
    """The specification of a plan, made once for all the numbers it may be drawn with."""
    return template(_drawn(plan, {name: alt.NamedData(name) for name in plan.layers}))


def _planned(
    curves: Curves,
    study: Study,
    task: Task,
    family: str,
    view: View,
    rules: Rules,
    behind: Behind,
    domain: tuple[float, float] | None,
    log: bool | None,
    options: Options,
) -> tuple[Plan, dict[str, pl.DataFrame]]:
    """A chart's plan, and its tables by layer."""
    metrics = _metrics(curves, study, family)
    domain = tables.shown_range(curves, domain)
    side = _legend_side(rules, domain, task, view)
    look = look_of(
        study, task, family, view, metrics, parts.arm_order([arm for _, arm in curves]),
        interactive=options.interactive, legend=options.legend, arms_side=side,
    )  # fmt: skip
    drawn = [curves[name] for name in look.order() if name in curves]
    baselines = drawn_baselines(behind.baselines, task.key, family, domain)
    bounds = None
    if any(m.scale == "log" for m in metrics) if log is None else log:
        more = [look.named(f)["value"] for f in (behind.seeds, behind.raw) if f is not None]
        bounds = tables.log_bounds(drawn, more + ([baselines["mean"]] if baselines is not None else []))
    data = {} if baselines is None else baseline_tables(baselines, bounds)
    data["curves"] = tables.curve_table(drawn, look, bounds)
    if behind.raw is not None and (raw := tables.raw_table(behind.raw, look)).height:
        data["raw"] = raw
    if behind.seeds is not None and behind.coloring is not None:
        runs, colors = run_tables(behind.seeds, behind.coloring, look)
        look = replace(look, coloring=colors)
        data |= runs
    elif behind.seeds is not None:
        data["seeds"] = tables.seed_table(behind.seeds, look)
    n_label = ""
    if options.strip and look.order():
        data["n_strip"], n_label = strip_table(curves, look)
    if options.interactive:
        data["hover"] = hover_table(drawn, _only_step(rules, task, view))
    title = parts.family_title(metrics, family)
    names = tip_titles(drawn, look)
    return Plan(look, task, view.x, title, tuple(data), names, n_label, tuple(rules), domain, bounds, options), data


def _drawn(plan: Plan, data: Mapping[str, Data]) -> alt.LayerChart:
    """The chart of a plan, with its tables or their names."""
    look, options = plan.look, plan.options
    rows = len(look.order()) if "n_strip" in data else 0
    plot = options.height if options.cell else None
    headroom = parts.HEADROOM if plan.rules else 8
    y = parts.value_axis(plan.y_title, plan.bounds, 14 + 5 * rows if rows else 0, headroom, plot)
    x = parts.step_axis(plan.view, plan.domain)
    layers = baseline_layers(data, x, y, look.prefix) if "baselines" in data else []
    layers.append(_band(data["curves"], look, x, y))
    if "raw" in data:
        layers.append(_raw(data["raw"], look, x, y))
    if look.coloring:
        layers += run_layers(data, look.coloring, look, x, y)
    if "seeds" in data:
        layers.append(_seeds(data["seeds"], look, x, y))
    layers.append(_lines(data["curves"], look, x, y))
    if "hover" in data:
        layers.append(hover_layer(data["hover"], plan.titles, x, plan.bounds is not None, look.prefix))
    # What has a tooltip of its own lies above the one that covers the whole plot.
    if rows:
        layers += strip_layers(data["n_strip"], plan.n_label, rows, look.color(), plot, look.prefix)
    if options.interactive and "baselines" in data:
        layers.append(baseline_touch(data["baselines"], x, y, look.prefix))
    if options.interactive and look.coloring:
        layers.append(run_touch(data["touch"], look.coloring, look, x, y))
    layers += parts.rule_layers(plan.rules, plan.task, plan.view, plan.domain, look.prefix)
    params = selections(look, options.brush) if options.interactive else alt.Undefined
    heading = parts.figure_heading(options.title)
    config = STACKED if look.coloring and not options.cell else alt.Undefined
    return parts.Layered(
        layer=layers, params=params, width=options.width, height=options.height, title=heading, config=config
    )


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


def _band(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(table, name=look.name("band"))
        .mark_area(clip=True, strokeWidth=0, **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("lower:Q", **y),
            y2=alt.Y2("upper:Q"),
            color=look.color(),
            detail=alt.Detail("arm:N"),
            opacity=look.opacity(0.06 if look.coloring else 0.2),
        )
    )


def _lines(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(table, name=look.name("line"))
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


def _seeds(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(table, name=look.name("seeds"))
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


def _raw(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(table, name=look.name("raw"))
        .mark_circle(clip=True, size=9)
        .encode(x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y), color=look.color(), opacity=look.opacity(0.45))
    )


def alt_text(
    curves: Curves, study: Study, task: Task, family: str, rules: Rules = (), coloring: Coloring | None = None
) -> str:
    """The takeaway of a family's chart in a sentence: each arm's level of the last metric at the detach and at the end.

    Parameters
    ----------
    curves : as `family_wired` takes them; with several detach steps, or none, the levels are the first and the last.
    """
    metrics = _metrics(curves, study, family)
    if not metrics:
        return f"{task.title}: nothing of the family {family} was logged."
    metric = metrics[-1]
    log = metric.scale == "log"
    at = rules[0].step if len({r.step for r in rules}) == 1 else None
    found = []
    for arm in parts.arm_order([arm for key, arm in curves if key == metric.key]):
        curve = curves[metric.key, arm]
        here = ~np.isnan(curve.mean)
        step, mean = curve.step[here], curve.mean[here]
        if not len(mean):
            continue
        before = mean[step <= at] if at is not None else mean[:1]
        start, end = (before if len(before) else mean)[-1], mean[-1]
        found.append(f"from {number(start, log)} to {number(end, log)} ({arm}, n = {curve.n[here].max()})")
    since = f"the detach at {at:,.0f} steps" if at is not None else "the start"
    colors = f" {coloring_text(coloring)}" if coloring else ""
    return f"{metric.name} on {task.title}, from {since} to the end: {'; '.join(found)}.{colors}"
