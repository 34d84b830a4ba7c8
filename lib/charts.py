"""Charts of a task: curves with their spread, the detach rule, n at every step; and the grid of tasks and families."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import polars as pl

from lib import charts_parts as parts
from lib.charts_hover import hover_layer, strip_layers
from lib.charts_parts import DetachMark, detach_marks
from lib.curves import View
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
CURVE_ROWS = 5000
SEED_ROWS = 4000
RAW_ROWS = 3000
FAINT = 0.08

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
    raw : the same columns, unsmoothed: drawn as dots behind everything.
    domain : x range; by default that of all the task's curves, so that its charts share one.
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
    look = _Look(study, task, family, view, metrics, arms_in(curves, task), interactive, legend)
    table = _table(curves, look)
    domain = domain or x_domain(curves, task)
    bounds = _log_bounds(table, seeds, raw, look, log)
    if bounds:
        table = parts.for_log(table, bounds)
    rows = len(look.metrics) * len(look.arms)
    gutter = 14 + 5 * rows if strip and rows else 0
    plot = height if cell else None
    headroom = parts.HEADROOM if rules else 8
    y = parts.value_axis(parts.family_title(metrics, family), bounds, gutter, headroom, plot)
    x = parts.step_axis(view, domain)
    drawn = parts.lean(parts.thin(table, ("metric", "arm"), "mean", CURVE_ROWS))
    layers: list[alt.Chart] = [_band(drawn, look, x, y)]
    if raw is not None:
        layers.append(_raw(raw, look, x, y))
    if seeds is not None:
        layers.append(_seeds(seeds, look, x, y))
    layers.append(_lines(drawn, look, x, y))
    if gutter:
        layers += strip_layers(table, look.order(), look.color(), plot, look.prefix)
    if interactive:
        layers.append(
            hover_layer(table, look.order(), x, bounds is not None, _only_step(rules, task, view), look.prefix)
        )
    layers += parts.rule_layers(rules, task, view, domain, look.prefix)
    if interactive:
        layers[0] = layers[0].add_params(*_selections(look, brush))
    return alt.LayerChart(layer=layers, width=width, height=height, title=parts.figure_heading(title))


def arms_in(curves: pl.DataFrame, task: Task) -> list[str]:
    """The arms of a task's curves in the legend's order."""
    return parts.arm_order(curves.filter(pl.col("task") == task.key)["arm"].to_list())


class _Look:
    """Names, colours and selections that the layers of one chart share."""

    def __init__(
        self,
        study: Study,
        task: Task,
        family: str,
        view: View,
        metrics: list[Metric],
        arms: list[str],
        interactive: bool,
        legend: bool,
    ) -> None:
        self.task, self.metrics, self.arms = task, metrics, arms
        self.labels = [parts.metric_label(m, task, view) for m in metrics]
        self.interactive, self.legend = interactive, legend
        self.prefix = parts.slug(f"{task.key}_{family}")
        self._colors = parts.metric_colors(study)

    def name(self, layer: str) -> str:
        """The layer's name: views of one name would show each other's data when charts are put side by side."""
        return f"{self.prefix}_{layer}"

    def order(self) -> list[tuple[str, str]]:
        """Every (metric label, arm): control before treated, so that the treated arm is drawn on top."""
        return [(label, arm) for label in self.labels for arm in reversed(self.arms)]

    def colors(self) -> dict[str, str]:
        """Colour by metric label."""
        return {label: self._colors[m.key] for label, m in zip(self.labels, self.metrics, strict=True)}

    def named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The task's rows of this family, metrics by label, in the order of drawing."""
        names = {m.key: label for m, label in zip(self.metrics, self.labels, strict=True)}
        return (
            frame.filter(pl.col("task") == self.task.key, pl.col("metric").is_in(list(names)))
            .with_columns(
                pl.col("metric").replace_strict(names, return_dtype=pl.Enum(self.labels)),
                pl.col("arm").cast(pl.Enum(self.arms[::-1])),
            )
            .sort("metric", "arm", maintain_order=True)
        )

    def color(self) -> alt.Color:
        """The colour channel; its legend isolates a metric on click."""
        scale = alt.Scale(domain=self.labels, range=list(self.colors().values()))
        return alt.Color("metric:N", scale=scale, title=None, legend=self._legend())

    def width(self) -> alt.StrokeWidthValue:
        """The width channel; a scale would turn the width of a single metric into NaN."""
        thick = [label for label, m in zip(self.labels, self.metrics, strict=True) if parts.line_width(m) == 3]
        return alt.StrokeWidthValue(2, condition={"test": {"field": "metric", "oneOf": thick}, "value": 3})

    def dash(self) -> alt.StrokeDash:
        """The dash channel; a legend only where there is more than one arm."""
        scale = alt.Scale(domain=self.arms, range=parts.arm_dashes(self.arms))
        show = self._legend(parts.QUIET) if len(self.arms) > 1 else None
        return alt.StrokeDash("arm:N", scale=scale, title=None, legend=show)

    def _legend(self, color: Any = alt.Undefined) -> alt.Legend | None:
        if not self.legend:
            return None
        most = max(len(self.labels), len(self.arms))
        return alt.Legend(
            orient="top",
            direction="horizontal",
            columns=alt.ExprRef(f"width < {190 * len(self.labels)} ? 1 : {most}"),
            symbolType="stroke",
            symbolSize=300,
            symbolOpacity=1,
            symbolStrokeWidth=2.5,
            symbolStrokeColor=color,
            labelLimit=260,
            offset=6,
        )

    def opacity(self, full: float) -> Any:
        """Full where the legends' selections hold (an empty one holds everywhere), faint elsewhere."""
        if not self.interactive:
            return alt.OpacityValue(full)
        picked = {"and": [{"param": p.name} for p in self.legend_selections()]}
        return alt.OpacityValue(round(full * FAINT, 3), condition={"test": picked, "value": full})

    def legend_selections(self) -> list[alt.Parameter]:
        """Selections made by a click on a legend entry: a metric, and an arm where there are several."""
        found = [alt.selection_point(name="isolate", fields=["metric"], bind="legend")]
        if len(self.arms) > 1:
            found.append(alt.selection_point(name="isolate_arm", fields=["arm"], bind="legend"))
        return found


def _selections(look: _Look, brush: bool) -> list[alt.Parameter]:
    """Zoom with pinch, Ctrl or Cmd and the wheel, so that a page still scrolls; pan by dragging; legends by click."""
    drag = "[pointerdown[{}event.shiftKey], window:pointerup] > window:pointermove!"
    zoom = alt.selection_interval(
        name="zoom",
        bind="scales",
        encodings=["x"],
        zoom="wheel![event.ctrlKey || event.metaKey]",
        on=drag.format("!"),
        translate=drag.format("!"),
    )
    found = [zoom, *look.legend_selections()]
    if brush:
        found.append(alt.selection_interval(name="range", encodings=["x"], on=drag.format("")))
    return found


def _only_step(rules: Rules, task: Task, view: View) -> float | None:
    steps = {r.step for r in rules}
    return parts.axis_step(rules[0].step, rules[0].step, task, view) if len(steps) == 1 else None


def _table(curves: pl.DataFrame, look: _Look) -> pl.DataFrame:
    table = look.named(curves).select("metric", "arm", "step", "mean", "lower", "upper", "n")
    # A NaN or an infinity in a column stretches the axis over everything else.
    finite = [pl.when(pl.col(c).is_finite()).then(c).alias(c) for c in ("mean", "lower", "upper")]
    return table.with_columns(finite)


def _log_bounds(
    table: pl.DataFrame, seeds: pl.DataFrame | None, raw: pl.DataFrame | None, look: _Look, log: bool | None
) -> tuple[float, float] | None:
    """The y range of a log axis, None for a linear one."""
    if not (any(m.scale == "log" for m in look.metrics) if log is None else log):
        return None
    columns = [table["mean"], table["upper"]]
    # A bound at or below 0 has no place on the axis and must not stretch it.
    columns.append(table.filter(pl.col("lower") > pl.col("mean") / 100)["lower"])
    columns += [look.named(f)["value"] for f in (seeds, raw) if f is not None]
    return parts.log_domain(pl.concat([c.rename("value") for c in columns]).drop_nulls())


def _band(frame: pl.DataFrame, look: _Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(frame, name=look.name("band"))
        .mark_area(clip=True, strokeWidth=0)
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("lower:Q", **y),
            y2="upper:Q",
            color=look.color(),
            detail="arm:N",
            opacity=look.opacity(0.2),
        )
    )


def _lines(frame: pl.DataFrame, look: _Look, x: dict, y: dict) -> alt.Chart:
    return (
        alt.Chart(frame, name=look.name("line"))
        .mark_line(clip=True, strokeJoin="round")
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("mean:Q", **y),
            color=look.color(),
            strokeDash=look.dash(),
            strokeWidth=look.width(),
            opacity=look.opacity(1),
        )
    )


def _seeds(frame: pl.DataFrame, look: _Look, x: dict, y: dict) -> alt.Chart:
    points = look.named(frame).select("metric", "arm", "run_id", "step", "value")
    points = parts.lean(parts.thin(points, ("metric", "arm", "run_id"), "value", SEED_ROWS))
    ids = sorted(points["run_id"].unique())
    return (
        alt.Chart(points.with_columns(pl.col("run_id").cast(pl.Enum(ids))), name=look.name("seeds"))
        .mark_line(clip=True, strokeWidth=1)
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("value:Q", **y),
            color=look.color(),
            strokeDash=look.dash(),
            detail="run_id:N",
            opacity=look.opacity(0.4),
        )
    )


def _raw(frame: pl.DataFrame, look: _Look, x: dict, y: dict) -> alt.Chart:
    points = look.named(frame).select("metric", "arm", "run_id", "step", "value")
    points = parts.lean(parts.thin(points, ("metric", "arm", "run_id"), "value", RAW_ROWS)).drop("run_id")
    return (
        alt.Chart(points, name=look.name("raw"))
        .mark_circle(clip=True, size=9)
        .encode(x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y), color=look.color(), opacity=look.opacity(0.3))
    )


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
    interactive: bool = True,
) -> alt.VConcatChart:
    """Every task and family in one figure, a row a task, under the study's title: the `combined_ablation` figure.

    Cells are `family_chart`s: the same axes, smoothing, bands and rule as the single figures.

    Parameters
    ----------
    rules : the detach marks by task key.
    log : log (True) or linear axis by family; by default as `family_chart` chooses.
    width, height : of one cell, in pixels.
    """
    rows = []
    apart: dict[str, Any] = dict.fromkeys(("color", "strokeDash", "opacity"), "independent")
    for task in study.tasks:
        cells = [
            family_chart(
                curves, study, task, family, view=view, rules=rules.get(task.key, ()), width=width, height=height,
                log=(log or {}).get(family), title=figure_title(curves, study, task, family), interactive=False, cell=True,
            )
            for family in families
            if family_metrics(curves, study, task, family)
        ]  # fmt: skip
        if cells:
            rows.append(alt.hconcat(*cells).resolve_scale(**apart))
    return (
        alt.vconcat(*rows)
        .resolve_scale(**apart)
        .properties(title=alt.TitleParams(study.title, anchor="middle", fontSize=18))
    )


def figure_title(curves: pl.DataFrame, study: Study, task: Task, family: str) -> str:
    """The title of a figure: the task and what is plotted (`Acrobot Swingup - Episode Reward`)."""
    return f"{task.title} - {parts.family_title(family_metrics(curves, study, task, family), family)}"
