"""The strip below a curve chart that shows n at every step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lib.charts.axes import WHOLE_PLOT, PlotArea
from lib.charts.curves.series_style import SeriesStyle
from lib.charts.curves.tables import Curve, Curves, middle_spacing
from lib.charts.spec import ONE_ROW
from lib.charts.style import QUIET_TEXT
from lib.charts.thinning import decimals

STRIP_ROW = 5  # pixels of a series in the strip of n
STRIP_SLOTS = 100


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
        """The share of the seeds that are there."""
        return (self.least + self.most) / 2 / self.of

    @property
    def seeds(self) -> str:
        """The same in words."""
        return f"{self.least} of {self.of}" if self.least == self.most else f"{self.least} to {self.most} of {self.of}"


def stretches(curves: Sequence[Curve], order: Sequence[tuple[str, str]], others: Sequence[Curve] = ()) -> list[Stretch]:
    """Stretches of steps over which a series has the same n; steps are grouped into `STRIP_SLOTS` spans first.

    Parameters
    ----------
    order : the series as (metric, arm), those without a curve included: their index is the row.
    others : more curves of the task: an arm has the most seeds that any of its metrics has.
    """
    steps = np.concatenate([curve.step for curve in curves]) if curves else np.zeros(1)
    low, high = float(steps.min()), float(steps.max())
    of = {curve.arm: 0 for curve in curves}
    for curve in (*curves, *others):
        of[curve.arm] = max(of.get(curve.arm, 0), int(curve.n.max(initial=0)))
    bars = []
    for curve in sorted(curves, key=lambda curve: order.index((curve.metric, curve.arm))):
        row = order.index((curve.metric, curve.arm))
        for start, end, least, most in _same_n(curve, low, high):
            bars.append(Stretch(curve.metric, curve.arm, row, start, end, least, most, of[curve.arm]))
    return bars


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
    end = min(high, float(step[-1]) + (middle_spacing(step) or width))
    yield from zip(begin, [*begin[1:], end], least[changed].tolist(), most[changed].tolist(), strict=True)


def strip_table(curves: Curves, style: SeriesStyle) -> tuple[pl.DataFrame, str]:
    """The bars of the strip (metric, arm, step, end, seeds, share, up in pixels), and what the strip is called."""
    order = style.order()
    bars = stretches([curves[name] for name in order if name in curves], order, list(curves.values()))
    digits = max(3, decimals(pl.Series([bar.end for bar in bars], dtype=pl.Float64)))
    rows = [
        (
            style.label(bar.metric), bar.arm, round(bar.step, digits), round(bar.end, digits), bar.seeds,
            round(bar.share, 3), STRIP_ROW * (len(order) - bar.row) + 2,
        )
        for bar in bars
    ]  # fmt: skip
    schema: dict[str, Any] = {
        "metric": pl.Enum(style.labels), "arm": pl.Enum(style.arms[::-1]), "step": pl.Float64, "end": pl.Float64,
        "seeds": pl.String, "share": pl.Float64, "up": pl.Int32,
    }  # fmt: skip
    most = {bar.of for bar in bars}
    return pl.DataFrame(rows, schema=schema, orient="row"), f"n of {most.pop()}" if len(most) == 1 else "n"


def strip_layers(
    bars: pl.DataFrame,
    label: str,
    rows: int,
    color: alt.Color,
    height: int | None,
    prefix: str,
    area: PlotArea = WHOLE_PLOT,
) -> list[alt.Chart]:
    """A bar per series at the foot of its area of the plot, paler where seeds are missing, and the label "n".

    The bars lie in the same view as the curves (placed in pixels), so they stretch and zoom with it; a
    concatenated strip would not take its container's width.

    Parameters
    ----------
    bars : as `strip_table` gives them.
    rows : series that have a place in the strip.
    height : of the plot in pixels, or None where the page decides it.
    """
    foot = STRIP_ROW * rows
    bottom = area.foot(height)
    tooltips = [
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
            tooltip=tooltips,
        )
    )
    name = (
        alt.Chart(ONE_ROW, name=f"{prefix}_n_label")
        .mark_text(align="right", baseline="middle", style=QUIET_TEXT, fontSize=10, clip=False)
        .encode(
            x=alt.XValue(-6),
            y=alt.YValue(area.above_foot(foot / 2, height)),
            text=alt.TextValue(label),
        )
    )
    return [strip, name]
