"""Layers of a curve chart: band, mean, runs, points before smoothing, baselines."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import polars as pl

from lib.charts import thinning
from lib.charts.curves.series_style import Look
from lib.charts.thinning import Data


def band(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    """The spread of every metric and arm."""
    return (
        alt.Chart(table, name=look.name("band"))
        .mark_area(clip=True, strokeWidth=0, **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("lower:Q", **y),
            y2=alt.Y2("upper:Q"),
            color=look.color(),
            detail=alt.Detail("arm:N"),
            opacity=look.opacity(0.06 if look.coloring else 0.2),
        )
    )


def lines(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    """The mean of every metric and arm."""
    return (
        alt.Chart(table, name=look.name("line"))
        .mark_line(clip=True, strokeJoin="round", **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("mean:Q", **y),
            color=look.color(),
            strokeDash=look.dash(),
            strokeWidth=look.width(),
            opacity=look.opacity(1),
        )
    )


def seeds(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    """Each run's own curve, thin."""
    return (
        alt.Chart(table, name=look.name("seeds"))
        .mark_line(clip=True, strokeWidth=1, **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("value:Q", **y),
            color=look.color(),
            strokeDash=look.dash(),
            detail=alt.Detail("run_id:N"),
            opacity=look.opacity(0.4),
        )
    )


def raw(table: Data, look: Look, x: dict, y: dict) -> alt.Chart:
    """Values before smoothing, as dots."""
    return (
        alt.Chart(table, name=look.name("raw"))
        .mark_circle(clip=True, size=9)
        .encode(x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y), color=look.color(), opacity=look.opacity(0.45))
    )


ROWS = 1200
#: Where along its line each baseline is named, so that lines which end together are told apart.
PLACES = (1.0, 0.8, 0.6, 0.4)


def drawn_baselines(
    baselines: pl.DataFrame | None, task: str, family: str, domain: tuple[float, float] | None
) -> pl.DataFrame | None:
    """The rows of a task's baselines within the x range, or None: only reward charts have any."""
    if baselines is None or family != "reward":
        return None
    mine = baselines.filter(pl.col("task") == task, pl.col("mean").is_finite())
    if domain:
        mine = mine.filter(pl.col("step").is_between(*domain))
    return None if mine.is_empty() else mine


def baseline_tables(mine: pl.DataFrame, bounds: tuple[float, float] | None) -> dict[str, pl.DataFrame]:
    """What is drawn of the baselines: every line, and the point of each at which it is named.

    Parameters
    ----------
    mine : columns of `lib.curves.BASELINES`, of one task, as `drawn_baselines` gives them.
    bounds : the y range of a log axis, None for a linear one.
    """
    if bounds:
        mine = thinning.for_log(mine, bounds)
    columns = ("label", "color", "step", "mean", "lower", "upper", "n")
    table = thinning.lean(thinning.thin(mine.select(columns), ["label"], "mean", ROWS))
    ends = []
    for i, label in enumerate(table["label"].unique(maintain_order=True)):
        rows = table.filter(pl.col("label") == label)
        at = PLACES[i % len(PLACES)]
        ends.append(rows.slice(round(at * (rows.height - 1)), 1))
    return {"baselines": table, "baseline_names": pl.concat(ends).drop("lower", "upper", "n")}


def baseline_layers(data: Mapping[str, Data], x: dict[str, Any], y: dict[str, Any], prefix: str) -> list[alt.Chart]:
    """Band, line and name of every baseline, to be layered first; `data` as `baseline_tables` gives them."""
    # Fill and stroke, not colour: the legend of colours is the metrics'.
    base = alt.Chart(data["baselines"]).encode(x=alt.X("step:Q", **x), detail=alt.Detail("label:N"))
    band = base.properties(name=f"{prefix}_baseline_band").mark_area(clip=True, opacity=0.1, strokeWidth=0)
    line = base.properties(name=f"{prefix}_baselines").mark_line(clip=True, strokeWidth=1.25, opacity=0.8)
    return [
        band.encode(y=alt.Y("lower:Q", **y), y2=alt.Y2("upper:Q"), fill=alt.Fill("color:N", scale=None)),
        line.encode(y=alt.Y("mean:Q", **y), stroke=alt.Stroke("color:N", scale=None)),
        _names(data["baseline_names"], x, y, prefix),
    ]


def baseline_touch(table: Data, x: dict[str, Any], y: dict[str, Any], prefix: str) -> alt.Chart:
    """What a pointer on a baseline tells; to be layered above what tells of every step."""
    tips = [alt.Tooltip("label:N", title="baseline"), alt.Tooltip("n:Q", title="seeds")]
    return (
        alt.Chart(table, name=f"{prefix}_hover_baseline")
        .mark_line(clip=True, strokeWidth=7, opacity=0)
        .encode(x=alt.X("step:Q", **x), y=alt.Y("mean:Q", **y), detail=alt.Detail("label:N"), tooltip=tips)
    )


def _names(table: Data, x: dict[str, Any], y: dict[str, Any], prefix: str) -> alt.Chart:
    return (
        alt.Chart(table, name=f"{prefix}_baseline_names")
        .mark_text(align="right", baseline="bottom", dx=-2, dy=-10, fontSize=11, fontStyle="italic", clip=True)
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("mean:Q", **y),
            text=alt.Text("label:N"),
            fill=alt.Fill("color:N", scale=None),
        )
    )
