"""Baselines behind a reward chart: thin and grey, each named at its line."""

from typing import Any

import altair as alt
import polars as pl

from lib import charts_parts as parts

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


def baseline_layers(
    mine: pl.DataFrame, x: dict[str, Any], y: dict[str, Any], bounds: tuple[float, float] | None, prefix: str
) -> list[alt.Chart]:
    """Band, line and name of every baseline, to be layered first.

    Parameters
    ----------
    mine : columns of `lib.baselines.BASELINES`, of one task, as `drawn_baselines` gives them.
    bounds : the y range of a log axis, None for a linear one.
    """
    table = _table(mine, bounds)
    # Fill and stroke, not colour: the legend of colours is the metrics'.
    base = alt.Chart(table).encode(x=alt.X("step:Q", **x), detail=alt.Detail("label:N"))
    band = base.properties(name=f"{prefix}_baseline_band").mark_area(clip=True, opacity=0.1, strokeWidth=0)
    line = base.properties(name=f"{prefix}_baselines").mark_line(clip=True, strokeWidth=1.25, opacity=0.8)
    return [
        band.encode(y=alt.Y("lower:Q", **y), y2=alt.Y2("upper:Q"), fill=alt.Fill("color:N", scale=None)),
        line.encode(y=alt.Y("mean:Q", **y), stroke=alt.Stroke("color:N", scale=None)),
        _names(table, x, y, prefix),
    ]


def baseline_touch(
    mine: pl.DataFrame, x: dict[str, Any], y: dict[str, Any], bounds: tuple[float, float] | None, prefix: str
) -> alt.Chart:
    """What a pointer on a baseline tells; to be layered above what tells of every step. As `baseline_layers`."""
    tips = [alt.Tooltip("label:N", title="baseline"), alt.Tooltip("n:Q", title="seeds")]
    return (
        alt.Chart(_table(mine, bounds), name=f"{prefix}_hover_baseline")
        .mark_line(clip=True, strokeWidth=7, opacity=0)
        .encode(x=alt.X("step:Q", **x), y=alt.Y("mean:Q", **y), detail=alt.Detail("label:N"), tooltip=tips)
    )


def _table(mine: pl.DataFrame, bounds: tuple[float, float] | None) -> pl.DataFrame:
    if bounds:
        mine = parts.for_log(mine, bounds)
    columns = ("label", "color", "step", "mean", "lower", "upper", "n")
    return parts.lean(parts.thin(mine.select(columns), ["label"], "mean", ROWS))


def _names(table: pl.DataFrame, x: dict[str, Any], y: dict[str, Any], prefix: str) -> alt.Chart:
    ends = []
    for i, label in enumerate(table["label"].unique(maintain_order=True)):
        rows = table.filter(pl.col("label") == label)
        at = PLACES[i % len(PLACES)]
        ends.append(rows.slice(round(at * (rows.height - 1)), 1))
    return (
        alt.Chart(pl.concat(ends).drop("lower", "upper", "n"), name=f"{prefix}_baseline_names")
        .mark_text(align="right", baseline="bottom", dx=-2, dy=-10, fontSize=11, fontStyle="italic", clip=True)
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("mean:Q", **y),
            text="label:N",
            fill=alt.Fill("color:N", scale=None),
        )
    )
