"""Charts of what stands behind an effect: pair differences, local fits of the jump, the placebo, event time."""

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import polars as pl

from lib import charts_parts as parts
from lib.charts_parts import DetachMark
from lib.study import Metric, Study, Task
from lib.view import View

Width = int | Literal["container"]
POINTS = 3000


def difference_chart(
    differences: pl.DataFrame,
    study: Study,
    task: Task,
    metric: Metric,
    *,
    rules: Sequence[DetachMark] = (),
    width: Width = "container",
    height: int = 300,
    title: str | None = None,
) -> alt.LayerChart:
    """Detached minus control over steps, the mean of the fork pairs with its pointwise interval, a line per arm.

    Parameters
    ----------
    differences : columns of `lib.effects_frames.DIFFERENCES`; log metrics as ratio minus 1, drawn in percent.

    Returns
    -------
    A layered chart with a line at no difference and the detach rule last.
    """
    mine = differences.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    table = parts.lean(_scaled(mine, metric, ("difference", "ci_low", "ci_high")).drop("task", "metric"))
    domain = _range(table["step"])
    x = alt.X("step:Q", **parts.step_axis(View(), domain))
    y = _change_axis(metric, "Detached - Control", parts.HEADROOM if rules else 8)
    color, arms = parts.metric_colors(study)[metric.key], parts.arm_order(table["arm"].to_list())
    dash = _arm_dash(arms)
    base = alt.Chart(table)
    band = (
        base.properties(name="band").mark_area(color=color, opacity=0.2, clip=True)
        .encode(x=x, y=alt.Y("ci_low:Q", **y), y2=alt.Y2("ci_high:Q"), detail=alt.Detail("arm:N"))
    )  # fmt: skip
    line = (
        base.properties(name="line").mark_line(color=color, clip=True)
        .encode(x=x, y=alt.Y("difference:Q", **y), strokeDash=dash)
    )  # fmt: skip
    # A line takes the tooltip of its first point only: wide unseen points take those of every step.
    tips = [_steps("step"), "arm:N", *_estimates("difference"), alt.Tooltip("n:Q", title="pairs")]
    touch = (
        base.properties(name="touch").mark_circle(size=120, opacity=0, clip=True)
        .encode(x=x, y=alt.Y("difference:Q", **y), tooltip=tips)
    )  # fmt: skip
    layers = [_zero(), band, line, touch, *parts.rule_layers(rules, task, View(), domain, "difference")]
    return parts.Layered(layer=layers, width=width, height=height, title=parts.figure_heading(title))


def jump_chart(
    points: pl.DataFrame,
    fits: pl.DataFrame,
    study: Study,
    task: Task,
    metric: Metric,
    *,
    rules: Sequence[DetachMark] = (),
    width: Width = "container",
    height: int = 300,
    title: str | None = None,
) -> alt.LayerChart:
    """The jump at the detach: raw rows of every run around it and the line fitted on each side.

    Parameters
    ----------
    points : run_id, metric, step, value; raw rows. Only runs with a fit, within the span of the fits, are drawn.
    fits : columns of `lib.effects_frames.FITS`.

    Returns
    -------
    A layered chart. Pointing at a run's rows or lines brings it to the front.
    """
    lines = fits.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    low, high = _range(lines["step"]) or (0.0, 1.0)
    seeds = lines.select("run_id", "seed").unique()
    rows = (
        points.filter(pl.col("metric") == metric.key, pl.col("step").is_between(low, high), pl.col("value").is_finite())
        .join(seeds, on="run_id")
        .sort("run_id", "step")
        .select("run_id", "seed", "step", "value")
    )
    rows = parts.lean(parts.thin(rows, ["run_id"], "value", POINTS))
    table = _scaled(lines, metric, ("jump",)).select("run_id", "seed", "arm", "side", "step", "fit", "jump", "rows")
    bounds = (
        parts.log_domain(pl.concat([rows["value"], table["fit"].rename("value")])) if metric.scale == "log" else None
    )
    headroom = parts.HEADROOM if rules else 8
    y = parts.value_axis(parts.family_title([metric], metric.family), bounds, 0, headroom, None)
    x = parts.step_axis(View(), (low, high))
    color = parts.metric_colors(study)[metric.key]
    layers = [_raw_rows(rows, color, x, y), _fitted(parts.lean(table), metric, color, x, y)]
    layers += parts.rule_layers(rules, task, View(), (low, high), "jump")
    return parts.Layered(layer=layers, width=width, height=height, title=parts.figure_heading(title))


def placebo_chart(
    placebo: pl.DataFrame,
    task: Task,
    metric: Metric,
    arm: str,
    *,
    width: Width = "container",
    height: int = 260,
    title: str | None = None,
) -> alt.LayerChart:
    """The jump at pretended detach steps with the real one among them: a picture, not a test.

    Parameters
    ----------
    placebo : columns of `lib.effects_frames.PLACEBO`.

    Returns
    -------
    A layered chart: pretended steps in grey, hollow where their window holds the real detach; the real one in red with
    its label, last.
    """
    mine = placebo.filter(pl.col("task") == task.key, pl.col("metric") == metric.key, pl.col("arm") == arm)
    columns = ("jump", "ci_low", "ci_high")
    table = parts.lean(_scaled(mine, metric, columns).select("step", *columns, "n", "real", "overlaps"))
    x = alt.X("step:Q", **parts.step_axis(View(), _range(table["step"], 0.03)))
    y = _change_axis(metric, "Jump", 18)
    tips = [_steps("step"), *_estimates("jump"), alt.Tooltip("n:Q", title="runs")]

    def pair(rows: pl.DataFrame, name: str, color: str, size: int) -> list[alt.Chart]:
        base = alt.Chart(rows).encode(x=x, tooltip=tips)
        bar = base.properties(name=f"{name}_interval").mark_rule(color=color, opacity=0.5, clip=True)
        dot = base.properties(name=f"{name}_jump").mark_point(color=color, size=size, clip=True)
        filled = alt.FillOpacityValue(1, condition={"test": "datum.overlaps", "value": 0})
        return [
            bar.encode(y=alt.Y("ci_low:Q", **y), y2=alt.Y2("ci_high:Q")),
            dot.encode(y=alt.Y("jump:Q", **y), fill=alt.FillValue(color), fillOpacity=filled),
        ]

    real = table.filter("real")
    layers = [_zero(), *pair(table.filter(~pl.col("real")), "pretended", parts.QUIET, 40)]
    layers += pair(real, "real", parts.RULE_COLOR, 90)
    if real.height:
        label = alt.Chart(alt.InlineData(values=[{}]), name="real_label").mark_text(
            text="real detach", style=parts.RULE_TEXT, baseline="top"
        )
        layers.append(label.encode(x=alt.XDatum(float(real["step"][0])), y=alt.YValue(2)))
    return parts.Layered(layer=layers, width=width, height=height, title=parts.figure_heading(title))


#: Where a run is pointed at.
_NEAR: dict[str, Any] = {"param": "run", "empty": False}


def _raw_rows(rows: pl.DataFrame, color: str, x: dict, y: dict) -> alt.Chart:
    """Raw rows as dots, those of the run that is pointed at darker."""
    near = alt.selection_point(name="run", fields=["run_id"], on="pointerover", clear="pointerout", empty=False)
    return (
        alt.Chart(rows, name="rows").mark_circle(size=16, color=color, clip=True)
        .encode(
            x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y),
            opacity=alt.OpacityValue(0.25, condition=_NEAR | {"value": 0.9}),
            tooltip=[
                alt.Tooltip("seed:N"), alt.Tooltip("run_id:N", title="run"),
                _steps("step"), alt.Tooltip("value:Q", format=".4~g"),
            ],
        )
        .add_params(near)
    )  # fmt: skip


def _fitted(table: pl.DataFrame, metric: Metric, color: str, x: dict, y: dict) -> alt.Chart:
    """The line fitted on each side of every run's detach, those of the run that is pointed at bold."""
    return (
        alt.Chart(table, name="fits").mark_line(color=color, clip=True)
        .encode(
            x=alt.X("step:Q", **x), y=alt.Y("fit:Q", **y), detail=[alt.Detail("run_id:N"), alt.Detail("side:N")],
            strokeWidth=alt.StrokeWidthValue(1.5, condition=_NEAR | {"value": 4}),
            opacity=alt.OpacityValue(0.7, condition=_NEAR | {"value": 1}),
            tooltip=[
                alt.Tooltip("seed:N"), alt.Tooltip("arm:N"), alt.Tooltip("run_id:N", title="run"),
                alt.Tooltip("jump:Q", format="+.3~g", title=_unit(metric, "jump")),
                alt.Tooltip("side:N"), alt.Tooltip("rows:Q"),
            ],
        )
    )  # fmt: skip


def curves_since_detach(
    curves: pl.DataFrame,
    study: Study,
    metric: Metric,
    arms: Sequence[str],
    *,
    view: View,
    width: Width = "container",
    height: int = 340,
    title: str | None = None,
) -> alt.LayerChart:
    """Event time: a metric's curves of every task on one axis that counts from the detach.

    A colour a task, a dash an arm: detached against control, or several detach steps against each other.

    Parameters
    ----------
    curves : as `lib.curves.curves` gives them for a view whose x is `since` or `since_percent`.
    arms : the arms to draw.
    """
    titles = {t.key: t.title for t in study.tasks}
    table, bounds = _since_table(curves, metric, arms, titles)
    tasks = [titles[key] for key in titles if titles[key] in set(table["task"])]
    y = parts.value_axis(parts.family_title([metric], metric.family), bounds, 0, parts.HEADROOM, None)
    x = alt.X("step:Q", **parts.step_axis(view, _range(table["step"])))
    color = alt.Color(
        "task:N",
        scale=alt.Scale(domain=tasks, range=[parts.PALETTE[i % len(parts.PALETTE)] for i in range(len(tasks))]),
        legend=alt.Legend(
            title=None, orient="top", symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5,
            **parts.legend_columns(tasks),
        ),
    )  # fmt: skip
    dash = _arm_dash(parts.arm_order(table["arm"].to_list()))
    base = alt.Chart(table)
    band = (
        base.properties(name="band").mark_area(opacity=0.2, clip=True)
        .encode(x=x, y=alt.Y("lower:Q", **y), y2=alt.Y2("upper:Q"), color=color, detail=alt.Detail("arm:N"))
    )  # fmt: skip
    line = (
        base.properties(name="line").mark_line(strokeWidth=2, clip=True)
        .encode(x=x, y=alt.Y("mean:Q", **y), color=color, strokeDash=dash)
    )  # fmt: skip
    tips = [
        alt.Tooltip("task:N"),
        alt.Tooltip("arm:N"),
        alt.Tooltip("step:Q", title=parts.X_TITLES[view.x], format=",.4~g"),
        *_means(),
        alt.Tooltip("n:Q"),
    ]
    touch = (
        base.properties(name="touch").mark_circle(size=90, opacity=0, clip=True)
        .encode(x=x, y=alt.Y("mean:Q", **y), tooltip=tips)
    )  # fmt: skip
    layers = [band, line, touch, *_rule_at_zero()]
    return parts.Layered(layer=layers, width=width, height=height, title=parts.figure_heading(title))


def _since_table(
    curves: pl.DataFrame, metric: Metric, arms: Sequence[str], titles: dict[str, str]
) -> tuple[pl.DataFrame, tuple[float, float] | None]:
    """The curves of a metric as event time draws them, tasks by title, and the range of a log axis."""
    mine = curves.filter(
        pl.col("metric") == metric.key, pl.col("arm").is_in(list(arms)), pl.col("task").is_in(list(titles))
    )
    bounds = None
    if metric.scale == "log":
        values = pl.concat([mine[c].rename("value") for c in ("mean", "lower", "upper")]).drop_nulls()
        bounds = parts.log_domain(values)
        mine = parts.for_log(mine, bounds)
    mine = parts.thin(mine.sort("task", "arm", "step"), ["task", "arm"], "mean", POINTS)
    task = pl.col("task").replace_strict(titles, return_dtype=pl.Enum(list(dict.fromkeys(titles.values()))))
    return parts.lean(mine.select(task, "arm", "step", "mean", "lower", "upper", "n")), bounds


def _rule_at_zero() -> list[alt.Chart]:
    """The detach, where it is the origin of x."""
    rule = alt.Chart(alt.InlineData(values=[{}]), name="detach_rule").encode(x=alt.XDatum(0))
    label = alt.Chart(alt.InlineData(values=[{}]), name="detach_label").encode(x=alt.XDatum(0), y=alt.YValue(4))
    return [
        label.mark_text(text=parts.RULE_LABEL, align="left", baseline="top", dx=6, style=parts.RULE_TEXT, clip=True),
        rule.mark_rule(color=parts.RULE_COLOR, strokeWidth=2, strokeDash=[6, 4], clip=True, aria=False),
    ]


def placebo_text(placebo: pl.DataFrame, task: Task, metric: Metric, arm: str) -> str:
    """The takeaway of `placebo_chart`: how many pretended jumps are as large as the real one."""
    mine = placebo.filter(pl.col("task") == task.key, pl.col("metric") == metric.key, pl.col("arm") == arm)
    real, apart = mine.filter("real"), mine.filter(~pl.col("real"), ~pl.col("overlaps"))
    if real.is_empty() or apart.is_empty():
        return f"{metric.name} on {task.title}: no pretended detach step can be compared with the real one."
    size = abs(float(real["jump"][0]))
    larger = apart.filter(pl.col("jump").abs() >= size).height
    return (
        f"{metric.name} on {task.title}: {larger} of {apart.height} pretended detach steps show a jump at least as large as "
        f"the real one."
    )


def _arm_dash(arms: Sequence[str]) -> alt.StrokeDash:
    """A dash an arm, with a legend where there are several."""
    show = alt.Legend(
        title=None, orient="bottom", symbolType="stroke", symbolStrokeColor=parts.QUIET, symbolSize=300, symbolOpacity=1
    )
    return alt.StrokeDash(
        "arm:N",
        scale=alt.Scale(domain=list(arms), range=parts.arm_dashes(arms)),
        legend=show if len(arms) > 1 else None,
    )


def _scaled(frame: pl.DataFrame, metric: Metric, columns: Sequence[str]) -> pl.DataFrame:
    """Changes of log metrics in percent instead of as ratio minus 1; NaN as null."""
    factor = 100.0 if metric.scale == "log" else 1.0
    return frame.with_columns((pl.col(c).fill_nan(None) * factor).alias(c) for c in columns)


def _unit(metric: Metric, text: str) -> str:
    return f"{text} (%)" if metric.scale == "log" else text


def _change_axis(metric: Metric, what: str, headroom: int) -> dict[str, Any]:
    unit = "%" if metric.scale == "log" else parts.family_title([metric], metric.family)
    return parts.value_axis(f"{what} ({unit})", None, 0, headroom, None)


def _range(steps: pl.Series, margin: float = 0.0) -> tuple[float, float] | None:
    if steps.is_empty():
        return None
    low, high = float(steps.min()), float(steps.max())  # type: ignore[arg-type]
    return low - margin * (high - low), high + margin * (high - low)


def _zero() -> alt.Chart:
    return (
        alt.Chart(alt.InlineData(values=[{}]), name="zero")
        .mark_rule(color=parts.QUIET, aria=False)
        .encode(y=alt.YDatum(0))
    )


def _steps(field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", title=parts.X_TITLES["steps"], format=",.0f")


def _estimates(field: str) -> list[alt.Tooltip]:
    ends = (("ci_low", "95% low"), ("ci_high", "95% high"))
    return [alt.Tooltip(f"{field}:Q", format="+.3~g")] + [
        alt.Tooltip(f"{c}:Q", format="+.3~g", title=title) for c, title in ends
    ]


def _means() -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{c}:Q", format=".4~g") for c in ("mean", "lower", "upper")]
