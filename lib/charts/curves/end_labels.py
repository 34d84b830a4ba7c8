"""What lines are called, written at their ends, where a legend would be beside the point."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lib.charts.curves.series_style import LABELLED, SeriesStyle
from lib.charts.curves.tables import Bounds, Curve
from lib.charts.style import WINDOW, readable

#: Pixels of a line of text, and the signs of the longest name that the chart gives up room for.
LINE, LONGEST = 14, 24
#: Pixels of a chart that is wide enough for names at the ends of its lines, and of its width that is no plot.
WIDE, AROUND = 640, 100
#: Pixels of a sign of a name, and between the end of a line and its name.
SIGN, AWAY = 6.5, 6


@dataclass(frozen=True)
class YAxis:
    """The y axis of a panel: its title, its range, whether it is a log axis, and its pixels, at least."""

    title: str
    domain: tuple[float, float]
    log: bool
    pixels: float


def label_table(
    curves: Sequence[Curve],
    style: SeriesStyle,
    axis: YAxis,
    span: Bounds,
    rules: Sequence[float] = (),
) -> pl.DataFrame | None:
    """A name per colour and where it stands: columns metric or arm, name, light, dark, x (null: at the right of the plot), y.

    `light` and `dark` are its colour as it can be read on either ground.

    It stands at the end of the line, of the first arm where several have the colour, moved as far as the others ask for.

    Parameters
    ----------
    axis : words at the end of a name that its title says already are left out.
    span : the x range.
    rules : where detach rules stand on the x axis, which no name may run into.

    Returns
    -------
    None where the names do not fit: too many for the height, or too long.
    """
    entries, names = style.entries(), short_names(list(style.entries()), axis.title)
    ends = {name: end for name in entries if (end := _end(curves, style, name, span)) is not None}
    fits = len(ends) * LINE <= axis.pixels and max(map(len, names.values()), default=0) <= LONGEST
    if not ends or not fits:
        return None
    scale: Callable[[float], float] = math.log if axis.log else float
    low, high = map(scale, axis.domain)
    # A line that leaves the plot, as at 0 on a log axis, has its name at the edge.
    inside = (min(max(end, axis.domain[0]), axis.domain[1]) for _, end in ends.values())
    shares = spread([(scale(end) - low) / (high - low) for end in inside], LINE / axis.pixels)
    y = [low + share * (high - low) for share in shares]
    return pl.DataFrame(
        {
            style.color_field: list(ends),
            "name": [names[name] for name in ends],
            **{ground: [readable(entries[name], ground) for name in ends] for ground in ("light", "dark")},
            "x": pl.Series(
                [_inside(ends.values(), span, rules, max(map(len, names.values())))] * len(ends), dtype=pl.Float64
            ),
            "y": [math.exp(value) for value in y] if axis.log else y,
        }
    )


def _inside(ends: Iterable[tuple[float, float]], span: Bounds, rules: Sequence[float], signs: int) -> float | None:
    """Where names begin that have room between the lines and the right of the plot, else None.

    That is at the last step of the lines, or behind a rule that stands where the names would.
    """
    last = max(step for step, _ in ends)
    if span:
        wide = (span[1] - span[0]) * (SIGN * signs + AWAY) / (WIDE - AROUND)
        for rule in sorted(rules):
            last = rule if last < rule < last + wide else last
    return last if span and last < span[0] + 0.75 * (span[1] - span[0]) else None


def _end(curves: Sequence[Curve], style: SeriesStyle, name: str, span: Bounds) -> tuple[float, float] | None:
    """The last step and mean of the line that has this name, within the x range."""
    for arm in style.arms:
        for curve in curves:
            if arm == curve.arm and name == (arm if style.by_arm else style.label(curve.metric)):
                along = curve.along_x()
                count = int(np.searchsorted(along.step, span[1], side="right")) if span else len(along.step)
                if count:
                    return float(along.step[count - 1]), float(along.mean[count - 1])
    return None


def short_names(names: Sequence[str], y_title: str) -> dict[str, str]:
    """Names without the words at their end that the y axis says, where they stay apart; what is in brackets stays."""
    title_words = set(y_title.lower().split())
    short = {}
    for name in names:
        text, bracket, rest = name.partition(WINDOW)
        words = text.split()
        while words and words[-1].lower() in title_words:
            words.pop()
        short[name] = " ".join(words) + bracket + rest if words else name
    return short if len(set(short.values())) == len(names) else {name: name for name in names}


def spread(shares: Sequence[float], apart: float) -> list[float]:
    """Shares of a height moved as little as keeps them so far apart and within it: least squares, in their order."""
    order = sorted(range(len(shares)), key=lambda i: shares[i])
    free = [shares[i] - rank * apart for rank, i in enumerate(order)]
    count, positions = len(free), [0.0] * len(shares)
    for rank, i in enumerate(order):
        # Isotonic regression: the largest, over starts, of the least mean over ends.
        level = max(min(sum(free[j : k + 1]) / (k + 1 - j) for k in range(rank, count)) for j in range(rank + 1))
        positions[i] = min(max(level, 0.0), 1 - (count - 1) * apart) + rank * apart
    return positions


def label_layer(table: pl.DataFrame, style: SeriesStyle, y: Mapping[str, Any]) -> alt.Chart:
    """The names, each in its colour, where the chart is wide enough."""
    # At the right of the plot they stay where they are when it is zoomed.
    inside = table["x"].null_count() == 0
    return (
        alt.Chart(table, name=style.name("end_labels"))
        .mark_text(
            align="left",
            baseline="middle",
            dx=AWAY,
            fontSize=11,
            fontWeight=600,
            clip=inside,
            cursor="pointer",
            aria=False,
        )
        .encode(
            x=alt.X("x:Q") if inside else alt.XValue("width"),
            y=alt.Y("y:Q", **y),
            # What is there takes room, seen or not.
            text=alt.TextValue(alt.ExprRef(f"{LABELLED} ? datum.name : ''")),
            fill=alt.FillValue(alt.ExprRef("luminance(background || 'white') > 0.5 ? datum.light : datum.dark")),
            # Without a tooltip a mark hears no click.
            tooltip=alt.Tooltip(f"{style.color_field}:N"),
        )
    )
