"""The detach rule of a chart and its label."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import altair as alt

from lib.charts import axes
from lib.charts.spec import ONE_ROW
from lib.charts.style import RULE_COLOR, RULE_TEXT
from lib.curves import Clocks, View
from lib.formatting import listing, plural
from lib.runs import Treatment
from lib.study import Task

RULE_LABEL = "Encoder Detached"
#: Detach steps that the label lists one by one; of more it has the range.
_LISTED = 3
#: Pixels of a further line of the label, and at the top of a plot without one.
_LINE, _MARGIN = 13, 8


@dataclass(frozen=True)
class DetachMark:
    """A detach step to draw: where, what it is called, who says so, and whose it is.

    `step` is in environment steps; `source` is free text such as `typed` or `config, signal agrees`; `hours` is its
    place in wall time, None where no run with timestamps passed it; `arms` and how many `runs` detach there.
    """

    step: float
    source: str = ""
    label: str = RULE_LABEL
    hours: float | None = None
    arms: tuple[str, ...] = ()
    runs: int = 1


Rules = Sequence[DetachMark]


def detach_marks(treated: Sequence[Treatment], clocks: Clocks | None = None) -> tuple[DetachMark, ...]:
    """The marks of one task's treatments: one per distinct detach step, by step.

    Runs that agree on the step share a mark; its source joins what they say, a disagreeing signal included, and its
    place in wall time, which `clocks` know, is the mean over those that passed it.
    """
    steps = sorted({t.detach_step for t in treated if t.detach_step is not None})
    return tuple(_mark(step, [t for t in treated if t.detach_step == step], clocks or Clocks()) for step in steps)


def _mark(step: int, treated: Sequence[Treatment], clocks: Clocks) -> DetachMark:
    hours = [clocks.passed[t.run_id] for t in treated if t.run_id in clocks.passed]
    place, arms = fmean(hours) if hours else None, tuple(sorted({t.arm for t in treated}))
    return DetachMark(step, _sources(treated), hours=place, arms=arms, runs=len(treated))


def _sources(treated: Sequence[Treatment]) -> str:
    sources = sorted({t.detach_source for t in treated if t.detach_source}, reverse=True)
    signals = sorted({t.signal for t in treated if t.signal})
    says = f"signal {listing(signals)}" if signals else ""
    return ", ".join(part for part in (listing(sources), says) if part)


def mark_places(marks: Sequence[DetachMark], task: Task, view: View) -> list[float]:
    """Where the rules of these marks stand on the view's x axis: sorted, each place once."""
    if view.x == "wall":
        return sorted({m.hours for m in marks if m.hours is not None})
    return sorted({axes.axis_step(m.step, m.step, task, view) for m in marks})


def rule_layers(
    marks: Sequence[DetachMark],
    task: Task,
    view: View,
    domain: tuple[float, float] | None = None,
    prefix: str = "chart",
) -> list[alt.Chart]:
    """The label and the dashed red rule, to be layered last: exactly one of each however many rows the chart has.

    Where runs detach at different steps, a light rule stands at each of them and one label names them, or their range.
    """
    at = mark_places(marks, task, view)
    if not at:
        return []
    right = domain is not None and label_fraction(marks, task, view, domain) > 0.6
    label = rule_label((at[0] + at[-1]) / 2, _rule_text(marks), prefix, right)
    if len(at) == 1:
        return [label, rule_at(at[0], prefix)]
    steps = alt.InlineData(values=[{"at": x} for x in at], name=f"{prefix}_steps")
    rules = alt.Chart(steps, name=f"{prefix}_detach_rule").mark_rule(strokeWidth=1, opacity=0.45, **_RULE)
    return [label, rules.encode(x=alt.X("at:Q"))]


_RULE: dict[str, Any] = {"color": RULE_COLOR, "strokeDash": [6, 4], "clip": True, "aria": False}


def rule_at(x: float, prefix: str) -> alt.Chart:
    """One rule."""
    rule = alt.Chart(ONE_ROW, name=f"{prefix}_detach_rule").mark_rule(strokeWidth=2, **_RULE)
    return rule.encode(x=alt.XDatum(x))


def rule_label(x: float, lines: list[str], prefix: str, right: bool = False) -> alt.Chart:
    """The label of a rule, in red, on its left where the rule stands at the right."""
    place: dict[str, Any] = {"align": "right", "dx": -6} if right else {"align": "left", "dx": 6}
    label = alt.Chart(ONE_ROW, name=f"{prefix}_detach_label").mark_text(
        text=lines, baseline="top", style=RULE_TEXT, clip=True, fontSize=11, **place
    )
    return label.encode(x=alt.XDatum(x), y=alt.YValue(4))


def label_fraction(marks: Sequence[DetachMark], task: Task, view: View, domain: tuple[float, float]) -> float:
    """Where the rule's label stands, as a fraction of the x range."""
    at = mark_places(marks, task, view)
    return ((at[0] + at[-1]) / 2 - domain[0]) / ((domain[1] - domain[0]) or 1)


def headroom(marks: Sequence[DetachMark]) -> int:
    """Pixels at the top of a plot that the label has to itself."""
    return axes.HEADROOM + _LINE * (len(_rule_text(marks)) - 2) if marks else _MARGIN


def _rule_text(marks: Sequence[DetachMark]) -> list[str]:
    """The label's lines: the step and who says so, or the runs of each of a few steps, or the range of many."""
    first, *others = sorted(marks, key=lambda mark: mark.step)
    if not others:
        source = f" ({first.source})" if first.source else ""
        return [first.label, f"{first.step:,.0f}{source}"]
    if len(marks) > _LISTED:
        runs = plural(sum(mark.runs for mark in marks), "run")
        return [first.label, f"{first.step:,.0f} to {others[-1].step:,.0f} steps, {runs}"]
    same_arms = len({mark.arms for mark in marks}) == 1
    whose = ["" if same_arms else f"{listing(mark.arms)}: " for mark in (first, *others)]
    steps = [f"{mark.step:,.0f} steps, {plural(mark.runs, 'run')}" for mark in (first, *others)]
    return [first.label, *(name + text for name, text in zip(whose, steps, strict=True))]
