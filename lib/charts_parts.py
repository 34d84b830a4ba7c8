"""What every chart is made of: names, colours, axes, the detach rule, and no more points than a screen can show."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import altair as alt
import polars as pl

from lib.detach import Treatment
from lib.study import CONTROL, Metric, Study, Task
from lib.view import View
from lib.wall_time import Clocks

#: Okabe and Ito's colours, told apart by every kind of colour vision; for metrics whose study names no colour.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
#: Distance of two colours' levels of red, green and blue (0 to 255 each) below which they are alike.
ALIKE = 60
#: Arms other than the control, in their order; the control arm is dashed.
DASHES = ([1, 0], [2, 2], [9, 3, 2, 3], [1, 4], [12, 4])
CONTROL_DASH = [6, 4]
RULE_COLOR = "red"
QUIET = "#888888"  # for lines: 3 to 1 on white and on black
#: Styles of texts: no colour is readable (4.5 to 1) on every ground, so each ground has its own.
QUIET_TEXT, RULE_TEXT = "quiet_text", "rule_text"
QUIET_ON = {"light": "#66707c", "dark": "#a3adb8"}
RULE_ON = {"light": "#cc0000", "dark": "#ff7070"}
RULE_LABEL = "Encoder Detached"
STRIP_ROW = 5  # pixels of a series in the strip of n
HEADROOM = 34  # pixels at the top of a plot that the rule's label has to itself
DIGITS = 6

#: What a layer draws: a frame, or the name of one that is sent beside the specification.
Data = pl.DataFrame | alt.NamedData

X_TITLES = {
    "steps": "Environment Steps",
    "percent": "Training (%)",
    "since": "Environment Steps Since Detach",
    "since_percent": "Training Since Detach (%)",
    "wall": "Wall Time (hours)",
}


#: Ranges of the log axes of a chart that are filled in with the numbers; no loss is as small.
LATER = ((1.2345678e-300, 9.8765432e-300), (1.2345678e-302, 9.8765432e-302))


@dataclass(frozen=True)
class Place:
    """The part of a plot's height that a family's curves have: shares of it from the top, `gap` pixels left at its foot."""

    top: float = 0.0
    bottom: float = 1.0
    gap: int = 0

    def foot(self, height: int | None, above: float = 0) -> str:
        """Where the place ends, or so many pixels above that, as an expression; `height` is as in `value_axis`."""
        end = "height" if self.bottom == 1 else f"{self.bottom:g} * height"
        up = self.gap + above
        if height is not None:
            return f"{self.bottom * height - up:g}"
        return f"{end} - {up:g}" if up else end

    def above_foot(self, pixels: float, height: int | None) -> alt.ExprRef | float:
        """So many pixels above where the place ends."""
        end = self.foot(height, pixels)
        return alt.ExprRef(end) if height is None else float(end)

    def below_top(self, pixels: float, height: int | None) -> alt.ExprRef | float:
        """So many pixels below where the place begins."""
        if not self.top:
            return pixels
        return alt.ExprRef(f"{self.top:g} * height + {pixels:g}") if height is None else self.top * height + pixels


WHOLE = Place()


def places(count: int, gap: int = 18) -> list[Place]:
    """Places of equal height, one below the other."""
    return [Place(i / count, (i + 1) / count, gap if i + 1 < count else 0) for i in range(count)]


class Layered(alt.LayerChart):
    """A layered chart that is not checked against the Vega-Lite schema each time it is sent to a browser: the tests do.

    Its layers share no data and have no sizes. Where they have no selections of their own either, nothing moves up to
    the chart, and it is not rearranged, which copies all of it four times.
    """

    def __init__(self, data: Any = alt.Undefined, layer: Sequence[alt.Chart] = (), **options: Any) -> None:
        if all(part.params is alt.Undefined for part in layer):
            super(alt.LayerChart, self).__init__(data=data, layer=list(layer), **options)
        else:
            super().__init__(data=data, layer=layer, **options)

    def to_dict(self, validate: bool = False, **options: Any) -> dict[str, Any]:
        """The chart's specification; `validate` checks it against the schema."""
        found: dict[str, Any] = super().to_dict(validate=validate, **options)
        return found


@dataclass(frozen=True)
class DetachMark:
    """A detach step to draw: where, what it is called, and who says so.

    `step` is in environment steps; `source` is free text such as `typed` or `config, signal agrees`; `hours` is its
    place in wall time, None where no run with timestamps passed it.
    """

    step: float
    source: str = ""
    label: str = RULE_LABEL
    hours: float | None = None


def detach_marks(treated: Sequence[Treatment], clocks: Clocks | None = None) -> tuple[DetachMark, ...]:
    """The marks of one task's treatments: one a distinct detach step, by step.

    Runs that agree on the step share a mark; its source joins what they say, a disagreeing signal included, and its
    place in wall time, which `clocks` know, is the mean over those that passed it.
    """
    steps = sorted({t.detach_step for t in treated if t.detach_step is not None})
    return tuple(_mark(step, [t for t in treated if t.detach_step == step], clocks or Clocks()) for step in steps)


def _mark(step: int, treated: Sequence[Treatment], clocks: Clocks) -> DetachMark:
    hours = [clocks.passed[t.run_id] for t in treated if t.run_id in clocks.passed]
    return DetachMark(step, _sources(treated), hours=fmean(hours) if hours else None)


def _sources(treated: Sequence[Treatment]) -> str:
    sources = sorted({t.detach_source for t in treated if t.detach_source}, reverse=True)
    signals = sorted({t.signal for t in treated if t.signal})
    says = f"signal {' and '.join(signals)}" if signals else ""
    return ", ".join(part for part in (" and ".join(sources), says) if part)


def slug(text: str) -> str:
    """Text as a name for files and views: letters, digits and underscores."""
    return re.sub(r"\W+", "_", text)


def metric_label(metric: Metric, task: Task, view: View) -> str:
    """The legend's name of a metric: its label, with the window in steps where it is a moving average."""
    if not (metric.smoothed and view.smooth):
        return metric.name
    return f"{metric.name} (MA {view.window or task.window:,})"


def metric_colors(study: Study) -> dict[str, str]:
    """A colour for every metric key: the study's, or the next of `PALETTE` that is unlike all those of the study."""
    given = [m.color for m in study.metrics if m.color]
    free = [color for color in PALETTE if not any(_alike(color, one) for one in given)] or list(PALETTE)
    unnamed = [m.key for m in study.metrics if not m.color]
    spare = {key: free[i % len(free)] for i, key in enumerate(unnamed)}
    return {m.key: m.color or spare[m.key] for m in study.metrics}


def _alike(one: str, other: str) -> bool:
    """Whether two colours (#rrggbb) would be taken for each other in a chart."""
    levels = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in (one, other)]
    return math.dist(*levels) < ALIKE


def line_width(metric: Metric) -> int:
    """Evaluations are drawn thicker than everything else."""
    return 3 if "eval" in metric.key else 2


def arm_order(arms: Sequence[str]) -> list[str]:
    """Distinct arms in the order of the legend: treated ones by name, the control last."""
    return sorted(set(arms), key=lambda arm: (arm == CONTROL, arm))


def arm_dashes(arms: Sequence[str]) -> list[list[int]]:
    """A dash pattern for each of these (ordered) arms; solid for the first treated one, dashed for the control."""
    treated = [arm for arm in arms if arm != CONTROL]
    found = {arm: DASHES[i % len(DASHES)] for i, arm in enumerate(treated)}
    return [found.get(arm, CONTROL_DASH) for arm in arms]


def family_title(metrics: Sequence[Metric], family: str) -> str:
    """The y title: what the metrics' keys end with where they agree (`Consistency Loss`), else the family."""
    ends = {m.key.rsplit("/", 1)[-1].replace("_", " ").title() for m in metrics}
    return ends.pop() if len(ends) == 1 else family.title()


def axis_step(step: float, origin: float, task: Task, view: View) -> float:
    """A step on the view's x axis; `origin` is the detach step that the view may count from."""
    if view.x in ("since", "since_percent"):
        step = step - origin
    return 100 * step / task.total_steps if view.x in ("percent", "since_percent") else float(step)


def mark_places(marks: Sequence[DetachMark], task: Task, view: View) -> list[float]:
    """Where the rules of these marks stand on the view's x axis: sorted, each place once."""
    if view.x == "wall":
        return sorted({m.hours for m in marks if m.hours is not None})
    return sorted({axis_step(m.step, m.step, task, view) for m in marks})


def lean(frame: pl.DataFrame, steps: Sequence[str] = ("step",)) -> pl.DataFrame:
    """The frame as a chart needs it: six significant digits, whole steps where the range is wide, small counts.

    Exact numbers belong in the tables; a pixel shows three digits, and short numbers are half the bytes.
    """
    exprs: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if name in steps:
            places = decimals(frame[name])
            exprs.append(pl.col(name).round(places) if places else pl.col(name).round(0).cast(pl.Int32))
        elif dtype.is_float():
            exprs.append(pl.col(name).round_sig_figs(DIGITS))
        elif name == "n":
            exprs.append(pl.col(name).cast(pl.UInt16))
    return frame.with_columns(exprs)


def decimals(x: pl.Series) -> int:
    """Decimals that places on x need: none where their range is wide, more than usual where it is a few minutes."""
    span = _span(x) if len(x) else 0.0
    return 0 if span > 2000 else 3 + max(0, math.ceil(-math.log10(span))) if span else 3


def _span(series: pl.Series) -> float:
    return float(series.max() or 0) - float(series.min() or 0)  # type: ignore[arg-type]


def thin(frame: pl.DataFrame, by: Sequence[str], value: str, limit: int) -> pl.DataFrame:
    """At most about `limit` rows: of each series, the lowest and the highest row of equal spans of steps.

    Every row kept is a row that came in, so peaks and dips stay where they are.

    Parameters
    ----------
    frame : sorted by `by` and step.
    by : columns that name a series.
    value : column whose extremes are kept.
    limit : rows in all.
    """
    if len(frame) <= limit:
        return frame
    spans = max(1, limit // (2 * frame.select(by).n_unique()))
    low, span = frame["step"].min(), _span(frame["step"])
    bucket = ((pl.col("step") - low) / (span or 1) * spans).floor().clip(0, spans - 1)
    ends = [(pl.col(value) == pl.col(value).min()), (pl.col(value) == pl.col(value).max())]
    groups = [*by, "_bucket"]
    keep = [end.over(groups) for end in ends]
    return (
        frame.with_columns(bucket.alias("_bucket"))
        .with_columns(keep[0].alias("_low"), keep[1].alias("_high"))
        .filter(pl.col("_low") | pl.col("_high"))
        .unique([*groups, "_low", "_high"], keep="first", maintain_order=True)
        .drop("_bucket", "_low", "_high")
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a log axis over [low, high]: decades, with 2 and 5 or every digit between them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        ticks = [float(f"{digit}e{e}") for e in range(first, last + 1) for digit in digits]
        ticks = [t for t in ticks if low <= t <= high]
        if len(ticks) > 3:
            break
    return ticks


def log_domain(values: pl.Series) -> tuple[float, float]:
    """The positive range of these values with a margin; a log axis cannot show anything else."""
    positive = values.filter(values.is_finite() & (values > 0))
    if positive.is_empty():
        return 0.1, 1.0
    low, high = float(positive.min()), float(positive.max())  # type: ignore[arg-type]
    margin = max((high / low) ** 0.04, 1.05)
    return float(f"{low / margin:.4g}"), float(f"{high * margin:.4g}")


def for_log(frame: pl.DataFrame, domain: tuple[float, float]) -> pl.DataFrame:
    """Curves that a log axis can draw: a band that reaches 0 ends at the axis, a mean of 0 is a gap."""
    floor = domain[0]
    return frame.with_columns(
        pl.when(pl.col("mean") > 0).then("mean").alias("mean"),
        pl.col("lower").clip(lower_bound=floor),
        pl.col("upper").clip(lower_bound=floor),
    )


def value_axis(
    title: str,
    domain: tuple[float, float] | None,
    gutter: int,
    headroom: int,
    height: int | None,
    place: Place = WHOLE,
) -> dict[str, Any]:
    """Scale, axis and title of a y channel; a domain makes it a log axis with scientific labels (1e-3).

    `gutter` and `headroom` are pixels left free at the foot of its place (for the strip of n) and at its top (for
    the rule's label): everything shares one view, so zooming clips and moves it together. `height` is the plot's, or
    None where the page decides it.
    """
    range_ = [place.above_foot(gutter, height), place.below_top(headroom, height)]
    # Left to itself, the axis of a second family stands on the right and has no lines.
    beside: dict[str, Any] = {} if place == WHOLE else {"orient": "left", "grid": True}
    if domain is None:
        scale, axis = alt.Scale(zero=False, range=range_), alt.Axis(tickCount=6, **beside)
    else:
        scale = alt.Scale(type="log", domain=list(domain), range=range_, nice=False)
        axis = alt.Axis(format=".0e", values=log_ticks(*domain), **beside)
    return {"title": title, "scale": scale, "axis": axis}


def step_axis(view: View, domain: tuple[float, float] | None, grid: bool = True) -> dict[str, Any]:
    """Scale, axis and title of the x channel."""
    scale = alt.Scale(zero=False, nice=False, domain=list(domain)) if domain else alt.Scale(zero=False, nice=False)
    # "100k" instead of "100,000" keeps labels apart on a phone; as an axis format it would write 0 as "0k".
    label = "format(datum.value, '~s')" if view.x in ("steps", "since") else alt.Undefined
    lines: Any = alt.Undefined if grid else False
    axis = alt.Axis(labelExpr=label, tickCount=6, labelFlush=True, grid=lines)
    return {"title": X_TITLES[view.x], "scale": scale, "axis": axis}


def rule_layers(
    marks: Sequence[DetachMark],
    task: Task,
    view: View,
    domain: tuple[float, float] | None = None,
    prefix: str = "chart",
) -> list[alt.Chart]:
    """The label and the dashed red rule, to be layered last: exactly one of each however many rows the chart has.

    Where runs detach at different steps, a light rule stands at each of them and one label names the range.
    """
    at = mark_places(marks, task, view)
    if not at:
        return []
    middle = (at[0] + at[-1]) / 2
    right = domain is not None and label_fraction(marks, task, view, domain) > 0.6
    label = (
        alt.Chart(alt.InlineData(values=[{}]), name=f"{prefix}_detach_label")
        .mark_text(
            align="right" if right else "left",
            baseline="top",
            dx=-6 if right else 6,
            style=RULE_TEXT,
            clip=True,
            fontSize=11,
            text=_rule_text(marks),
        )
        .encode(x=alt.XDatum(middle), y=alt.YValue(4))
    )
    if len(at) == 1:
        rule = alt.Chart(alt.InlineData(values=[{}]), name=f"{prefix}_detach_rule").encode(x=alt.XDatum(at[0]))
        return [label, rule.mark_rule(color=RULE_COLOR, strokeWidth=2, strokeDash=[6, 4], clip=True, aria=False)]
    rules = alt.Chart(alt.InlineData(values=[{"at": x} for x in at]), name=f"{prefix}_detach_rule").encode(
        x=alt.X("at:Q")
    )
    thin = rules.mark_rule(color=RULE_COLOR, strokeWidth=1, strokeDash=[6, 4], opacity=0.45, clip=True, aria=False)
    return [label, thin]


def label_fraction(marks: Sequence[DetachMark], task: Task, view: View, domain: tuple[float, float]) -> float:
    """Where the rule's label stands, as a fraction of the x range."""
    at = mark_places(marks, task, view)
    return ((at[0] + at[-1]) / 2 - domain[0]) / ((domain[1] - domain[0]) or 1)


def _rule_text(marks: Sequence[DetachMark]) -> list[str]:
    steps = sorted({m.step for m in marks})
    if len(steps) == 1:
        source = f" ({marks[0].source})" if marks[0].source else ""
        return [marks[0].label, f"{steps[0]:,.0f}{source}"]
    return [marks[0].label, f"{steps[0]:,.0f} to {steps[-1]:,.0f} ({len(marks)} runs)"]


def legend_columns(names: Sequence[str]) -> dict[str, Any]:
    """What makes a legend of long names a column where a row of them would run out of the chart."""
    return {
        "columns": alt.ExprRef(f"width < {230 * len(names)} ? 1 : {len(names)}"),
        "labelLimit": 260,
        "rowPadding": 1,
    }


def text_styles(ground: str) -> dict[str, Any]:
    """The styles of texts, for a chart's config, in the colours of its ground: `light` or `dark`."""
    return {QUIET_TEXT: {"color": QUIET_ON[ground]}, RULE_TEXT: {"color": RULE_ON[ground]}}


def figure_heading(text: str | None) -> Any:
    """A chart's title in the notebook's look, or none."""
    return alt.TitleParams(text, anchor="middle", fontWeight="bold") if text else alt.Undefined
