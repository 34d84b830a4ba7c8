"""The strip below the curves of a family that shows n, the number of seeds, at every step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lib.charts.axes import PlotArea
from lib.charts.curves.series_style import SeriesStyle
from lib.charts.curves.tables import Bounds, Curve, Curves, middle_spacing
from lib.charts.spec import ONE_ROW
from lib.charts.style import QUIET, QUIET_TEXT
from lib.charts.thinning import decimals
from lib.formatting import leading_names, listing

STRIP = 20  # pixels below the curves that the strip has to itself
BAR = 4  # pixels of its height
STRIP_SLOTS = 100
#: Pixels between what is written above the strip and the next rule.
_APART = 4
#: Series of the fewest seeds that are named one by one.
_MOST = 2
_TEXT: dict[str, Any] = {"baseline": "middle", "style": QUIET_TEXT, "fontSize": 10}


@dataclass(frozen=True)
class Stretch:
    """Steps over which the same series have the fewest seeds: `least` of the `of` that their arm has anywhere.

    `series` are these as (metric key, arm); empty where every series has all the seeds of its arm.
    """

    step: float
    end: float
    least: int
    of: int
    series: tuple[tuple[str, str], ...] = ()

    @property
    def share(self) -> float:
        """The share of the seeds that are there."""
        return self.least / self.of if self.of else 1.0


def stretches(curves: Sequence[Curve], others: Sequence[Curve] = ()) -> list[Stretch]:
    """Stretches of steps over which n is the same; steps are grouped into `STRIP_SLOTS` spans first.

    A series that starts late has the seeds of its first point until then: nothing is missing that was never logged. One
    that ends early has none from there on.

    Parameters
    ----------
    others : more curves of the task: an arm has the most seeds that any of its metrics has.
    """
    curves = [curve for curve in curves if len(curve.along_x().step)]
    if not curves:
        return []
    low, high = (float(end([end(curve.step) for curve in curves])) for end in (np.min, np.max))
    of: dict[str, int] = {}
    for curve in (*curves, *others):
        of[curve.arm] = max(of.get(curve.arm, 0), int(curve.n.max(initial=0)))
    counts = {(curve.metric, curve.arm): list(_same_n(curve, low, high)) for curve in curves}
    starts = sorted(
        {at for spans in counts.values() for start, end, _ in spans for at in (start, end)} - {high, np.inf} | {low}
    )
    parts = [(start, _fewest(counts, of, start)) for start in starts]
    bars = [(next(group)[0], fewest) for fewest, group in groupby(parts, key=lambda part: part[1])]
    ends = [*(start for start, _ in bars[1:]), high]
    return [Stretch(start, end, *fewest) for (start, fewest), end in zip(bars, ends, strict=True)]


def _same_n(curve: Curve, low: float, high: float) -> Iterator[tuple[float, float, int]]:
    """First step, end and least n of every stretch of a series; the last ends a spacing after the last point."""
    along = curve.along_x()
    step, n = along.step, along.n
    width = ((high - low) or 1.0) / STRIP_SLOTS
    slot = np.clip(np.floor((step - low) / width), 0, STRIP_SLOTS - 1)
    start = np.flatnonzero(np.diff(slot, prepend=-1))
    least = np.minimum.reduceat(n, start)
    changed = np.append(True, least[1:] != least[:-1])
    begin = [low, *step[start][changed].tolist()[1:]]
    # What is logged every few spans ends no earlier than the others; what is logged at one step alone is there.
    end = min(high, float(step[-1]) + 1.5 * max(middle_spacing(step), width)) if high > low else np.inf
    yield from zip(begin, [*begin[1:], end], least[changed].tolist(), strict=True)


def _fewest(
    counts: dict[tuple[str, str], list[tuple[float, float, int]]], of: dict[str, int], at: float
) -> tuple[int, int, tuple[tuple[str, str], ...]]:
    """The least n at a step as a share of its arm's, that arm's n, and the series that have it where some have less."""
    fewest = {
        name: next((n for start, end, n in reversed(spans) if start <= at < end), 0) for name, spans in counts.items()
    }
    share = {name: n / (of[name[1]] or 1) for name, n in fewest.items()}
    first = min(share, key=lambda name: share[name])
    series = tuple(name for name in fewest if share[name] == share[first]) if share[first] < 1 else ()
    return fewest[first], of[first[1]], series


def strip_table(curves: Curves, style: SeriesStyle) -> tuple[pl.DataFrame, str]:
    """The bars of the strip (step, end, seeds, series, share), and what the strip is called."""
    bars = stretches([curves[name] for name in style.order() if name in curves], list(curves.values()))
    digits = max(3, decimals(pl.Series([bar.end for bar in bars], dtype=pl.Float64)))
    rows = [
        (
            round(bar.step, digits), round(bar.end, digits), f"{bar.least} of {bar.of}" if bar.series else "all",
            _series_text(bar, style), round(bar.share, 3),
        )
        for bar in bars
    ]  # fmt: skip
    schema = {
        "step": pl.Float64, "end": pl.Float64, "seeds": pl.String, "series": pl.String, "share": pl.Float64,
    }  # fmt: skip
    arms = {arm for _, arm in curves}
    most = sorted({max(int(curve.n.max(initial=0)) for (_, a), curve in curves.items() if a == arm) for arm in arms})
    whole = all(not bar.series for bar in bars)
    count = f"{most[0]} to {most[-1]}" if len(most) > 1 else f"{most[0]}" if most else "0"
    return pl.DataFrame(rows, schema=schema, orient="row"), f"n = {count}" if whole else f"n of {count}"


def _series_text(bar: Stretch, style: SeriesStyle) -> str:
    """The series with the fewest seeds; an arm by its name alone where all its metrics are among them."""
    if not bar.series:
        return "every series"
    several = (len(style.keys) > 1, len(style.arms) > 1)
    whole = [arm for arm in style.arms if all((key, arm) in bar.series for key in style.keys)] if several[1] else []
    names = whole + [
        f"{style.label(key)} ({arm})" if all(several) else style.label(key)
        for key, arm in bar.series
        if arm not in whole
    ]
    return listing(leading_names(names, _MOST))


def strip_layers(
    bars: pl.DataFrame, label: str, prefix: str, domain: Bounds, rules: Sequence[float], area: PlotArea
) -> list[alt.Chart]:
    """One bar at the foot of its area of the plot, paler where seeds are missing, its name, and where the most are missing.

    The bar lies in the same view as the curves (placed in pixels), so it stretches and zooms with it; a concatenated
    strip would not take its container's width.

    Parameters
    ----------
    bars : as `strip_table` gives them.
    domain : the x range.
    rules : where the detach rules stand along it.
    """
    top, foot = area.above_foot(BAR + 2), area.above_foot(2)
    tooltips = [
        alt.Tooltip("seeds:N", title="n"), alt.Tooltip("series:N", title="of"),
        alt.Tooltip("step:Q", title="from", format=",.6~g"), alt.Tooltip("end:Q", title="to", format=",.6~g"),
    ]  # fmt: skip
    # One missing seed of many must be seen.
    paler = alt.Scale(domain=[0, 0.999, 1], range=[0.05, 0.3, 0.6])
    strip = (
        alt.Chart(bars, name=f"{prefix}_n_strip")
        .mark_rect(clip=True, color=QUIET, aria=False)
        .encode(
            x=alt.X("step:Q"),
            x2=alt.X2("end:Q"),
            y=alt.YValue(top),
            y2=alt.Y2Value(foot),
            opacity=alt.Opacity("share:Q", scale=paler, legend=None),
            tooltip=tooltips,
        )
    )
    name = (
        alt.Chart(ONE_ROW, name=f"{prefix}_n_label")
        .mark_text(align="right", clip=False, aria=False, **_TEXT)
        .encode(x=alt.XValue(-6), y=alt.YValue(area.above_foot(BAR / 2 + 2)), text=alt.TextValue(label))
    )
    return [strip, name, *_fewest_note(bars, prefix, domain, rules, area)]


def _fewest_note(
    bars: pl.DataFrame, prefix: str, domain: Bounds, rules: Sequence[float], area: PlotArea
) -> list[alt.Chart]:
    """What is missing along the longest of the paler stretches, written above it as far as the next rule."""
    missing = bars.filter(pl.col("share") < 1).sort(pl.col("end") - pl.col("step"), descending=True).head(1)
    if missing.is_empty() or domain is None:
        return []
    (row,) = missing.rows(named=True)
    right = row["step"] > (domain[0] + domain[1]) / 2
    begin = row["end" if right else "step"]
    # Along the way of the text: to the left where it ends with its stretch.
    stops = [x for x in (*domain, *rules) if (x < begin if right else x > begin)]
    share = min((abs(begin - x) for x in stops), default=0.0) / ((domain[1] - domain[0]) or 1)
    room = alt.ExprRef(f"{share:.3g} * (width || 400) - {_APART}")
    note = (
        alt.Chart(ONE_ROW, name=f"{prefix}_n_note")
        .mark_text(align="right" if right else "left", clip=True, limit=room, aria=False, **_TEXT)
        .encode(
            x=alt.XDatum(begin),
            y=alt.YValue(area.above_foot(BAR + 9)),
            text=alt.TextValue(f"n = {row['seeds']}: {row['series']}"),
        )
    )
    return [note]
