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

from lib.charts import axes, detach_rule
from lib.charts import style as parts
from lib.charts.axes import WHOLE, Place
from lib.charts.coloring import Coloring, coloring_text
from lib.charts.curves import layers as marks
from lib.charts.curves import seed_count_strip, tables
from lib.charts.curves.layers import baseline_layers, baseline_tables, baseline_touch, drawn_baselines
from lib.charts.curves.pointer import hover_layers, hover_table, selections, tip_titles
from lib.charts.curves.run_lines import run_layers, run_tables, run_touch, shared_colors
from lib.charts.curves.seed_count_strip import strip_layers, strip_table
from lib.charts.curves.series_style import Look, look_of
from lib.charts.curves.tables import Curve, Curves
from lib.charts.detach_rule import DetachMark
from lib.charts.spec import Template, Wired, template
from lib.charts.thinning import Data
from lib.curves import Axis, View
from lib.formatting import number, scientific
from lib.study import Metric, Study, Task

FAMILIES = ("reward", "loss")
#: Series of a family in whose strip a chart's height is not spent.
FEW = 6
#: The table of what a tooltip says, which is of all families.
HOVER = "hover"
#: Legends above a plot one below the other: beside each other they run out of a narrow chart.
STACKED = {"legend": {"layout": {"expr": "{top: {direction: 'vertical', margin: 2}}"}}}

Rules = Sequence[DetachMark]


@dataclass(frozen=True)
class Panel:
    """One family in a chart: a y axis and what is drawn along it, everything but its numbers.

    `layers` are the tables it draws; `n_label` is what its strip says of them, `bounds` the range of a log axis.
    """

    look: Look
    y_title: str
    layers: tuple[str, ...]
    n_label: str
    bounds: tuple[float, float] | None
    place: Place = WHOLE

    def table(self, layer: str) -> str:
        """What the table of one of its layers is called in the chart."""
        return f"{self.look.family}_{layer}"


@dataclass(frozen=True)
class Plan:
    """Everything of a curve chart but its numbers: what a specification depends on.

    `titles` and `logs` are what its tooltip calls each series, and whether that lies on a log axis.
    """

    task: Task
    x: Axis
    panels: tuple[Panel, ...]
    titles: tuple[str, ...]
    logs: tuple[bool, ...]
    rules: tuple[DetachMark, ...]
    domain: tuple[float, float] | None
    options: "Options"

    @property
    def view(self) -> View:
        """The view as far as axes and rules depend on it."""
        return View(x=self.x)

    @property
    def tables(self) -> list[str]:
        """The names of all its tables."""
        found = [panel.table(layer) for panel in self.panels for layer in panel.layers]
        return [*found, HOVER] if self.options.interactive else found


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
    `baselines` : columns of `lib.curves.BASELINES`: thin, named at their lines, in reward charts.
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


def _shown(curves: Curves, study: Study, families: Sequence[str]) -> list[str]:
    """Those of the families that the task has a curve of."""
    return [family for family in families if _metrics(curves, study, family)]


def family_chart(
    curves: pl.DataFrame,
    study: Study,
    task: Task,
    *families: str,
    view: View,
    rules: Rules = (),
    seeds: pl.DataFrame | None = None,
    raw: pl.DataFrame | None = None,
    baselines: pl.DataFrame | None = None,
    coloring: Coloring | None = None,
    **options: Any,
) -> alt.LayerChart:
    """One family of one task: a line and a band a metric and arm, the detach rule last, n in a strip at the foot.

    Of several families, one lies below the other over the same steps: what zooms one zooms them all.

    Parameters
    ----------
    curves : task, arm, metric, step (on the view's x axis), mean, std, n, lower, upper; other tasks are ignored.
    families : "reward", "loss"; those that the task has no curve of are left out.
    view : its `span` is the x range; where there is none, or the task has none of it, that of all the task's curves, so
        that its charts share one. Its `log` says which families have a log axis; by default those with a metric of a
        log scale.
    rules : where the encoder was detached, in environment steps; see `detach_marks`.
    seeds, raw, baselines, coloring : as in `Behind`.
    options : those of `Options`. width : "container" for a page, pixels for a file. height : of the whole chart in
        pixels, more where the strip has many series. title : above the chart. strip : whether n(step) is drawn at the
        foot. interactive : zoom, hover and legend selections; off for files that nobody can point at. brush : whether a
        drag with the Shift key held is a selection named `range` that a page can read. cell : whether the chart becomes
        part of a larger figure, where its height is not a signal of its own.

    Returns
    -------
    A layered chart whose layers are named, flat where it has one family. Band, seeds, raw points and lines of a family
    share one y axis; a band is not drawn where its bounds are null. Data sent to the browser is cut to six significant
    digits and, beyond `CURVE_ROWS` rows, to the lowest and highest point of equal spans of steps.
    """
    behind = Behind(seeds, raw, baselines, coloring)
    mine = tables.split(curves, task.key)
    return _drawn(*_planned(mine, study, task, families, view, rules, behind, Options(**options)))


def family_wired(
    curves: Curves,
    study: Study,
    task: Task,
    *families: str,
    view: View,
    rules: Rules = (),
    behind: Behind | None = None,
    options: Options | None = None,
) -> Wired | None:
    """The same chart with its takeaway, ready to be sent to a browser.

    Parameters
    ----------
    curves : of the task, as `lib.charts.split` gives them.

    Returns
    -------
    None where the task has no curve of the families.
    """
    shown = _shown(curves, study, families)
    if not shown:
        return None
    behind, options = behind or Behind(), options or Options()
    plan, data = _planned(curves, study, task, shown, view, rules, behind, options)
    said = rules if view.x == "steps" else ()
    sentences = [alt_text(curves, study, task, family, said) for family in shown]
    takeaway = " ".join([*sentences, *([coloring_text(behind.coloring)] if behind.coloring else [])])
    # The range of a log axis changes with the numbers: it is filled in with them.
    later = [replace(p, bounds=axes.LATER[i] if p.bounds else None) for i, p in enumerate(plan.panels)]
    return _template(replace(plan, panels=tuple(later))).filled(data, [p.bounds for p in plan.panels], takeaway)


@lru_cache(maxsize=256)
def _template(plan: Plan) -> Template:
    """The specification of a plan, made once for all the numbers it may be drawn with."""
    return template(_drawn(plan, {name: alt.NamedData(name) for name in plan.tables}))


def _planned(
    curves: Curves,
    study: Study,
    task: Task,
    families: Sequence[str],
    view: View,
    rules: Rules,
    behind: Behind,
    options: Options,
) -> tuple[Plan, dict[str, pl.DataFrame]]:
    """A chart's plan, and its tables by their names."""
    domain = tables.shown_range(curves, view.span)
    shown = _shown(curves, study, families) or list(families[:1])
    arms, side = parts.arm_order([arm for _, arm in curves]), _legend_side(rules, domain, task, view)
    panels: list[Panel] = []
    titles: list[str] = []
    logs: list[bool] = []
    series: list[Curve] = []
    data: dict[str, pl.DataFrame] = {}
    for family, place in zip(shown, axes.places(len(shown)), strict=True):
        look = look_of(
            study, task, family, view, _metrics(curves, study, family), arms,
            interactive=options.interactive, legend=options.legend, arms_side=side, families=len(shown),
        )  # fmt: skip
        drawn = [curves[name] for name in look.order() if name in curves]
        panel, its = _panel(curves, drawn, look, study, view, domain, behind, options)
        panels.append(replace(panel, place=place))
        data |= {panel.table(name): table for name, table in its.items()}
        series += drawn
        titles += tip_titles(drawn, look)
        logs += [panel.bounds is not None] * len(drawn)
    if options.interactive:
        data[HOVER] = hover_table(series, _only_step(rules, task, view))
    if len(panels) > 1:
        panels = _together(panels, behind.coloring)
    if not options.cell:
        # Beyond a few series the strip of n grows the chart: it must not take the room of the curves.
        more = sum(max(0, len(panel.look.order()) - FEW) for panel in panels if panel.n_label)
        options = replace(options, height=options.height + seed_count_strip.STRIP_ROW * more)
    return Plan(task, view.x, tuple(panels), tuple(titles), tuple(logs), tuple(rules), domain, options), data


def _panel(
    curves: Curves,
    drawn: Sequence[Curve],
    look: Look,
    study: Study,
    view: View,
    domain: tuple[float, float] | None,
    behind: Behind,
    options: Options,
) -> tuple[Panel, dict[str, pl.DataFrame]]:
    """A family's panel, and its tables by layer."""
    metrics = [study.metric(key) for key in look.keys]
    baselines = drawn_baselines(behind.baselines, look.task, look.family, domain)
    bounds, log = None, view.log(look.family)
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
    return Panel(look, parts.family_title(metrics, look.family), tuple(data), n_label, bounds), data


def _together(panels: list[Panel], by: Coloring | None) -> list[Panel]:
    """Panels that share their legends: one of all metrics, and one of all values that runs are coloured by."""
    looks = [panel.look for panel in panels]
    palette = tuple(entry for look in looks for entry in zip(look.labels, look.hues, strict=True))
    colors = shared_colors([look.coloring for look in looks if look.coloring], by) if by else None
    return [replace(p, look=replace(p.look, palette=palette, coloring=p.look.coloring and colors)) for p in panels]


def _drawn(plan: Plan, data: Mapping[str, Data]) -> alt.LayerChart:
    """The chart of a plan, with its tables or their names."""
    options, several = plan.options, len(plan.panels) > 1
    look = plan.panels[0].look
    x = axes.step_axis(plan.view, plan.domain, grid=not several)
    layers: list[Any] = []
    if options.interactive:
        layers += hover_layers(data[HOVER], plan.titles, plan.logs, x, look.color(), look.dash(), look.prefix)
    for panel in plan.panels:
        mine = {layer: data[panel.table(layer)] for layer in panel.layers}
        own = _panel_layers(plan, panel, mine, x, bool(plan.rules) and panel is plan.panels[0])
        # A family's layers share its y axis: they are a chart of their own where there are others.
        layers += [parts.Layered(layer=own)] if several else own
    layers += detach_rule.rule_layers(plan.rules, plan.task, plan.view, plan.domain, look.prefix)
    chart = parts.Layered(
        layer=layers,
        params=selections(look, options.brush) if options.interactive else alt.Undefined,
        width=options.width,
        height=options.height,
        title=parts.figure_heading(options.title),
        config=STACKED if look.coloring and not options.cell else alt.Undefined,
    )
    return chart.resolve_scale(y="independent") if several else chart


def _panel_layers(plan: Plan, panel: Panel, data: Mapping[str, Data], x: dict, named: bool) -> list[alt.Chart]:
    """The layers of one family, what has a tooltip of its own last; `named` where the rule's label is in its headroom."""
    look, options = panel.look, plan.options
    rows = len(look.order()) if "n_strip" in data else 0
    plot = options.height if options.cell else None
    gutter, headroom = 14 + seed_count_strip.STRIP_ROW * rows if rows else 0, axes.HEADROOM if named else 8
    y = axes.value_axis(panel.y_title, panel.bounds, gutter, headroom, plot, panel.place)
    layers = baseline_layers(data, x, y, look.prefix) if "baselines" in data else []
    layers.append(marks.band(data["curves"], look, x, y))
    if "raw" in data:
        layers.append(marks.raw(data["raw"], look, x, y))
    if look.coloring:
        layers += run_layers(data, look.coloring, look, x, y)
    if "seeds" in data:
        layers.append(marks.seeds(data["seeds"], look, x, y))
    layers.append(marks.lines(data["curves"], look, x, y))
    if rows:
        layers += strip_layers(data["n_strip"], panel.n_label, rows, look.color(), plot, look.prefix, panel.place)
    if options.interactive and "baselines" in data:
        layers.append(baseline_touch(data["baselines"], x, y, look.prefix))
    if options.interactive and look.coloring:
        layers.append(run_touch(data["touch"], look.coloring, look, x, y))
    return layers


def _legend_side(rules: Rules, domain: tuple[float, float] | None, task: Task, view: View) -> str:
    """Where the arms' legend has room: in the strip above the curves, beside the rule's label, or above the plot."""
    if not domain or not detach_rule.mark_places(rules, task, view):
        return "top"
    return "right" if detach_rule.label_fraction(rules, task, view, domain) < 0.35 else "left"


def _only_step(rules: Rules, task: Task, view: View) -> float | None:
    """Where the only rule stands; None where there are several, or none that all runs pass at the same place."""
    if view.x == "wall" or len({r.step for r in rules}) != 1:
        return None
    return detach_rule.mark_places(rules, task, view)[0]


def alt_text(curves: Curves, study: Study, task: Task, family: str, rules: Rules = ()) -> str:
    """The takeaway of a family's chart in a sentence: each arm's level of the last metric at the detach and at the end.

    Parameters
    ----------
    curves : as `family_wired` takes them; with several detach steps, or none, the levels are the first and the last.
    """
    metrics = _metrics(curves, study, family)
    if not metrics:
        return f"{task.title}: nothing of the family {family} was logged."
    metric = metrics[-1]
    text = scientific if metric.scale == "log" else number
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
        found.append(f"from {text(start)} to {text(end)} ({arm}, n = {curve.n[here].max()})")
    since = f"the detach at {at:,.0f} steps" if at is not None else "the start"
    return f"{metric.name} on {task.title}, from {since} to the end: {'; '.join(found)}."
