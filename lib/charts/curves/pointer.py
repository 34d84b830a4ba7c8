"""Tooltip, zoom and selections of a curve chart."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lib.charts.curves.series_style import BY_VALUE, SeriesStyle
from lib.charts.curves.tables import Curve, middle_spacing
from lib.charts.style import QUIET, tooltip_title
from lib.formatting import MISSING

SLOTS = 240  # positions of the pointer that a chart tells apart, about one in four pixels
TEXTS = 1200  # lines of the tooltip in all: many series share fewer positions
#: What a tooltip says of a series; columns go by the first letter.
NUMBERS = ("mean", "lower", "upper", "n")


def hover_table(curves: Sequence[Curve], split: float | None = None) -> pl.DataFrame:
    """The numbers of every series at up to `SLOTS` steps: columns step, and m0, l0, u0, n0 of the first series, …

    Series are logged at different steps: each shows its own nearest point, never one from the other side of the
    detach, and null where it has none within its own spacing.

    Parameters
    ----------
    split : the detach step on the x axis, or None.
    """
    steps = np.unique(np.concatenate([curve.step for curve in curves])) if curves else np.empty(0)
    at = _slots(steps, max(60, min(SLOTS, TEXTS // max(len(curves), 1))))
    spacing = (at[-1] - at[0]) / max(len(at) - 1, 1) if len(at) else 0.0
    values = np.full((len(at), 4 * len(curves)), np.nan, dtype=np.float32)
    for i, curve in enumerate(curve.along_x() for curve in curves):
        rows = _nearest(curve.step, at, spacing, split)
        for j, name in enumerate(NUMBERS):
            values[:, 4 * i + j] = np.append(getattr(curve, name), np.nan)[rows]
    names = [f"{name[0]}{i}" for i in range(len(curves)) for name in NUMBERS]
    return pl.from_numpy(values, schema=names, orient="row").fill_nan(None).insert_column(0, pl.Series("step", at))


def hover_text(i: int, log: bool) -> str:
    """The Vega expression of a series' line in the tooltip: its mean, its band and n, or a dash.

    Three digits that matter, with an exponent on a log axis (3.10e-3).
    """

    def number(value: str) -> str:
        if log:
            return f"replace(format({value}, '.2e'), 'e+', 'e')"
        return f"format({value}, abs({value}) >= 100 ? ',.1f' : ',.3~g')"

    mean, low, high, n = (f"datum.{name}{i}" for name in "mlun")
    band = f"(isValid({low}) && isValid({high}) ? ' [' + {number(low)} + ', ' + {number(high)} + ']' : '')"
    return f"isValid({mean}) ? {number(mean)} + {band} + ', n = ' + {n} : '{MISSING}'"


def _slots(steps: np.ndarray, most: int) -> np.ndarray:
    """At most this many of the sorted steps, evenly spread."""
    if len(steps) <= most:
        return steps
    even = np.linspace(steps[0], steps[-1], most)
    return np.unique(steps[np.searchsorted(steps, even).clip(0, len(steps) - 1)])


def _nearest(steps: np.ndarray, at: np.ndarray, spacing: float, split: float | None) -> np.ndarray:
    """For each position the index of the nearest step on its side of the split, -1 where none is near."""
    if not len(steps):
        return np.full(len(at), -1)
    right = np.minimum(np.searchsorted(steps, at), len(steps) - 1)
    left = np.maximum(right - 1, 0)
    far = [np.abs(steps[index] - at) for index in (left, right)]
    if split is not None:
        after = at > split
        far = [np.where((steps[i] > split) == after, d, np.inf) for i, d in zip((left, right), far, strict=True)]
    reach = 0.75 * max(spacing, middle_spacing(steps))
    return np.where(np.minimum(*far) <= reach, np.where(far[0] <= far[1], left, right), -1)


def tooltip_titles(curves: Sequence[Curve], style: SeriesStyle) -> tuple[str, ...]:
    """What the tooltip calls each series; the arm comes first, for a page cuts long names off at their end."""
    several = len({curve.arm for curve in curves}) > 1
    names = [style.label(curve.metric) for curve in curves]
    return tuple(
        f"{curve.arm}: {name}" if several else tooltip_title(name) for curve, name in zip(curves, names, strict=True)
    )


def hover_layers(
    table: pl.DataFrame,
    titles: Sequence[str],
    logs: Sequence[bool],
    x: alt.X,
    color: alt.Color,
    dash: alt.StrokeDash,
    prefix: str,
) -> list[alt.Chart]:
    """The layers that follow the pointer, to be layered first, where no mark is in their way.

    A layer without a mark, which has the selections, and a rule whose tooltip has the values of every metric and arm at
    the pointer's step.

    Parameters
    ----------
    titles, logs : what the tooltip calls each series, and whether it lies on a log axis.
    """
    tooltips = [alt.Tooltip("step:Q", title=x["title"], format=",.6~g")]
    tooltips += [alt.Tooltip(f"s{i}:N", title=title) for i, title in enumerate(titles)]
    base = alt.Chart(alt.sequence(0, 0), name=f"{prefix}_hover_base").mark_line(clip=True)
    rule = (
        alt.Chart(table, name=f"{prefix}_hover_rule")
        .transform_calculate(**{f"s{i}": hover_text(i, log) for i, log in enumerate(logs)})
        .mark_rule(color=QUIET, clip=True)
        .encode(
            x=x,
            opacity=alt.OpacityValue(0, condition={"param": "hover", "value": 0.8, "empty": False}),
            tooltip=tooltips,
        )
    )
    return [base.encode(x=x, color=color, strokeDash=dash), rule]


def selections(style: SeriesStyle, brush: bool) -> list[dict[str, Any]]:
    """What a pointer can do: zoom, pan, read every series at a step, isolate a metric or an arm, mark a range.

    Zoom is by pinch, or the wheel with Ctrl or Cmd, so that a page still scrolls; pan by dragging; the range by dragging
    with Shift. Most belong to the layer without a mark: a mark that has a selection is in the way of the pointer's rule.
    """
    drag = "[pointerdown[{}event.shiftKey], window:pointerup] > window:pointermove!"
    pan, mark = drag.format("!"), drag.format("")
    interval = {"type": "interval", "encodings": ["x"]}
    zoom = {**interval, "zoom": "wheel![event.ctrlKey || event.metaKey]", "on": pan, "translate": pan}
    hover = {"type": "point", "encodings": ["x"], "nearest": True, "on": "pointermove", "clear": "pointerout"}
    base = [style.name("hover_base")]
    params: list[dict[str, Any]] = [
        {"name": "zoom", "select": zoom, "bind": "scales", "views": base},
        {"name": "hover", "select": hover, "views": [style.name("hover_rule")]},
    ]
    params += [_by_legend(name, field, base) for name, field in style.legend_fields().items()]
    if style.lists_values:
        # A legend answers only to a selection of a layer that it is of.
        params.append(_by_legend(BY_VALUE, "by", [style.name("runs")]))
    if brush:
        params.append({"name": "range", "select": {**interval, "on": mark}, "views": base})
    return params


def _by_legend(name: str, field: str, views: list[str]) -> dict[str, Any]:
    """A click on a legend entry isolates it, Shift adds another, a second click on it ends that.

    Left to itself, a legend answers every click on the chart by choosing its last entry again, or none.
    """
    again = f"datum && {name}['{field}'] && {name}['{field}'][0] === datum.value"
    clicked = {"type": "point", "fields": [field], "toggle": f"event.shiftKey || ({again})"}
    where = f"event.item && event.item.mark.name && indexof(event.item.mark.name, '{field}_legend') === 0"
    return {"name": name, "select": clicked, "bind": {"legend": f"click[{where}]"}, "views": views}
