"""Axes of charts: steps, values on linear and log scales, and the areas of a plot."""

import math
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from lib.curves import View
from lib.study import Task

HEADROOM = 34  # pixels at the top of a plot that the rule's label has to itself
MOST_TICKS = 7  # of a log axis

X_TITLES = {
    "steps": "Environment Steps",
    "percent": "Training (%)",
    "since": "Environment Steps Since Detach",
    "since_percent": "Training Since Detach (%)",
    "wall": "Wall Time (hours)",
}


@dataclass(frozen=True)
class PlotArea:
    """The part of a plot's height that a family's curves have.

    `top` and `bottom` are shares of the height, counted from the top, `gap` pixels that stay free at its foot, and `height`
    the plot's in pixels, None where the page decides it.
    """

    top: float = 0.0
    bottom: float = 1.0
    gap: int = 0
    height: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the plot."""
        return (self.top, self.bottom) == (0, 1)

    def above_foot(self, pixels: float) -> alt.ExprRef | float:
        """So many pixels above where the area ends."""
        up = self.gap + pixels
        if self.height is not None:
            return self.bottom * self.height - up
        end = "height" if self.bottom == 1 else f"{self.bottom:g} * height"
        return alt.ExprRef(f"{end} - {up:g}" if up else end)

    def below_top(self, pixels: float) -> alt.ExprRef | float:
        """So many pixels below where the area begins."""
        if not self.top:
            return pixels
        if self.height is not None:
            return self.top * self.height + pixels
        return alt.ExprRef(f"{self.top:g} * height + {pixels:g}")


WHOLE_PLOT = PlotArea()


def plot_areas(count: int, gap: int = 18) -> list[PlotArea]:
    """Areas of equal height, one below the other."""
    return [PlotArea(i / count, (i + 1) / count, gap if i + 1 < count else 0) for i in range(count)]


def axis_step(step: float, origin: float, task: Task, view: View) -> float:
    """A step on the view's x axis; `origin` is the detach step that the view may count from."""
    if view.x in ("since", "since_percent"):
        step = step - origin
    return 100 * step / task.total_steps if view.x in ("percent", "since_percent") else float(step)


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a log axis over [low, high], `MOST_TICKS` at most: 1, 2 and 5 of every decade, or decades where they are many.

    Over less than two of these, where a log axis is nearly linear, multiples of a step of 1, 2 or 5 times a power of 10.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 5), ((1,), 10)):
        decades = [e for e in range(first, last + 1) if e % every == 0]
        ticks = [tick for e in decades for digit in digits if low <= (tick := float(f"{digit}e{e}")) <= high]
        if len(ticks) <= MOST_TICKS:
            break
    if len(ticks) > 1:
        return ticks
    step = nice_step(high - low)
    return [float(f"{i * step:.6g}") for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def nice_step(span: float, count: int = 5) -> float:
    """The least of 1, 2 and 5 times a power of 10 that goes at most `count` times into a positive span."""
    exponent = math.floor(math.log10(span / count))
    return next(step for digit in (1, 2, 5, 10) if (step := float(f"{digit}e{exponent}")) * count >= span)


def linear_domain(values: pl.Series) -> tuple[float, float]:
    """The range of these values to the next ticks of a linear axis."""
    finite = values.filter(values.is_finite())
    if finite.is_empty():
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())  # type: ignore[arg-type]
    step = nice_step((high - low) or abs(high) or 1.0, 10)
    # A quotient like 15.000000000000002 is whole.
    ends = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return float(f"{ends[0] * step:.6g}"), float(f"{(ends[1] + (ends[0] == ends[1])) * step:.6g}")


def log_domain(values: pl.Series) -> tuple[float, float]:
    """The positive range of these values with a margin; a log axis cannot show anything else."""
    positive = values.filter(values.is_finite() & (values > 0))
    if positive.is_empty():
        return 0.1, 1.0
    low, high = float(positive.min()), float(positive.max())  # type: ignore[arg-type]
    margin = max((high / low) ** 0.04, 1.05)
    return float(f"{low / margin:.4g}"), float(f"{high * margin:.4g}")


def share(values: np.ndarray, domain: tuple[float, float], log: bool) -> np.ndarray:
    """Where values stand in the range of an axis: 0 at its low end, 1 at its high one."""
    low, high = np.log(domain) if log else domain
    return ((np.log(values) if log else values) - low) / (high - low)


def value_axis(
    title: str | list[str],
    domain: tuple[float, float] | None,
    gutter: int,
    headroom: int,
    area: PlotArea = WHOLE_PLOT,
    log: bool = True,
) -> dict[str, Any]:
    """Scale, axis and title of a y channel; with a domain, a log axis has scientific labels (1e-3).

    `gutter` and `headroom` are pixels left free at the foot of the area (for the strip of n) and at its top (for
    the rule's label): everything shares one view, so zooming clips and moves it together.
    """
    range_ = [area.above_foot(gutter), area.below_top(headroom)]
    # Left to itself, the axis of a second family stands on the right and has no lines.
    beside: dict[str, Any] = {} if area.is_whole else {"orient": "left", "grid": True}
    if domain is None or not log:
        ends: dict[str, Any] = {"domain": list(domain), "nice": False} if domain else {"zero": False}
        scale, axis = alt.Scale(range=range_, **ends), alt.Axis(tickCount=4 if beside else 5, **beside)
    else:
        scale = alt.Scale(type="log", domain=list(domain), range=range_, nice=False)
        axis = alt.Axis(format=".6~e", values=log_ticks(*domain), **beside)
    return {"title": title, "scale": scale, "axis": axis}


def step_axis(view: View, domain: tuple[float, float] | None, grid: bool = True) -> dict[str, Any]:
    """Scale, axis and title of the x channel."""
    scale = alt.Scale(zero=False, nice=False, domain=list(domain)) if domain else alt.Scale(zero=False, nice=False)
    # "100k" instead of "100,000" keeps labels apart on a phone; as an axis format it would write 0 as "0k".
    label = "format(datum.value, '~s')" if view.x in ("steps", "since") else alt.Undefined
    axis = alt.Axis(labelExpr=label, tickCount=6, labelFlush=True, grid=alt.Undefined if grid else False)
    return {"title": X_TITLES[view.x], "scale": scale, "axis": axis}
