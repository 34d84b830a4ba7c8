"""The estimate after each finished run, with intervals that hold at every look."""

from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import style, thinning
from lib.charts.effects.shared import change_axis, estimate_tooltips, zero_rule
from lib.charts.spec import ONE_ROW, ChartSpec, Size, layered
from lib.study import Metric


def looks_chart(looks: pl.DataFrame, metric: Metric, planned: int, unit: str, **size: Unpack[Size]) -> ChartSpec:
    """The estimate so far over n, with a rule at the planned size.

    Parameters
    ----------
    looks : columns of `lib.effects.compare.planned.LOOKS`, in percent for a log metric, else in the metric's unit.
    unit : what n counts: `pairs`, `runs per arm` or `runs`.
    """
    table = thinning.round_for_screen(looks)
    first = int(table["n"].min() or 0)  # type: ignore[arg-type]
    scale = alt.Scale(domain=[first - 0.5, planned + 0.5], nice=False)
    x = alt.X(
        "n:Q", title=f"Finished {unit}", scale=scale,
        axis=alt.Axis(format="d", values=list(range(first, planned + 1)), grid=False, labelOverlap=True),
    )  # fmt: skip
    y = change_axis(metric, "Change", 18)
    base = alt.Chart(table).encode(x=x, tooltip=[alt.Tooltip("n:Q"), *estimate_tooltips("estimate")])
    interval = base.properties(name="interval").mark_rule(color=style.PALETTE[0], strokeWidth=2, clip=True)
    dot = base.properties(name="estimate").mark_circle(color=style.PALETTE[0], size=80, opacity=1, clip=True)
    goal = alt.Chart(ONE_ROW, name="planned").mark_rule(color=style.QUIET, strokeDash=[4, 4], aria=False)
    label = alt.Chart(ONE_ROW, name="planned_label").mark_text(
        text="planned", style=style.QUIET_TEXT, align="right", baseline="top", dx=-4
    )
    layers = [
        zero_rule(),
        goal.encode(x=alt.XDatum(planned, type="quantitative", scale=scale)),
        label.encode(x=alt.XDatum(planned, type="quantitative", scale=scale), y=alt.YValue(2)),
        interval.encode(y=alt.Y("ci_low:Q", **y), y2=alt.Y2("ci_high:Q")),
        dot.encode(y=alt.Y("estimate:Q", **y)),
    ]
    return layered(layers, **({"height": 220} | size))
