"""Names, colours, dashes and text styles that all charts share."""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt

from lib.charts.color_vision import contrast
from lib.curves import View
from lib.formatting import one_line
from lib.runs import arm_place
from lib.study import CONTROL, UNKNOWN, Metric, Task

#: For metrics whose study names no colour: any two differ by 15 (`color_vision.difference`), each from white and from
#: the dark ground by 3 to 1. A sixth that differed by more than 9 there is none.
PALETTE = ("#2d6996", "#e1780f", "#1ea5a5", "#a54bff", "#a54b1e")
#: For treated arms where colour tells arms apart; the control is grey. Any two differ by 10, the control included.
ARM_PALETTE = ("#a51ec3", "#2da51e", "#c378d2")
#: Treated arms, in their order; the control arm is dashed, unknown is dotted.
DASHES = ([1, 0], [2, 2], [9, 3, 2, 3], [1, 4], [12, 4])
CONTROL_DASH = [6, 4]
UNCOMPARED = f"{UNKNOWN} (not compared)"
OWN_DASHES = {CONTROL: CONTROL_DASH, UNKNOWN: [1, 7]}
RULE_COLOR = "red"
QUIET = "#888888"  # for lines: 3 to 1 on white and on black
#: Styles of texts: no colour is readable (4.5 to 1) on every ground, so each ground has its own.
QUIET_TEXT, RULE_TEXT = "quiet_text", "rule_text"
QUIET_ON = {"light": "#66707c", "dark": "#a3adb8"}
RULE_ON = {"light": "#cc0000", "dark": "#ff7070"}
#: The pages' grounds, and what makes a colour readable on each.
GROUND = {"light": ("#ffffff", "#000000"), "dark": ("#12181f", "#ffffff")}


#: What stands between the name of a smoothed metric and its window in steps.
WINDOW = " (MA "


def metric_label(metric: Metric, task: Task, view: View) -> str:
    """The legend's name of a metric: its label, with the window in steps where it is a moving average."""
    if not (metric.smoothed and view.smooth):
        return metric.name
    return f"{metric.name}{WINDOW}{view.window or task.window:,})"


def tooltip_title(name: str) -> str:
    """The title of a tooltip's line.

    Vega's tooltip loads the image whose address stands under `image`, and shows `title` as a heading: a sign without
    width makes a name of others neither.
    """
    return f"{name}\u2060" if name in {"image", "title"} else name


def line_width(metric: Metric) -> int:
    """Evaluations are drawn thicker than everything else."""
    return 3 if "eval" in metric.key else 2


def arm_order(arms: Sequence[str]) -> list[str]:
    """Distinct arms in the order of the legend: treated ones by name, the control, unknown."""
    return sorted(set(arms), key=arm_place)


def arm_dashes(arms: Sequence[str], solid: bool = False) -> list[list[int]]:
    """A dash pattern for each of these (ordered) arms; solid for the first treated one, dashed for the control.

    With `solid`, where colours tell treated arms apart, for each whose colour is its own: no two arms look alike.
    """
    treated = [arm for arm in arms if arm not in OWN_DASHES]
    same = len(ARM_PALETTE) if solid else 1
    dashes = {arm: _dash(i // same) for i, arm in enumerate(treated)} | OWN_DASHES
    return [dashes[arm] for arm in arms]


def _dash(place: int) -> list[int]:
    """The dashes in their order; further ones have a dot more each."""
    return DASHES[place] if place < len(DASHES) else [12, 3, *[2, 3] * (place - len(DASHES) + 2)]


def arm_colors(arms: Sequence[str]) -> dict[str, str]:
    """A colour for each of these (ordered) arms; grey for the control and the unknown one."""
    treated = itertools.cycle(ARM_PALETTE)
    return {arm: QUIET if arm in OWN_DASHES else next(treated) for arm in arms}


@cache
def readable(color: str, ground: str) -> str:
    """A colour (#rrggbb) with as much black or white in it as makes text of it readable (4.5 to 1) on a ground."""
    behind, more = GROUND[ground]
    levels, added = ([*bytes.fromhex(name[1:])] for name in (color, more))
    for share in range(0, 101, 5):
        mixed = [round(level + (most - level) * share / 100) for level, most in zip(levels, added, strict=True)]
        text = f"#{bytes(mixed).hex()}"
        if contrast(text, behind) >= 4.5:
            break
    return text


def arm_labels(arms: Sequence[str]) -> dict[str, Any]:
    """What makes a legend of arms say that runs whose arm is unknown are not compared."""
    text = f"datum.label === '{UNKNOWN}' ? '{UNCOMPARED}' : datum.label"
    return {"labelExpr": text} if UNKNOWN in arms else {}


def family_title(metrics: Sequence[Metric], family: str) -> str:
    """The y title: what the metrics' keys end with where they agree (`Consistency Loss`), else the family."""
    ends = {one_line(m.key.rsplit("/", 1)[-1]).replace("_", " ").title() for m in metrics}
    return ends.pop() if len(ends) == 1 else family.title()


def legend_columns(names: Sequence[str], title: str = "") -> alt.ExprRef:
    """As many columns of a legend as its names have room for beside its title in the width of the chart."""
    # Its own width changes once it is laid out; that of the page does not. A grid has none: its cells are 400 pixels wide.
    room = f"(containerSize()[0] ? containerSize()[0] - 70 : width || 400) - {7 * len(title)}"
    return alt.ExprRef(f"max(1, min({len(names)}, floor(({room}) / {_entry_width(names)})))")


def legend_rows(names: Sequence[str], width: int) -> int:
    """The rows of a legend of these names in a chart of a width in pixels."""
    return math.ceil(len(names) / max(1, width // _entry_width(names)))


def _entry_width(names: Sequence[str]) -> int:
    """Pixels of an entry of a legend, nearly: its symbol, its name and what is between two."""
    return 44 + round(6.3 * max(map(len, names), default=0))


def text_styles(ground: str) -> dict[str, Any]:
    """The styles of texts, for a chart's config, in the colours of its ground: `light` or `dark`."""
    return {QUIET_TEXT: {"color": QUIET_ON[ground]}, RULE_TEXT: {"color": RULE_ON[ground]}}
