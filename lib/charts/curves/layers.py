"""Layers of a curve chart: band, mean, runs, points before smoothing, baselines."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import polars as pl

from lib.charts import thinning
from lib.charts.curves.series_style import SeriesStyle


def band(table: pl.DataFrame, style: SeriesStyle, x: alt.X, y: dict[str, Any]) -> alt.Chart:
    """The spread of every metric and arm: the more there are, the paler, so that the lines stay seen."""
    count = max(1, len(style.keys) * len(style.arms))
    return (
        alt.Chart(table, name=style.name("band"))
        .mark_area(clip=True, strokeWidth=0, **style.in_order())
        .encode(
            x=x,
            y=alt.Y("lower:Q", **y),
            y2=alt.Y2("upper:Q"),
            color=style.color,
            detail=alt.Detail("arm:N"),
            opacity=style.opacity(0.06 if style.coloring else round(min(0.2, 1.6 / count), 3)),
        )
    )


def lines(table: pl.DataFrame, style: SeriesStyle, x: alt.X, y: dict[str, Any]) -> alt.Chart:
    """The mean of every metric and arm."""
    return (
        alt.Chart(table, name=style.name("line"))
        .mark_line(clip=True, strokeJoin="round", **style.in_order())
        .encode(
            x=x,
            y=alt.Y("mean:Q", **y),
            color=style.color,
            strokeDash=style.dash,
            strokeWidth=style.width(),
            opacity=style.opacity(1),
        )
    )


def seeds(table: pl.DataFrame, style: SeriesStyle, x: alt.X, y: dict[str, Any]) -> alt.Chart:
    """Each run's own curve, thin."""
    return (
        alt.Chart(table, name=style.name("seeds"))
        .mark_line(clip=True, strokeWidth=1, **style.in_order())
        .encode(
            x=x,
            y=alt.Y("value:Q", **y),
            color=style.color,
            strokeDash=style.dash,
            detail=alt.Detail("run_id:N"),
            opacity=style.opacity(0.4),
        )
    )


def raw(table: pl.DataFrame, style: SeriesStyle, x: alt.X, y: dict[str, Any]) -> alt.Chart:
    """Values before smoothing, as dots."""
    return (
        alt.Chart(table, name=style.name("raw"))
        .mark_circle(clip=True, size=9, aria=False)
        .encode(x=x, y=alt.Y("value:Q", **y), color=style.color, opacity=style.opacity(0.45))
    )


ROWS = 1200
#: Where along its line each baseline is named, so that lines which end together are told apart.
NAME_PLACES = (1.0, 0.8, 0.6, 0.4)


def task_baselines(
    baselines: pl.DataFrame | None, task: str, family: str, domain: tuple[float, float] | None
) -> pl.DataFrame | None:
    """The rows of a task's baselines within the x range, or None: only reward charts have any."""
    if baselines is None or family != "reward":
        return None
    rows = baselines.filter(pl.col("task") == task, pl.col("mean").is_finite())
    if domain:
        rows = rows.filter(pl.col("step").is_between(*domain))
    return None if rows.is_empty() else rows


def baseline_tables(baselines: pl.DataFrame, bounds: tuple[float, float] | None) -> dict[str, pl.DataFrame]:
    """Every baseline's line, and the point of each at which it is named.

    Parameters
    ----------
    baselines : columns of `lib.curves.BASELINES`, of one task, as `task_baselines` gives them.
    bounds : the y range of a log axis, None for a linear one.
    """
    if bounds:
        baselines = thinning.clip_to_log_axis(baselines, bounds)
    columns = ("label", "color", "step", "mean", "lower", "upper", "n")
    table = thinning.round_for_screen(thinning.downsample(baselines.select(columns), ["label"], "mean", ROWS))
    ends = []
    for i, label in enumerate(table["label"].unique(maintain_order=True)):
        rows = table.filter(pl.col("label") == label)
        ends.append(rows.slice(round(NAME_PLACES[i % len(NAME_PLACES)] * (rows.height - 1)), 1))
    return {"baselines": table, "baseline_names": pl.concat(ends).drop("lower", "upper", "n")}


def baseline_layers(data: Mapping[str, pl.DataFrame], x: alt.X, y: dict[str, Any], prefix: str) -> list[alt.Chart]:
    """Band, line and name of every baseline, to be layered first; `data` as `baseline_tables` gives them."""
    # Fill and stroke, not colour: the legend of colours is the metrics'.
    base = alt.Chart(data["baselines"]).encode(x=x, detail=alt.Detail("label:N"))
    band = base.properties(name=f"{prefix}_baseline_band").mark_area(clip=True, opacity=0.1, strokeWidth=0, aria=False)
    line = base.properties(name=f"{prefix}_baselines").mark_line(clip=True, strokeWidth=1.25, opacity=0.8, aria=False)
    return [
        band.encode(y=alt.Y("lower:Q", **y), y2=alt.Y2("upper:Q"), fill=alt.Fill("color:N", scale=None)),
        line.encode(y=alt.Y("mean:Q", **y), stroke=alt.Stroke("color:N", scale=None)),
        _names(data["baseline_names"], x, y, prefix),
    ]


def baseline_pointer(table: pl.DataFrame, x: alt.X, y: dict[str, Any], prefix: str) -> alt.Chart:
    """The tooltip of a baseline, to be layered above that of every step."""
    tooltips = [alt.Tooltip("label:N", title="baseline"), alt.Tooltip("n:Q", title="seeds")]
    return (
        alt.Chart(table, name=f"{prefix}_hover_baseline")
        .mark_line(clip=True, strokeWidth=7, opacity=0, aria=False)
        .encode(x=x, y=alt.Y("mean:Q", **y), detail=alt.Detail("label:N"), tooltip=tooltips)
    )


def _names(table: pl.DataFrame, x: alt.X, y: dict[str, Any], prefix: str) -> alt.Chart:
    return (
        alt.Chart(table, name=f"{prefix}_baseline_names")
        .mark_text(
            align="right", baseline="bottom", dx=-2, dy=-10, fontSize=11, fontStyle="italic", clip=True, aria=False
        )
        .encode(
            x=x,
            y=alt.Y("mean:Q", **y),
            text=alt.Text("label:N"),
            fill=alt.Fill("color:N", scale=None),
        )
    )
