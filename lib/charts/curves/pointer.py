"""What follows the pointer, zoom and selections of a curve chart."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lib.charts import axes
from lib.charts.curves import readout
from lib.charts.curves.readout import Readout
from lib.charts.curves.series_style import BY_VALUE, SeriesStyle
from lib.charts.curves.tables import Curve, middle_spacing
from lib.charts.spec import ONE_ROW
from lib.charts.style import QUIET
from lib.formatting import MISSING, number, scientific

SLOTS = 240  # positions of the pointer that a chart tells apart, about one in four pixels
TEXTS = 1200  # texts of series in all: many series share fewer positions
#: The name of a brush's two marks: Vega-Lite gives them a role, and a name only as it does all marks. Those of curves
#: are hidden from a reader of the page, for which a chart has its description; Streamlit would hide a brush with its name.
BRUSH_NAME: dict[str, Any] = {"aria": True, "mark": {"description": "Chosen range of steps"}}
#: The step under the pointer; while there is none, an undefined number.
_HERE = "hover.step ? hover.step[0] : NaN"


def hover_table(readouts: Sequence[Readout], split: float | None = None) -> pl.DataFrame:
    """What is read of every series at up to `SLOTS` steps: columns step, start, end, s0, s1, … as texts, and top0, ….

    A browser makes texts of Vega's expressions slowly, and of all steps at once: they are made here. The pointer is at a
    step from `start` to `end`, which lie half-way to its neighbours and, at the ends, out of view. Series are logged at
    different steps: each shows its own nearest point, never one from the other side of the detach, and a dash where it
    has none within its own spacing. `top0` is whether the first family's points there leave more room above than below.

    Parameters
    ----------
    split : the detach step on the x axis, or None.
    """
    curves = [curve for part in readouts for curve in part.curves]
    steps = np.unique(np.concatenate([curve.step for curve in curves])) if curves else np.empty(0)
    at = _slots(steps, max(60, min(SLOTS, TEXTS // max(len(curves), 1))))
    spacing = (at[-1] - at[0]) / max(len(at) - 1, 1) if len(at) else 0.0
    middles, span = (at[1:] + at[:-1]) / 2, (at[-1] - at[0] or 1.0) if len(at) else 0.0
    texts: list[list[str]] = []
    room: list[np.ndarray] = []
    for part in readouts:
        means = np.full((len(part.curves) + 1, len(at)), np.nan)
        for series, curve in enumerate(part.curves):
            curve = curve.along_x()
            rows = _nearest(curve.step, at, spacing, split)
            means[series, rows >= 0] = curve.mean[rows[rows >= 0]]
            as_text = scientific if part.log else number
            texts.append([MISSING if row < 0 else _text(curve, row, as_text) for row in rows.tolist()])
        # Whatever a point outside the axis is, it is not in the table's way.
        shares = axes.share(np.where(means > 0, means, np.nan) if part.log else means, part.domain, part.log)
        room.append(1 - np.fmax.reduce(shares, initial=0.0) >= np.fmin.reduce(shares, initial=1.0))
    return pl.DataFrame(
        {
            "step": at,
            "start": np.concatenate([at[:1] - span, middles]),
            "end": np.concatenate([middles, at[-1:] + span]),
            **{f"s{i}": column for i, column in enumerate(texts)},
            **{f"top{i}": column for i, column in enumerate(room)},
        }
    )


def _text(curve: Curve, row: int, as_text: Callable[[float], str]) -> str:
    """What is read of a series at a point: its mean, its band and n."""
    mean, lower, upper = (float(values[row]) for values in (curve.mean, curve.lower, curve.upper))
    if isnan(mean):
        return MISSING
    band = "" if isnan(lower) or isnan(upper) else f" [{as_text(lower)}, {as_text(upper)}]"
    return f"{as_text(mean)}{band}, n = {curve.n[row]}"


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


def hover_layers(table: pl.DataFrame, x: alt.X, color: alt.Color, dash: alt.StrokeDash, prefix: str) -> list[alt.Chart]:
    """The layers that follow the pointer, to be layered first, where no mark is in their way.

    A layer without a mark, which has the selections; an unseen bar per step, which catches the pointer; and the rule at its
    step.

    Parameters
    ----------
    table : as `hover_table` gives it.
    """
    base = alt.Chart(alt.sequence(0, 0), name=f"{prefix}_hover_base").mark_line(clip=True, aria=False)
    steps = (
        alt.Chart(table, name=f"{prefix}_hover_steps")
        .mark_rect(opacity=0, clip=True, aria=False, cursor="default", tooltip=None)
        .encode(x=alt.X("start:Q"), x2="end:Q")
    )
    rule = (
        alt.Chart(ONE_ROW, name=f"{prefix}_hover_rule")
        .mark_rule(color=QUIET, clip=True, aria=False)
        .encode(
            x=alt.XDatum(alt.ExprRef(_HERE), type="quantitative"),
            opacity=alt.OpacityValue(alt.ExprRef("hover.step ? 0.8 : 0")),
        )
    )
    return [base.encode(x=x, color=color, strokeDash=dash), steps, rule]


def selections(style: SeriesStyle, brush: bool, readouts: Sequence[Readout]) -> list[dict[str, Any]]:
    """What a pointer can do: zoom, pan, read every series at a step, isolate a metric or an arm, mark a range.

    Zoom is by pinch, or the wheel with Ctrl or Cmd, so that a page still scrolls; pan by dragging; the range by dragging
    with Shift. Most belong to the layer without a mark: a mark that has a selection is in the way of the pointer's rule.
    """
    drag = "[pointerdown[{}event.shiftKey], window:pointerup] > window:pointermove!"
    pan, mark = drag.format("!"), drag.format("")
    interval = {"type": "interval", "encodings": ["x"]}
    zoom = {**interval, "zoom": "wheel![event.ctrlKey || event.metaKey]", "on": pan, "translate": pan}
    # A finger that was lifted has read nothing yet.
    leave = "pointerout[event.pointerType !== 'touch']"
    hover = {"type": "point", "fields": readout.fields(readouts), "on": "pointermove, pointerdown", "clear": leave}
    base = [style.name("hover_base")]
    params: list[dict[str, Any]] = [
        *readout.params(readouts),
        {"name": "zoom", "select": zoom, "bind": "scales", "views": base},
        {"name": "hover", "select": hover, "views": [style.name("hover_steps")]},
    ]
    named = style.color_field if style.labelled else ""
    params += [_by_legend(name, field, base, at_ends=field == named) for name, field in style.legend_fields().items()]
    if style.lists_values:
        # A legend answers only to a selection of a layer that it is of.
        params.append(_by_legend(BY_VALUE, "by", [style.name("runs")]))
    if brush:
        params.append({"name": "range", "select": {**interval, "on": mark}, "views": base})
    return params


def _by_legend(name: str, field: str, views: list[str], at_ends: bool = False) -> dict[str, Any]:
    """A click on a legend entry isolates it, Shift adds another, a second click on it ends that.

    Left to itself, a legend answers every click on the chart by choosing its last entry again, or none.

    Parameters
    ----------
    at_ends : whether the names at the ends of the lines do the same.
    """
    again = f"datum && {name}['{field}'] && {name}['{field}'][0] === (datum.value || datum['{field}'])"
    clicked = {"type": "point", "fields": [field], "toggle": f"event.shiftKey || ({again})"}
    if at_ends:
        clicked["on"] = f"click[{_ON.format('_end_labels_marks')} > 0]"
    where = f"{_ON.format(f'{field}_legend')} === 0"
    return {"name": name, "select": clicked, "bind": {"legend": f"click[{where}]"}, "views": views}


#: Where in the name of the mark that is clicked a word stands.
_ON = "event.item && event.item.mark.name && indexof(event.item.mark.name, '{}')"
