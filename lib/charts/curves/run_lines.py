"""Each run's own line, coloured by seed, arm or a config key."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import polars as pl

from lib.charts.curves.series_style import Colors, SeriesStyle
from lib.charts.curves.tables import run_table
from lib.charts.run_colors import ARM, MISSING, SEED, Coloring
from lib.charts.style import QUIET, legend_columns, tooltip_title
from lib.study import UNKNOWN

ROWS = 2400
THIN = 1.25
#: A scale from blue over mauve to orange: told apart by every kind of colour vision, readable on white and on black.
RAMP = ("#3b7dd8", "#a678b4", "#e08214")
#: Okabe and Ito's colours, those first that metrics of rewards and losses rarely have.
COLORS = ("#56B4E9", "#CC79A7", "#009E73", "#E69F00", "#D55E00", "#0072B2")
_APART = [alt.Detail("run_id:N"), alt.Detail("metric:N"), alt.Detail("arm:N")]


def colored_run_tables(frame: pl.DataFrame, by: Coloring, style: SeriesStyle) -> tuple[dict[str, pl.DataFrame], Colors]:
    """The runs' lines as they are sent, each point with its run's value (`by`), and the colours of these.

    Parameters
    ----------
    frame : task, arm, metric, run_id, seed, step, value; other tasks are ignored.

    Returns
    -------
    tables : `pointer`, all of them, for the tooltip; `runs`, and apart from them `runs_missing` that have no value.
    """
    table = _table(frame, by, style)
    with_value = table.filter(pl.col("by").is_not_null())
    tables = {"runs": with_value, "pointer": table}
    if with_value.height < table.height:
        tables["runs_missing"] = table.filter(pl.col("by").is_null()).with_columns(pl.lit(MISSING).alias("by"))
    if by.scaled:
        return tables, Colors(by.key, scale=(by.low, by.high), missing="runs_missing" in tables)
    present = set(with_value["by"].cast(pl.String))
    return tables, Colors(by.key, tuple((v, color) for v, color in value_colors(by).items() if v in present))


def shared_colors(families: Sequence[Colors], by: Coloring) -> Colors | None:
    """The colours of several families' runs in one legend; None where there are none."""
    if not families:
        return None
    present = {value for colors in families for value, _ in colors.values}
    values = tuple((v, color) for v, color in value_colors(by).items() if v in present)
    return replace(families[0], values=values, missing=any(colors.missing for colors in families))


def run_layers(
    data: Mapping[str, pl.DataFrame], colors: Colors, style: SeriesStyle, x: alt.X, y: dict[str, Any]
) -> list[alt.Chart]:
    """A line per run and metric in the colour of its run's value; `data` and `colors` as `colored_run_tables` gives them."""
    layers = [_lines(data["runs"], "runs", style, x, y).encode(stroke=_stroke(colors, style))]
    if "runs_missing" in data:
        # Colours are a scale of numbers here: what has no number has a legend of its own.
        width = alt.Scale(type="ordinal", domain=[MISSING], range=[THIN])
        apart = alt.StrokeWidth("by:N", scale=width, title=colors.key, legend=style.legend_of(symbolStrokeColor=QUIET))
        missing = _lines(data["runs_missing"], "runs_missing", style, x, y)
        layers.append(missing.encode(stroke=alt.value(QUIET), strokeWidth=apart))
    return layers


def run_pointer(table: pl.DataFrame, colors: Colors, style: SeriesStyle, x: alt.X, y: dict[str, Any]) -> alt.Chart:
    """The tooltip of a run's line, to be layered above that of every step."""
    tooltips = [
        alt.Tooltip("run_id:N", title="run"),
        alt.Tooltip("seed:N"),
        alt.Tooltip("arm:N"),
        alt.Tooltip("metric:N"),
    ]
    if colors.key not in (SEED, ARM):
        scaled = colors.scale is not None
        field, form = ("by:Q", ".6~g") if scaled else ("by:N", alt.Undefined)
        value = alt.Tooltip(field, format=form, title=tooltip_title(colors.key))
        tooltips.insert(2, value)
    return (
        alt.Chart(table, name=style.name("hover_run"))
        .mark_line(clip=True, strokeWidth=7, opacity=0, **style.in_order())
        .encode(x=x, y=alt.Y("value:Q", **y), detail=_APART, tooltip=tooltips)
    )


def _table(frame: pl.DataFrame, by: Coloring, style: SeriesStyle) -> pl.DataFrame:
    points = run_table(frame, style, ROWS, "seed")
    values = dict(by.values)
    kind: Any = pl.Float64 if by.scaled else pl.Enum(list(value_colors(by)))
    if not by.scaled:
        values = {run: MISSING if value is None else value for run, value in values.items()}
    return points.with_columns(
        pl.col("run_id").cast(pl.String).replace_strict(values, default=None, return_dtype=kind).alias("by"),
        pl.col("seed").cast(pl.Categorical),
    )


def _lines(table: pl.DataFrame, name: str, style: SeriesStyle, x: alt.X, y: dict[str, Any]) -> alt.Chart:
    return (
        alt.Chart(table, name=style.name(name))
        .mark_line(clip=True, strokeWidth=THIN, **style.in_order())
        .encode(
            x=x,
            y=alt.Y("value:Q", **y),
            strokeDash=style.dash,
            detail=_APART,
            opacity=style.opacity(0.85, by_value=True),
        )
    )


def _stroke(colors: Colors, style: SeriesStyle) -> alt.Stroke:
    """The channel of the runs' colours: stroke, since the legend of `color` is the metrics'."""
    if colors.scale:
        low, high = colors.scale
        kind: Any = "log" if low > 0 and high / low >= 100 else "linear"
        scale = alt.Scale(type=kind, domain=[low, high], range=list(RAMP), interpolate="lab")
        return alt.Stroke("by:Q", scale=scale, title=colors.key, legend=style.legend_of(gradientLength=120))
    values = [value for value, _ in colors.values]
    scale = alt.Scale(domain=values, range=[color for _, color in colors.values])
    columns = legend_columns(values, colors.key)
    return alt.Stroke("by:N", scale=scale, title=colors.key, legend=style.legend_of(columns=columns))


def value_colors(by: Coloring) -> dict[str, str]:
    """A colour for every text that runs are coloured by: the palette's, or, where they are too many, the scale's.

    No value and an unknown arm are grey.
    """
    neutral = dict.fromkeys((MISSING, UNKNOWN) if by.key == ARM else (MISSING,), QUIET)
    texts = [text for text in by.order if text not in neutral]
    few = len(texts) <= len(COLORS)
    colors = COLORS if few else [_between(i / (len(texts) - 1)) for i in range(len(texts))]
    return {**dict(zip(texts, colors, strict=False)), **neutral}


def _between(share: float) -> str:
    """A colour of the scale."""
    place = share * (len(RAMP) - 1)
    first = min(int(place), len(RAMP) - 2)
    low, high = (bytes.fromhex(RAMP[first + i][1:]) for i in (0, 1))
    return "#" + "".join(f"{round(a + (b - a) * (place - first)):02x}" for a, b in zip(low, high, strict=True))
