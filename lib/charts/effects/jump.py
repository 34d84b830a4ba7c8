"""The local fits of the jump at the detach."""

from typing import Any, Unpack

import altair as alt
import polars as pl

from lib.charts import axes, detach_rule, style, thinning
from lib.charts.detach_rule import Rules
from lib.charts.effects.shared import in_percent, point_at, step_range, step_tooltip
from lib.charts.metric_colors import metric_colors
from lib.charts.spec import ChartSpec, Size, layered
from lib.charts.thinning import POINTS
from lib.curves import View
from lib.study import Metric, Study, Task


def jump_chart(
    points: pl.DataFrame,
    fits: pl.DataFrame,
    study: Study,
    task: Task,
    metric: Metric,
    rules: Rules = (),
    **size: Unpack[Size],
) -> ChartSpec:
    """The jump at the detach: raw rows of every run around it and the line fitted on each side.

    Parameters
    ----------
    points : run_id, metric, step, value; raw rows. Only runs with a fit, within the span of the fits, are drawn.
    fits : columns of `lib.effects.chart_data.FIT_LINES`.

    Returns
    -------
    A layered chart. Pointing at a run's rows or lines brings it to the front.
    """
    lines = fits.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    low, high = step_range(lines["step"]) or (0.0, 1.0)
    seeds = lines.select("run_id", "seed").unique()
    rows = (
        points.filter(pl.col("metric") == metric.key, pl.col("step").is_between(low, high), pl.col("value").is_finite())
        .join(seeds, on="run_id")
        .sort("run_id", "step")
        .select("run_id", "seed", "step", "value")
    )
    rows = thinning.round_for_screen(thinning.downsample(rows, ["run_id"], "value", POINTS))
    table = in_percent(lines, metric, ("jump",)).select("run_id", "seed", "arm", "side", "step", "fit", "jump", "rows")
    bounds = (
        axes.log_domain(pl.concat([rows["value"], table["fit"].rename("value")])) if metric.scale == "log" else None
    )
    y = axes.value_axis(style.family_title([metric], metric.family), bounds, 0, detach_rule.headroom(rules))
    x = axes.step_axis(View(), (low, high))
    color = metric_colors(study)[metric.key]
    layers = [_raw_rows(rows, color, x, y), _fitted(thinning.round_for_screen(table), metric, color, x, y)]
    layers += detach_rule.rule_layers(rules, task, View(), (low, high), "jump")
    params = [point_at("run", "run_id", "rows")]
    return layered(layers, params=params, **size)


#: Where a run is pointed at.
_NEAR: dict[str, Any] = {"param": "run", "empty": False}


def _raw_rows(rows: pl.DataFrame, color: str, x: dict, y: dict) -> alt.Chart:
    """Raw rows as dots, those of the run that is pointed at darker."""
    return (
        alt.Chart(rows, name="rows").mark_circle(size=16, color=color, clip=True)
        .encode(
            x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y),
            opacity=alt.OpacityValue(0.25, condition=_NEAR | {"value": 0.9}),
            tooltip=[
                alt.Tooltip("seed:N"), alt.Tooltip("run_id:N", title="run"),
                step_tooltip(), alt.Tooltip("value:Q", format=".4~g"),
            ],
        )
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
                alt.Tooltip("jump:Q", format="+.3~g", title="jump (%)" if metric.scale == "log" else "jump"),
                alt.Tooltip("side:N"), alt.Tooltip("rows:Q"),
            ],
        )
    )  # fmt: skip
