"""The detach rule of a chart and its label."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
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

RULE_LABEL, PLANNED_LABEL = "Encoder Detached", "Detach Planned"
#: Detach steps that the label lists one by one; of more it has the range.
_MOST = 3
#: Pixels of a further line of the label, and at the top of a plot without one.
_LINE, _MARGIN = 13, 8
#: The fraction of the x range beyond which the label stands on the left of the rule.
_TURN = 0.6
_NOT_REACHED = "not reached: "
#: Pixels of a sign of the label.
_CHARACTER = 6.2


@dataclass(frozen=True)
class DetachMark:
    """A detach step to draw: where, what it is called, who says so, and whose it is.

    `step` is in environment steps; `source` is free text such as `typed` or `config, signal agrees`; `hours` is its
    place in wall time, None where no run with timestamps passed it; `arms` and how many `runs` detach there. `furthest` is
    the last step of the furthest of these where none has reached the detach yet.
    """

    step: float
    source: str = ""
    label: str = RULE_LABEL
    hours: float | None = None
    arms: tuple[str, ...] = ()
    runs: int = 1
    furthest: int | None = None


Rules = Sequence[DetachMark]


def detach_marks(treatments: Sequence[Treatment], clocks: Clocks | None = None) -> tuple[DetachMark, ...]:
    """The marks of one task's treatments: one per distinct detach step, by step.

    Runs that agree on the step share a mark; its source joins what they say, a disagreeing signal included, and its
    place in wall time, which `clocks` know, is the mean over those that passed it.
    """
    steps = sorted({t.detach_step for t in treatments if t.detach_step is not None})
    return tuple(_mark(step, [t for t in treatments if t.detach_step == step], clocks or Clocks()) for step in steps)


def _mark(step: int, treatments: Sequence[Treatment], clocks: Clocks) -> DetachMark:
    hours = [clocks.passed[t.run_id] for t in treatments if t.run_id in clocks.passed]
    place, arms = fmean(hours) if hours else None, tuple(sorted({t.arm for t in treatments}))
    furthest = max((t.last_step for t in treatments if t.last_step is not None), default=step)
    return DetachMark(
        step,
        _sources(treatments),
        hours=place,
        arms=arms,
        runs=len(treatments),
        furthest=furthest if furthest < step else None,
    )


def is_unfinished(treatments: Sequence[Treatment], task: Task) -> bool:
    """Whether some run of a task has not ended as planned: its axis of steps then goes on to the planned end."""
    return any(
        t.state not in ("finished", "") and t.last_step is not None and t.last_step < task.total_steps
        for t in treatments
    )


def _sources(treatments: Sequence[Treatment]) -> str:
    sources = sorted({t.detach_source for t in treatments if t.detach_source}, reverse=True)
    signals = sorted({t.signal for t in treatments if t.signal})
    says = f"signal {listing(signals)}" if signals else ""
    return ", ".join(part for part in (listing(sources), says) if part)


def planned_range(
    whole: tuple[float, float] | None, marks: Sequence[DetachMark], task: Task, view: View, unfinished: bool
) -> tuple[float, float] | None:
    """The range of a task's curves on the view's x axis, up to the planned end where its runs go there, and to each rule.

    Parameters
    ----------
    unfinished : whether some run has not ended as planned; curves that end just before the planned end go there too.
    """
    if whole is None or view.x == "wall":
        return whole
    low, high = whole
    end = axes.axis_step(task.total_steps, min((mark.step for mark in marks), default=0), task, view)
    near = high <= end and end - high <= 0.02 * (end - low)
    return low, max(high, *mark_places(marks, task, view), end if unfinished or near else high)


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
    fitting: bool = False,
) -> list[alt.Chart]:
    """The label and the dashed red rule, to be layered last: exactly one of each however many rows the chart has.

    Where runs detach at different steps, a light rule stands at each of them and one label names them, or their range.
    With `fitting` the label says less where the chart is too narrow for it.
    """
    at = mark_places(marks, task, view)
    if not at:
        return []
    share = label_fraction(marks, task, view, domain) if domain else 0.0
    right = share > _TURN
    lines: Any = _rule_text(marks)
    if fitting:
        needed, room = _CHARACTER * max(map(len, lines)), share if right else 1 - share
        lines = alt.ExprRef(f"{room:.3g} * width < {needed:g} ? {json.dumps(_short_text(marks))} : {json.dumps(lines)}")
    label = rule_label(at[-1] if right else at[0], lines, prefix, right)
    planned = all(mark.furthest is not None for mark in marks)
    if len(at) == 1:
        return [label, rule_at(at[0], prefix, opacity=_FAINT if planned else 1)]
    steps = alt.InlineData(values=[{"at": x} for x in at], name=f"{prefix}_steps")
    opacity = _FAINT / 2 if planned else 0.45
    rules = alt.Chart(steps, name=f"{prefix}_detach_rule").mark_rule(strokeWidth=1, opacity=opacity, **_RULE)
    # The label stands among the rules: they begin below it.
    return [label, rules.encode(x=alt.X("at:Q"), y=alt.YValue(headroom(marks)), y2=alt.Y2Value("height"))]


_RULE: dict[str, Any] = {"color": RULE_COLOR, "strokeDash": [6, 4], "clip": True, "aria": False}


#: Opacity of the rule of a detach that no run has reached.
_FAINT = 0.4


def rule_at(x: float, prefix: str, opacity: float = 1) -> alt.Chart:
    """One rule."""
    look = _RULE | ({"opacity": opacity} if opacity < 1 else {})
    rule = alt.Chart(ONE_ROW, name=f"{prefix}_detach_rule").mark_rule(strokeWidth=2, **look)
    return rule.encode(x=alt.XDatum(x))


def rule_label(x: float, lines: list[str] | alt.ExprRef, prefix: str, right: bool = False) -> alt.Chart:
    """The label of a rule, in red, on its left where the rule stands at the right."""
    place: dict[str, Any] = {"align": "right", "dx": -6} if right else {"align": "left", "dx": 6}
    label = alt.Chart(ONE_ROW, name=f"{prefix}_detach_label").mark_text(
        aria=False, text=lines, baseline="top", style=RULE_TEXT, clip=True, fontSize=11, **place
    )
    return label.encode(x=alt.XDatum(x), y=alt.YValue(4))


def label_fraction(marks: Sequence[DetachMark], task: Task, view: View, domain: tuple[float, float]) -> float:
    """Where the rule's label begins, or ends where it stands on the left, as a fraction of the x range."""
    at, length = mark_places(marks, task, view), (domain[1] - domain[0]) or 1
    first, last = ((place - domain[0]) / length for place in (at[0], at[-1]))
    return last if (first + last) / 2 > _TURN else first


def headroom(marks: Sequence[DetachMark]) -> int:
    """Pixels at the top of a plot that the label has to itself."""
    return axes.HEADROOM + _LINE * (len(_rule_text(marks)) - 2) if marks else _MARGIN


def _rule_text(marks: Sequence[DetachMark]) -> list[str]:
    """The label's lines: the step and who says so, or the runs of each of a few steps, or the range of many."""
    first, *others = sorted(marks, key=lambda mark: mark.step)
    planned = [mark for mark in marks if mark.furthest is not None]
    title = PLANNED_LABEL if len(planned) == len(marks) and first.label == RULE_LABEL else first.label
    if not others:
        source = f" ({first.source})" if first.source else ""
        return [title, f"{first.step:,.0f}{source}" if first.furthest is None else _not_reached(first)]
    if len(marks) > _MOST:
        runs = plural(sum(mark.runs for mark in marks), "run")
        waiting = sum(mark.runs for mark in planned)
        reached = f", {waiting:,} not there yet" if waiting else ""
        return [title, f"{first.step:,.0f} to {others[-1].step:,.0f}, {runs}{reached}"]
    same_arms = len({mark.arms for mark in marks}) == 1
    lines = []
    for mark in (first, *others):
        prefix = "" if same_arms else f"{listing(mark.arms)}: "
        steps = f"{mark.step:,.0f} steps, {plural(mark.runs, 'run')}"
        lines.append(prefix + (steps if mark.furthest is None else _not_reached(mark)))
    return [title, *lines]


def _short_text(marks: Sequence[DetachMark]) -> list[str]:
    """As many lines without who says so and whose steps they are."""
    plain = [replace(mark, source="", arms=()) for mark in marks]
    return [line.removeprefix(_NOT_REACHED) for line in _rule_text(plain)]


def _not_reached(mark: DetachMark) -> str:
    return f"{_NOT_REACHED}{mark.furthest:,.0f} of {mark.step:,.0f}"
