"""What a curve chart shows beside its curves: one tooltip over every series at a step, and the strip of n."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import polars as pl

from lib.charts_look import Look
from lib.charts_parts import QUIET, QUIET_TEXT, STRIP_ROW, WHOLE, Data, Place, decimals
from lib.charts_tables import Curve, Curves, named

SLOTS = 240  # positions of the pointer that a chart tells apart, about one in four pixels
TEXTS = 1200  # lines of the tooltip in all: many series share fewer positions
STRIP_SLOTS = 100
MISSING = "–"
#: What a tooltip says of a series; columns go by the first letter.
NUMBERS = ("mean", "lower", "upper", "n")


def number(value: float, log: bool) -> str:
    """A value for a tooltip: three digits that matter, scientific on a log axis (3.1e-3)."""
    if log:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.3g}"


def hover_table(drawn: Sequence[Curve], split: float | None = None) -> pl.DataFrame:
    """The numbers of every series at up to `SLOTS` steps: columns step, and m0, l0, u0, n0 of the first series, …

    Series are logged at different steps: each shows its own nearest point, never one from the other side of the
    detach, and null where it has none within its own spacing.

    Parameters
    ----------
    split : the detach step on the x axis, or None.
    """
    steps = np.unique(np.concatenate([curve.step for curve in drawn])) if drawn else np.empty(0)
    at = _slots(steps, max(60, min(SLOTS, TEXTS // max(len(drawn), 1))))
    spacing = (at[-1] - at[0]) / max(len(at) - 1, 1) if len(at) else 0.0
    values = np.full((len(at), 4 * len(drawn)), np.nan, dtype=np.float32)
    for i, curve in enumerate(curve.along_x() for curve in drawn):
        found = _nearest(curve.step, at, spacing, split)
        for j, name in enumerate(NUMBERS):
            values[:, 4 * i + j] = np.append(getattr(curve, name), np.nan)[found]
    names = [f"{name[0]}{i}" for i in range(len(drawn)) for name in NUMBERS]
    return pl.from_numpy(values, schema=names, orient="row").fill_nan(None).insert_column(0, pl.Series("step", at))


def hover_text(i: int, log: bool) -> str:
    """The Vega expression of a series' line in the tooltip: its mean, its band and n, or a dash.

    Three digits that matter, scientific on a log axis (3.1e-3), as `number` writes them.
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
    reach = 0.75 * max(spacing, _spacing(steps))
    return np.where(np.minimum(*far) <= reach, np.where(far[0] <= far[1], left, right), -1)


def _spacing(steps: np.ndarray) -> float:
    """The middle one of the distances between sorted steps, 0 where there is none."""
    gaps = np.sort(np.diff(steps))
    return float(gaps[len(gaps) // 2]) if len(gaps) else 0.0


def tip_titles(drawn: Sequence[Curve], look: Look) -> tuple[str, ...]:
    """What the tooltip calls each series; the arm comes first, for a page cuts long names off at their end."""
    several = len({curve.arm for curve in drawn}) > 1
    names = [look.label(curve.metric) for curve in drawn]
    return tuple(f"{curve.arm}: {name}" if several else name for curve, name in zip(drawn, names, strict=True))


def hover_layers(
    table: Data,
    titles: Sequence[str],
    logs: Sequence[bool],
    x: dict,
    color: alt.Color,
    dash: alt.StrokeDash,
    prefix: str,
) -> list[alt.Chart]:
    """What answers a pointer, to be layered first: it is in no mark's way, and none that has no tooltip is in its.

    A layer without a mark, of which the selections are, and one rule that follows the pointer, with the values of every
    metric and arm at that step in its tooltip.

    Parameters
    ----------
    titles, logs : what the tooltip calls each series, and whether it lies on a log axis.
    """
    tips = [alt.Tooltip("step:Q", title=x["title"], format=",.6~g")]
    tips += [alt.Tooltip(f"s{i}:N", title=title) for i, title in enumerate(titles)]
    base = alt.Chart(alt.InlineData(values=[]), name=f"{prefix}_hover_base").mark_line(clip=True)
    rule = (
        alt.Chart(table, name=f"{prefix}_hover_rule")
        .transform_calculate(**{f"s{i}": hover_text(i, log) for i, log in enumerate(logs)})
        .mark_rule(color=QUIET, clip=True)
        .encode(
            x=alt.X("step:Q", **x),
            opacity=alt.OpacityValue(0, condition={"param": "hover", "value": 0.8, "empty": False}),
            tooltip=tips,
        )
    )
    return [base.encode(x=alt.X("step:Q", **x), color=color, strokeDash=dash), rule]


@dataclass(frozen=True)
class Stretch:
    """Steps over which a series has from `least` to `most` seeds of the `of` that its arm has anywhere."""

    metric: str
    arm: str
    row: int
    step: float
    end: float
    least: int
    most: int
    of: int

    @property
    def share(self) -> float:
        """The seeds that are there, of all."""
        return (self.least + self.most) / 2 / self.of

    @property
    def seeds(self) -> str:
        """The same in words."""
        return f"{self.least} of {self.of}" if self.least == self.most else f"{self.least} to {self.most} of {self.of}"


def stretches(drawn: Sequence[Curve], order: Sequence[tuple[str, str]], every: Sequence[Curve] = ()) -> list[Stretch]:
    """Stretches of steps over which a series has the same n; steps are grouped into `STRIP_SLOTS` spans first.

    Parameters
    ----------
    order : the series as (metric, arm), those without a curve included: their index is the row.
    every : all curves of the task, by default those drawn: an arm has the most seeds that any of its metrics has.
    """
    steps = np.concatenate([curve.step for curve in drawn]) if drawn else np.zeros(1)
    low, high = float(steps.min()), float(steps.max())
    of = {curve.arm: 0 for curve in drawn}
    for curve in (*drawn, *every):
        of[curve.arm] = max(of.get(curve.arm, 0), int(curve.n.max(initial=0)))
    found = []
    for curve in sorted(drawn, key=lambda curve: order.index((curve.metric, curve.arm))):
        row = order.index((curve.metric, curve.arm))
        for start, end, least, most in _same_n(curve, low, high):
            found.append(Stretch(curve.metric, curve.arm, row, start, end, least, most, of[curve.arm]))
    return found


def _same_n(curve: Curve, low: float, high: float) -> Iterator[tuple[float, float, int, int]]:
    """First step, end, least and most n of every stretch of a series; the last ends a spacing after the last point."""
    along = curve.along_x()
    step, n = along.step, along.n
    if not len(step):
        return
    width = ((high - low) or 1.0) / STRIP_SLOTS
    slot = np.clip(np.floor((step - low) / width), 0, STRIP_SLOTS - 1)
    start = np.flatnonzero(np.diff(slot, prepend=-1))
    least, most = np.minimum.reduceat(n, start), np.maximum.reduceat(n, start)
    changed = np.append(True, (least[1:] != least[:-1]) | (most[1:] != most[:-1]))
    begin = step[start][changed].tolist()
    end = min(high, float(step[-1]) + (_spacing(step) or width))
    yield from zip(begin, [*begin[1:], end], least[changed].tolist(), most[changed].tolist(), strict=True)


def strip_table(curves: Curves, look: Look) -> tuple[pl.DataFrame, str]:
    """The bars of the strip (metric, arm, step, end, seeds, share, up in pixels), and what the strip is called."""
    order = look.order()
    found = stretches([curves[name] for name in order if name in curves], order, list(curves.values()))
    places = max(3, decimals(pl.Series([one.end for one in found], dtype=pl.Float64)))
    columns = [
        named("metric", [look.label(one.metric) for one in found], [1] * len(found), look.labels),
        named("arm", [one.arm for one in found], [1] * len(found), look.arms[::-1]),
        pl.Series("step", [round(one.step, places) for one in found], dtype=pl.Float64),
        pl.Series("end", [round(one.end, places) for one in found], dtype=pl.Float64),
        pl.Series("seeds", [one.seeds for one in found], dtype=pl.String),
        pl.Series("share", [round(one.share, 3) for one in found], dtype=pl.Float64),
        pl.Series("up", [STRIP_ROW * (len(order) - one.row) + 2 for one in found], dtype=pl.Int32),
    ]
    most = {one.of for one in found}
    return pl.DataFrame(columns), f"n of {most.pop()}" if len(most) == 1 else "n"


def strip_layers(
    bars: Data, label: str, rows: int, color: alt.Color, height: int | None, prefix: str, place: Place = WHOLE
) -> list[alt.Chart]:
    """A bar a series at the foot of its place in the plot, paler where seeds are missing, and the label "n".

    The bars lie in the same view as the curves (placed in pixels), so they stretch and zoom with it; a
    concatenated strip would not take its container's width.

    Parameters
    ----------
    bars : as `strip_table` gives them.
    rows : series that have a place in the strip.
    height : of the plot in pixels, or None where the page decides it.
    """
    foot = STRIP_ROW * rows
    bottom = place.foot(height)
    tips = [
        alt.Tooltip("metric:N"), alt.Tooltip("arm:N"), alt.Tooltip("seeds:N", title="n"),
        alt.Tooltip("step:Q", title="from", format=",.6~g"), alt.Tooltip("end:Q", title="to", format=",.6~g"),
    ]  # fmt: skip
    strip = (
        alt.Chart(bars, name=f"{prefix}_n_strip")
        .transform_calculate(top=f"{bottom} - datum.up", foot=f"{bottom} - datum.up + 3")
        .mark_rect(clip=True)
        .encode(
            x=alt.X("step:Q"),
            x2=alt.X2("end:Q"),
            y=alt.Y("top:Q", scale=None),
            y2=alt.Y2("foot:Q"),
            color=color,
            opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.08, 0.6]), legend=None),
            tooltip=tips,
        )
    )
    name = (
        alt.Chart(alt.InlineData(values=[{}]), name=f"{prefix}_n_label")
        .mark_text(align="right", baseline="middle", style=QUIET_TEXT, fontSize=10, clip=False)
        .encode(
            x=alt.XValue(-6),
            y=alt.YValue(place.above_foot(foot / 2, height)),
            text=alt.TextValue(label),
        )
    )
    return [strip, name]
