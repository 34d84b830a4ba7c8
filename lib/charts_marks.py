"""The marks of a curve chart: band, mean, every seed, points before smoothing; tables as `lib.charts_tables` gives them."""

import altair as alt

from lib.charts_look import Look
from lib.charts_parts import Data


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
