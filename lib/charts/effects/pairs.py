"""The difference within each fork pair over steps."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from lib.charts import axes, detach_rule, thinning
from lib.charts import style as parts
from lib.charts.detach_rule import DetachMark
from lib.charts.effects.shared import Width, _arm_dash, _change_axis, _estimates, _range, _scaled, _steps, _zero
from lib.curves import View
from lib.study import Metric, Study, Task


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
    differences : columns of `lib.effects.chart_data.DIFFERENCES`; log metrics as ratio minus 1, drawn in percent.

    Returns
    -------
    A layered chart with a line at no difference and the detach rule last.
    """
    mine = differences.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    table = thinning.lean(_scaled(mine, metric, ("difference", "ci_low", "ci_high")).drop("task", "metric"))
    domain = _range(table["step"])
    x = alt.X("step:Q", **axes.step_axis(View(), domain))
    y = _change_axis(metric, "Detached - Control", axes.HEADROOM if rules else 8)
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
    layers = [_zero(), band, line, touch, *detach_rule.rule_layers(rules, task, View(), domain, "difference")]
    return parts.Layered(layer=layers, width=width, height=height, title=parts.figure_heading(title))
