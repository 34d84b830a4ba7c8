"""The jump at pretended detach steps beside the real one."""

import altair as alt
import polars as pl

from lib.charts import axes, thinning
from lib.charts import style as parts
from lib.charts.effects.shared import Width, _change_axis, _estimates, _range, _scaled, _steps, _zero
from lib.curves import View
from lib.study import Metric, Task


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
    placebo : columns of `lib.effects.chart_data.PLACEBO`.

    Returns
    -------
    A layered chart: pretended steps in grey, hollow where their window holds the real detach; the real one in red with
    its label, last.
    """
    mine = placebo.filter(pl.col("task") == task.key, pl.col("metric") == metric.key, pl.col("arm") == arm)
    columns = ("jump", "ci_low", "ci_high")
    table = thinning.lean(_scaled(mine, metric, columns).select("step", *columns, "n", "real", "overlaps"))
    x = alt.X("step:Q", **axes.step_axis(View(), _range(table["step"], 0.03)))
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
