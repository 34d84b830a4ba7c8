"""Every run's own line in the colour of its seed, its arm or its value of a config key."""

from typing import Any

import altair as alt
import polars as pl

from lib import charts_parts as parts
from lib.charts_look import Look
from lib.charts_parts import QUIET
from lib.run_values import ARM, MISSING, SEED, Coloring

ROWS = 2400
THIN = 1.25
#: A scale from blue over mauve to orange: told apart by every kind of colour vision, readable on white and on black.
RAMP = ("#3b7dd8", "#a678b4", "#e08214")
#: Okabe and Ito's colours, those first that metrics of rewards and losses rarely have.
COLORS = ("#56B4E9", "#CC79A7", "#009E73", "#E69F00", "#D55E00", "#0072B2")
_APART = [alt.Detail("run_id:N"), alt.Detail("metric:N"), alt.Detail("arm:N")]


def run_layers(frame: pl.DataFrame, by: Coloring, look: Look, x: dict[str, Any], y: dict[str, Any]) -> list[alt.Chart]:
    """A line a run and metric in the colour of its run's value, and apart from them the runs that have none.

    Parameters
    ----------
    frame : task, arm, metric, run_id, seed, step, value; other tasks are ignored.
    """
    table = _table(frame, by, look)
    known = table.filter(pl.col("by").is_not_null())
    layers = [_lines(known, "runs", look, x, y).encode(stroke=_stroke(known, by, look))]
    if known.height < table.height:
        none = table.filter(pl.col("by").is_null()).with_columns(pl.lit(MISSING).alias("by"))
        # Colours are a scale of numbers here: what has no number has a legend of its own.
        width = alt.Scale(type="ordinal", domain=[MISSING], range=[THIN])
        apart = alt.StrokeWidth("by:N", scale=width, title=by.key, legend=look.legend_of(symbolStrokeColor=QUIET))
        layers.append(_lines(none, "runs_missing", look, x, y).encode(stroke=alt.value(QUIET), strokeWidth=apart))
    return layers


def run_touch(frame: pl.DataFrame, by: Coloring, look: Look, x: dict[str, Any], y: dict[str, Any]) -> alt.Chart:
    """What a pointer on a run's line tells; to be layered above what tells of every step."""
    value = alt.Tooltip("by:Q", title=by.key, format=".6~g") if by.scaled else alt.Tooltip("by:N", title=by.key)
    tips = [alt.Tooltip("run_id:N", title="run"), alt.Tooltip("seed:N"), alt.Tooltip("arm:N"), alt.Tooltip("metric:N")]
    if by.key not in (SEED, ARM):
        tips.insert(2, value)
    return (
        alt.Chart(_table(frame, by, look), name=look.name("hover_touch"))
        .mark_line(clip=True, strokeWidth=7, opacity=0, **look.in_order())
        .encode(x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y), detail=_APART, tooltip=tips)
    )


def _table(frame: pl.DataFrame, by: Coloring, look: Look) -> pl.DataFrame:
    """The lines as they are sent: as few points as a screen can show, each with its run's value (`by`)."""
    points = look.named(frame).select("metric", "arm", "run_id", "seed", "step", "value")
    points = parts.lean(parts.thin(points, ("metric", "arm", "run_id"), "value", ROWS))
    values = dict(by.values)
    kind: Any = pl.Float64 if by.scaled else pl.Enum(list(value_colors(by)))
    if not by.scaled:
        values = {run: MISSING if value is None else value for run, value in values.items()}
    return points.with_columns(
        pl.col("run_id").replace_strict(values, default=None, return_dtype=kind).alias("by"),
        pl.col("run_id").cast(pl.Enum(sorted(points["run_id"].unique()))),
        pl.col("seed").cast(pl.Categorical),
    )


def _lines(table: pl.DataFrame, name: str, look: Look, x: dict[str, Any], y: dict[str, Any]) -> alt.Chart:
    return (
        alt.Chart(table, name=look.name(name))
        .mark_line(clip=True, strokeWidth=THIN, **look.in_order())
        .encode(
            x=alt.X("step:Q", **x),
            y=alt.Y("value:Q", **y),
            strokeDash=look.dash(),
            detail=_APART,
            opacity=look.opacity(0.85, by_value=True),
        )
    )


def _stroke(table: pl.DataFrame, by: Coloring, look: Look) -> alt.Stroke:
    """The channel of the runs' colours: stroke, since the legend of `color` is the metrics'."""
    if by.scaled:
        wide = by.low > 0 and by.high / by.low >= 100
        scale = alt.Scale(
            type="log" if wide else "linear", domain=[by.low, by.high], range=list(RAMP), interpolate="lab"
        )
        return alt.Stroke("by:Q", scale=scale, title=by.key, legend=look.legend_of(gradientLength=120))
    colors, present = value_colors(by), set(table["by"].cast(pl.String))
    shown = [value for value in colors if value in present]
    scale = alt.Scale(domain=shown, range=[colors[value] for value in shown])
    each = 45 + 7 * max((len(value) for value in shown), default=0)
    columns = alt.ExprRef(f"max(1, floor((width - {7 * len(by.key)}) / {each}))")
    return alt.Stroke("by:N", scale=scale, title=by.key, legend=look.legend_of(columns=columns))


def value_colors(by: Coloring) -> dict[str, str]:
    """A colour for every text that runs are coloured by: the palette's, or, where they are too many, the scale's."""
    texts = [text for text in by.order if text != MISSING]
    few = len(texts) <= len(COLORS)
    colors = COLORS if few else [_between(i / (len(texts) - 1)) for i in range(len(texts))]
    return {**dict(zip(texts, colors, strict=False)), MISSING: QUIET}


def _between(share: float) -> str:
    """A colour of the scale."""
    place = share * (len(RAMP) - 1)
    first = min(int(place), len(RAMP) - 2)
    low, high = ([int(RAMP[first + i][at : at + 2], 16) for at in (1, 3, 5)] for i in (0, 1))
    return "#" + "".join(f"{round(a + (b - a) * (place - first)):02x}" for a, b in zip(low, high, strict=True))
