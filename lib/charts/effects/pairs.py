"""The difference within each fork pair over steps."""

from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import axes, detach_rule, style, thinning
from lib.charts.detach_rule import Rules
from lib.charts.effects.shared import (
    arm_dash,
    change_axis,
    estimate_tooltips,
    in_percent,
    step_range,
    step_tooltip,
    zero_rule,
)
from lib.charts.metric_colors import metric_colors
from lib.charts.spec import ChartSpec, Size, layered
from lib.curves import View
from lib.study import Metric, Study, Task


def pairs_chart(
    differences: pl.DataFrame, study: Study, task: Task, metric: Metric, rules: Rules = (), **size: Unpack[Size]
) -> ChartSpec:
    """Detached minus control over steps, the mean of the fork pairs with its pointwise interval, a line per arm.

    Parameters
    ----------
    differences : columns of `lib.effects.chart_data.DIFFERENCES`; log metrics as ratio minus 1, drawn in percent.

    Returns
    -------
    A layered chart with a line at no difference and the detach rule last.
    """
    rows = differences.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    table = thinning.round_for_screen(
        in_percent(rows, metric, ("difference", "ci_low", "ci_high")).drop("task", "metric")
    )
    domain = step_range(table["step"])
    x = alt.X("step:Q", **axes.step_axis(View(), domain))
    y = change_axis(metric, "Detached - Control", detach_rule.headroom(rules))
    color, arms = metric_colors(study)[metric.key], style.arm_order(table["arm"].to_list())
    dash = arm_dash(arms)
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
    tooltips = [step_tooltip(), "arm:N", *estimate_tooltips("difference"), alt.Tooltip("n:Q", title="pairs")]
    touch = (
        base.properties(name="touch").mark_circle(size=120, opacity=0, clip=True)
        .encode(x=x, y=alt.Y("difference:Q", **y), tooltip=tooltips)
    )  # fmt: skip
    layers = [zero_rule(), band, line, touch, *detach_rule.rule_layers(rules, task, View(), domain, "difference")]
    # The arms' legend and their lines of the rule's label take room from the chart.
    height = 300 + (60 if len(arms) > 1 else 0)
    return layered(layers, **({"height": height} | size))
