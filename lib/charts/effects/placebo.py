"""The jump at pretended detach steps beside the real one."""

from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import axes, style, thinning
from lib.charts.effects.shared import (
    change_axis,
    estimate_tooltips,
    in_percent,
    step_range,
    step_tooltip,
    zero_rule,
)
from lib.charts.spec import ONE_ROW, ChartSpec, Size, layered
from lib.curves import View
from lib.study import Metric, Task


def placebo_chart(placebo: pl.DataFrame, task: Task, metric: Metric, arm: str, **size: Unpack[Size]) -> ChartSpec:
    """The jump at pretended detach steps with the real one among them: a picture, not a test.

    Parameters
    ----------
    placebo : columns of `lib.effects.chart_data.PLACEBO`.

    Returns
    -------
    A layered chart: pretended steps in grey, hollow where their window holds the real detach; the real one in red with
    its label, last.
    """
    rows = placebo.filter(pl.col("task") == task.key, pl.col("metric") == metric.key, pl.col("arm") == arm)
    columns = ("jump", "ci_low", "ci_high")
    table = thinning.round_for_screen(
        in_percent(rows, metric, columns).select("step", *columns, "n", "real", "overlaps")
    )
    x = alt.X("step:Q", **axes.step_axis(View(), step_range(table["step"], 0.03)))
    y = change_axis(metric, "Jump", 18)
    tooltips = [step_tooltip(), *estimate_tooltips("jump"), alt.Tooltip("n:Q", title="runs")]

    def pair(rows: pl.DataFrame, name: str, color: str, size: int) -> list[alt.Chart]:
        base = alt.Chart(rows).encode(x=x, tooltip=tooltips)
        bar = base.properties(name=f"{name}_interval").mark_rule(color=color, opacity=0.5, clip=True)
        dot = base.properties(name=f"{name}_jump").mark_point(color=color, size=size, clip=True)
        filled = alt.FillOpacityValue(1, condition={"test": "datum.overlaps", "value": 0})
        return [
            bar.encode(y=alt.Y("ci_low:Q", **y), y2=alt.Y2("ci_high:Q")),
            dot.encode(y=alt.Y("jump:Q", **y), fill=alt.FillValue(color), fillOpacity=filled),
        ]

    real = table.filter("real")
    layers = [zero_rule(), *pair(table.filter(~pl.col("real")), "pretended", style.QUIET, 40)]
    layers += pair(real, "real", style.RULE_COLOR, 90)
    if real.height:
        label = alt.Chart(ONE_ROW, name="real_label").mark_text(
            text="real detach", style=style.RULE_TEXT, baseline="top"
        )
        layers.append(label.encode(x=alt.XDatum(float(real["step"][0])), y=alt.YValue(2)))
    return layered(layers, **size)


def placebo_text(placebo: pl.DataFrame, task: Task, metric: Metric, arm: str) -> str:
    """The takeaway of `placebo_chart`: how many pretended jumps are as large as the real one."""
    rows = placebo.filter(pl.col("task") == task.key, pl.col("metric") == metric.key, pl.col("arm") == arm)
    real, apart = rows.filter("real"), rows.filter(~pl.col("real"), ~pl.col("overlaps"))
    if real.is_empty() or apart.is_empty():
        return f"{metric.name} on {task.title}: no pretended detach step can be compared with the real one."
    size = abs(float(real["jump"][0]))
    larger = apart.filter(pl.col("jump").abs() >= size).height
    return (
        f"{metric.name} on {task.title}: {larger} of {apart.height} pretended detach steps show a jump at least as large as "
        f"the real one."
    )
