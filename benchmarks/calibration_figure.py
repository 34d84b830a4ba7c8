"""The picture of the calibration."""

import altair as alt
import polars as pl

from benchmarks.calibration_report import base, even, named
from benchmarks.methods import POWER_OF_REFUSED


def figure(results: pl.DataFrame) -> alt.FacetChart:
    """False positives by number of runs, one point per family: what is offered above what is refused for them."""
    chosen = even(base(named(results))).filter(pl.col("effect") == 0)
    kinds = chosen.filter("offered")["method"].unique().to_list()
    wrong = ~pl.col("method").is_in([*kinds, *POWER_OF_REFUSED])  # refused for its false positives
    shown = chosen.filter(pl.col("offered") | wrong).with_columns(
        (100 * pl.col("found")).alias("false"),
        pl.when("offered").then(pl.lit("offered")).otherwise(pl.lit("refused")).alias("group"),
    )
    order = shown.group_by("method").agg(pl.col("false").max()).sort("false")["method"].to_list()
    scale = alt.Scale(type="log", domain=[2, 100], clamp=True, nice=False)
    axis = alt.Axis(values=[2, 5, 10, 20, 50, 100], grid=True)
    points = (
        alt.Chart()
        .mark_point(filled=True, opacity=0.75, size=45)
        .encode(
            x=alt.X(
                "false:Q", title="false positives in % (log scale; the line is the nominal 5%)", scale=scale, axis=axis
            ),
            y=alt.Y("method:N", title=None, sort=order, axis=alt.Axis(labelLimit=320)),
            color=alt.Color("n_t:O", title="runs per arm", scale=alt.Scale(scheme="viridis")),
            shape=alt.Shape("family:N", title="curves"),
        )
    )
    rule = alt.Chart().mark_rule(color="#c0392b", strokeDash=[4, 3]).encode(x=alt.datum(5))
    columns = ["method", "family", "n_t", "false", "group"]
    return (
        alt.layer(points, rule, data=shown.select(columns))
        .properties(width=520, height=alt.Step(22))
        .facet(row=alt.Row("group:N", title=None, header=alt.Header(labelFontSize=13, labelFontWeight="bold")))
        .resolve_scale(y="independent")
    )
