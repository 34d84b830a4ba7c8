"""The chart of a task: curves with their spread, the detach rule, n at every step."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import altair as alt
import polars as pl

from lib.charts import axes, detach_rule
from lib.charts.axes import PlotArea
from lib.charts.curves import end_labels, readout, tables
from lib.charts.curves import layers as marks
from lib.charts.curves.contents import family_metrics, one_metric_each
from lib.charts.curves.pointer import BRUSH_NAME, hover_layers, hover_table, selections
from lib.charts.curves.readout import Readout
from lib.charts.curves.run_lines import colored_run_tables, run_layers, run_pointer, shared_colors
from lib.charts.curves.seed_count_strip import STRIP, strip_layers, strip_table
from lib.charts.curves.series_style import LABELLED, SeriesStyle, series_style
from lib.charts.curves.tables import Bounds, Curve, Curves
from lib.charts.detach_rule import Rules
from lib.charts.line_signs import sign_layer, sign_table
from lib.charts.run_colors import Coloring
from lib.charts.spec import ChartSpec, layered
from lib.charts.style import arm_order, family_title, legend_rows
from lib.curves import View
from lib.study import Study, Task

#: Rows of a legend above the plot in which a page's height is not spent, what a further one takes, and the width of a
#: phone's chart, in pixels.
ROWS, ROW, PHONE = 4, 15, 320
#: Pixels of a chart's height that is no plot.
AROUND = 100
#: Pixels of a family's height in a paper, at least.
PAPER = 230
#: Legends above a plot one below the other: beside each other they run out of a narrow chart.
STACKED = {"legend": {"layout": {"expr": "{top: {direction: 'vertical', margin: 2}}"}}}


@dataclass(frozen=True)
class Layout:
    """Size and parts of a curve chart.

    `width` is "container" for a page, pixels for a file; `height` that of the whole chart in pixels, which is more where
    the strip has many series; `title` stands above the chart. `interactive` is whether there are zoom, hover and legend
    selections; `brush` whether a drag with Shift held is a selection named `range` that a page can read; `cell` whether
    the chart becomes part of a larger figure, where its height is not a signal of its own; `legend` whether it has a legend
    of metrics and arms, which a page may have once for several charts.
    """

    width: int | Literal["container"] = "container"
    height: int = 380
    title: str | None = None
    interactive: bool = True
    brush: bool = False
    cell: bool = False
    legend: bool = True


@dataclass(frozen=True)
class Background:
    """What may be drawn behind the means, frames of every task.

    `seeds` : task, arm, metric, run_id, step, value: each run's own curve, thin.
    `raw` : the same columns, before smoothing, one value per bin: dots.
    `coloring` : with it, `seeds` are drawn in the colour of their run's value, and the bands faintly.
    `baselines` : columns of `lib.curves.BASELINES`: thin, named at their lines, in reward charts.
    """

    seeds: pl.DataFrame | None = None
    raw: pl.DataFrame | None = None
    baselines: pl.DataFrame | None = None
    coloring: Coloring | None = None


@dataclass(frozen=True)
class Panel:
    """One family in a chart: a y axis, the series along it, and the table of each layer.

    `n_label` is what the strip says of its series, `bounds` the range of a log axis, `domain` that of the y axis.
    """

    style: SeriesStyle
    y_title: str
    curves: Sequence[Curve]
    tables: Mapping[str, pl.DataFrame]
    n_label: str
    bounds: Bounds
    domain: tuple[float, float]
    area: PlotArea = axes.WHOLE_PLOT


def family_chart(
    curves: pl.DataFrame,
    study: Study,
    task: Task,
    *families: str,
    view: View,
    rules: Rules = (),
    background: Background | None = None,
    layout: Layout | None = None,
    unfinished: bool = False,
) -> ChartSpec:
    """Families of one task: a line and a band per metric and arm, the detach rule last, n in a strip at the foot.

    Of several families, one lies below the other over the same steps: what zooms one zooms them all. Colour tells metrics
    apart and dashes arms; where no family has more than one metric, colour tells arms apart.

    Parameters
    ----------
    curves : task, arm, metric, step (on the view's x axis), mean, std, n, lower, upper; other tasks are ignored.
    families : "reward", "loss"; those that the task has no curve of are left out, unless it has none of any.
    view : its `span` is the x range; without one, or where the task has none of it, the range is that of all the task's
        curves, so that its charts share one. Its `log` says which families have a log axis; by default those with a
        metric of a log scale.
    rules : where the encoder was detached, in environment steps; see `detach_marks`.
    unfinished : whether some run has not ended as planned: x then goes to the planned end.

    Returns
    -------
    A chart whose layers are named, flat where it has one family. Band, seeds, raw points and lines of a family share one
    y axis; a band is not drawn where its bounds are null. Data are cut to six significant digits and, beyond
    `CURVE_ROWS` rows, to the lowest and highest point of equal spans of steps.
    """
    background, layout = background or Background(), layout or Layout()
    series = tables.split(curves, task.key)
    whole = detach_rule.planned_range(tables.x_range(series), rules, task, view, unfinished)
    domain = tables.shown_range(whole, view.span)
    metrics = {family: family_metrics(curves, study, task, family, view) for family in families}
    families = tuple(family for family in families if metrics[family]) or families[:1]
    alone = all(len(metrics[family]) == 1 for family in families) if layout.legend else one_metric_each(study)
    arms, arms_side = arm_order([arm for _, arm in series]), _legend_side(rules, domain, task, view)
    panels = []
    for family, area in zip(families, axes.plot_areas(len(families)), strict=True):
        style = series_style(study, task, family, view, metrics[family], arms, alone=alone)
        style = replace(
            style, interactive=layout.interactive, arms_side=arms_side, families=len(families), legend=layout.legend
        )
        panels.append(replace(_panel(series, style, study, view, domain, background), area=area))
    if len(panels) > 1:
        panels = _with_shared_legends(panels, background.coloring)
    rule_steps = detach_rule.mark_places(rules, task, view)
    return _chart(_with_end_labels(panels, domain, rules, rule_steps, layout), task, view, rules, domain, layout)


def _panel(
    series: Curves, style: SeriesStyle, study: Study, view: View, domain: Bounds, background: Background
) -> Panel:
    """A family's panel, in all of the plot."""
    metrics = [study.metric(key) for key in style.keys]
    curves = [series[name] for name in style.order() if name in series]
    baselines = marks.task_baselines(background.baselines, style.task, style.family, domain)
    log = view.log(style.family)
    more = [style.rows(frame)["value"] for frame in (background.seeds, background.raw) if frame is not None]
    more += [] if baselines is None else [baselines["mean"]]
    is_log = any(m.scale == "log" for m in metrics) if log is None else log
    bounds = tables.log_bounds(curves, more) if is_log else None
    data = {} if baselines is None else marks.baseline_tables(baselines, bounds)
    data["curves"] = tables.curve_table(curves, style, bounds)
    if (signs := sign_table(data["curves"], ("metric", "arm"), "metric")) is not None:
        data["signs"] = signs
    if background.raw is not None and (raw := tables.run_table(background.raw, style, tables.RAW_ROWS)).height:
        data["raw"] = raw.drop("run_id")
    if background.seeds is not None and background.coloring is not None:
        run_tables, colors = colored_run_tables(background.seeds, background.coloring, style)
        style = replace(style, coloring=colors)
        data |= run_tables
    elif background.seeds is not None:
        data["seeds"] = tables.run_table(background.seeds, style, tables.SEED_ROWS)
    n_label = ""
    if style.order():
        data["n_strip"], n_label = strip_table(series, style)
    title = style.labels[0] if style.alone else family_title(metrics, style.family)
    return Panel(style, title, curves, data, n_label, bounds, bounds or tables.linear_bounds(curves, more))


def _with_shared_legends(panels: list[Panel], by: Coloring | None) -> list[Panel]:
    """Panels with one legend of all metrics, and one of all values that runs are coloured by."""
    styles = [panel.style for panel in panels]
    palette = tuple(entry for style in styles for entry in style.entries().items())
    colors = shared_colors([style.coloring for style in styles if style.coloring], by) if by else None
    return [replace(p, style=replace(p.style, palette=palette, coloring=p.style.coloring and colors)) for p in panels]


def _with_end_labels(
    panels: list[Panel], domain: Bounds, rules: Rules, rule_steps: Sequence[float], layout: Layout
) -> list[Panel]:
    """Panels whose lines have names at their ends, where all of these fit: else a legend has them.

    Parameters
    ----------
    rule_steps : where the rules stand on the x axis.
    """
    style = panels[0].style
    is_named_by_axis = style.alone and not style.by_arm
    if (
        layout.cell
        or not layout.legend
        or is_named_by_axis
        or (layout.width != "container" and layout.width < end_labels.WIDE)
    ):
        return panels
    labelled_panels = []
    # A file may be laid out anew at the width of a paper's page.
    height = layout.height if layout.width == "container" else min(layout.height, PAPER * len(panels))
    for panel in panels:
        pixels = (height - AROUND) * (panel.area.bottom - panel.area.top) - panel.area.gap - _gutter(panel)
        pixels -= _headroom(panel, panels, rules)
        y_axis = end_labels.YAxis(panel.y_title, panel.domain, panel.bounds is not None, pixels)
        table = end_labels.label_table(panel.curves, panel.style, y_axis, domain, rule_steps)
        if table is None:
            return panels
        labelled_panels.append(
            replace(panel, style=replace(panel.style, labelled=True), tables={**panel.tables, "end_labels": table})
        )
    return labelled_panels


def _chart(panels: Sequence[Panel], task: Task, view: View, rules: Rules, domain: Bounds, layout: Layout) -> ChartSpec:
    """The panels over one x axis, behind them what follows the pointer, in front the detach rule."""
    rule_steps = detach_rule.mark_places(rules, task, view)
    several, style, height = len(panels) > 1, panels[0].style, layout.height
    entries = list(dict(style.palette) or style.entries())
    if layout.width == "container" and layout.legend:
        # Legends of many rows and labels of several steps must not take the room of the curves.
        height += ROW * max(0, legend_rows(entries, PHONE) - ROWS) + _rows_of_arms(style)
        height += max(0, detach_rule.headroom(rules) - axes.HEADROOM)
    x = alt.X("step:Q", **axes.step_axis(view, domain, grid=not several))
    readouts = _readouts(panels, rules) if layout.interactive else []
    layers: list[Any] = []
    if readouts:
        table = hover_table(readouts, _only_step(rules, task, view))
        layers += hover_layers(table, x, style.color, style.dash, style.prefix)
    for panel in panels:
        own = _panel_layers(panel, x, domain, rule_steps, layout, _headroom(panel, panels, rules))
        # A family's layers share its y axis: they are a chart of their own where there are others.
        layers += [own] if several else own
    return layered(
        [
            *layers,
            *detach_rule.rule_layers(rules, task, view, domain, style.prefix, fitting=layout.width == "container"),
            *(readout.layers(readouts, style.prefix) if readouts else []),
        ],
        params=[*_width_param(style, layout), *(selections(style, layout.brush, readouts) if readouts else [])] or None,
        width=layout.width,
        height=height,
        title=layout.title,
        config=None if layout.cell else STACKED | (BRUSH_NAME if layout.brush else {}),
        resolve={"scale": {"y": "independent"}} if several else None,
    )


def _rows_of_arms(style: SeriesStyle) -> int:
    """Pixels of a legend of arms that has rows of its own below that of metrics."""
    return 2 * ROW if len(style.arms) > 2 and not style.by_arm else 0


def _width_param(style: SeriesStyle, layout: Layout) -> list[dict[str, Any]]:
    """Whether the chart is wide enough for names at the ends of its lines: they take room, so its own width cannot say."""
    if not style.labelled:
        return []
    says: dict[str, Any] = {"expr": f"(containerSize()[0] || width) >= {end_labels.WIDE}"}
    return [{"name": LABELLED} | (says if layout.width == "container" else {"value": True})]


def _readouts(panels: Sequence[Panel], rules: Rules) -> list[Readout]:
    """The tables of the series under the pointer."""
    return [
        Readout(
            panel.curves, panel.style, end_labels.short_names(list(panel.style.entries()), panel.y_title), panel.domain,
            panel.bounds is not None, panel.area, _headroom(panel, panels, rules), _gutter(panel),
        )
        for panel in panels
    ]  # fmt: skip


def _gutter(panel: Panel) -> int:
    """Pixels below the curves of a panel that its strip has."""
    return STRIP if "n_strip" in panel.tables else 0


def _headroom(panel: Panel, panels: Sequence[Panel], rules: Rules) -> int:
    """Pixels above the curves of a panel: the rule's label is in the first."""
    return detach_rule.headroom(rules if panel is panels[0] else ())


def _panel_layers(
    panel: Panel, x: alt.X, domain: Bounds, rule_steps: Sequence[float], layout: Layout, headroom: int
) -> list[alt.Chart]:
    """The layers of one family below its headroom, those with a tooltip of their own last."""
    style, data = panel.style, panel.tables
    area = replace(panel.area, height=layout.height if layout.cell else None)
    lines = textwrap.wrap(panel.y_title, max(20, int(layout.height * (panel.area.bottom - panel.area.top) / 9)))
    y = axes.value_axis(
        lines if len(lines) > 1 else panel.y_title,
        panel.domain,
        _gutter(panel),
        headroom,
        area,
        panel.bounds is not None,
    )
    layers = marks.baseline_layers(data, x, y, style.prefix) if "baselines" in data else []
    layers.append(marks.band(data["curves"], style, x, y))
    if "raw" in data:
        layers.append(marks.raw(data["raw"], style, x, y))
    if style.coloring:
        layers += run_layers(data, style.coloring, style, x, y)
    if "seeds" in data:
        layers.append(marks.seeds(data["seeds"], style, x, y))
    layers.append(marks.lines(data["curves"], style, x, y))
    if "signs" in data:
        signs = sign_layer(data["signs"], style.name("signs"), style.opacity(1))
        layers.append(signs.encode(x=x, y=alt.Y("mean:Q", **y), color=style.color))
    if "end_labels" in data:
        layers.append(end_labels.label_layer(data["end_labels"], style, y))
    if "n_strip" in data:
        layers += strip_layers(data["n_strip"], panel.n_label, style.prefix, domain, rule_steps, area)
    if layout.interactive and "baselines" in data:
        layers.append(marks.baseline_pointer(data["baselines"], x, y, style.prefix))
    if layout.interactive and style.coloring:
        layers.append(run_pointer(data["pointer"], style.coloring, style, x, y))
    return layers


def _legend_side(rules: Rules, domain: Bounds, task: Task, view: View) -> str:
    """Where the arms' legend has room: in the strip above the curves, beside the rule's label, or above the plot."""
    if not domain or not detach_rule.mark_places(rules, task, view):
        return "top"
    return "right" if detach_rule.label_fraction(rules, task, view, domain) < 0.35 else "left"


def _only_step(rules: Rules, task: Task, view: View) -> float | None:
    """Where the only rule stands; None where there are several, or none that all runs pass at the same place."""
    if view.x == "wall" or len({r.step for r in rules}) != 1:
        return None
    return detach_rule.mark_places(rules, task, view)[0]
