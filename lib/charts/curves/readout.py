"""What the pointer reads: a table of every series of a family at its step, beside it in the family's panel."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from lib.charts.axes import PlotArea
from lib.charts.curves.series_style import SeriesStyle
from lib.charts.curves.tables import Curve
from lib.charts.style import QUIET, WINDOW, arm_dashes

#: Pixels of a line, of a sign, of the sample of a line with its gap, of the edge, and between the pointer and the table.
LINE, SIGN, SAMPLE, EDGE, AWAY = 14, 5.8, 24, 6, 14
#: Lines of a table at most: further ones are beside them. Signs of a line of an arm's name.
LINES, ARM_SIGNS = 10, 16
#: Signs of a number with its band and n, with n, and alone, on a linear and on a log axis; and what a shorter form leaves out.
FORMS = {False: (28, 14, 7), True: (35, 16, 8)}
LEFT_OUT = ("", r" \[[^\]]*\]", r"( \[|, n).*")
#: A text or a sample of a line: where it is, and what it says or how it looks.
_Mark = dict[str, Any]
INK = "luminance(background || 'white') > 0.5 ? '#262730' : '#fafafa'"


@dataclass(frozen=True)
class Readout:
    """The table of one family: its curves, their y range and whether that is of a log axis, and where its panel is.

    `names` are what the rows are called, by what colours stand for; `above` and `below` are pixels of its panel that the
    rule's label and the strip of n have.
    """

    curves: Sequence[Curve]
    style: SeriesStyle
    names: dict[str, str]
    domain: tuple[float, float]
    log: bool
    area: PlotArea
    above: int
    below: int

    @property
    def columns(self) -> list[str]:
        """The arms beside each other; one column without a heading where colours stand for arms, or there is one arm."""
        arms = [arm for arm in self.style.arms if any(curve.arm == arm for curve in self.curves)]
        return [""] if self.style.by_arm or len(arms) < 2 else arms

    @property
    def headings(self) -> dict[str, list[str]]:
        """The lines of each column's heading."""
        return {arm: textwrap.wrap(arm, ARM_SIGNS) for arm in self.columns}

    @property
    def head(self) -> int:
        """Lines of the headings, of which the first has the step."""
        return max(1, *map(len, self.headings.values()))

    @property
    def rows(self) -> dict[str, str]:
        """The names of the rows that have a curve, by what their colour stands for."""
        present = {self.row_of(curve) for curve in self.curves}
        return {key: name.partition(WINDOW)[0] for key, name in self.names.items() if key in present}

    @property
    def lines(self) -> int:
        """Lines of each block of rows."""
        return math.ceil(len(self.rows) / self.blocks)

    @property
    def blocks(self) -> int:
        """Blocks of rows beside each other."""
        return max(1, math.ceil(len(self.rows) / LINES))

    @property
    def height(self) -> int:
        """Pixels of the table."""
        return LINE * (self.head + self.lines) + 2 * EDGE

    def row_of(self, curve: Curve) -> str:
        """What the colour of a curve stands for."""
        return curve.arm if self.style.by_arm else self.style.label(curve.metric)

    def column_of(self, curve: Curve) -> int:
        """The column of a curve."""
        return self.columns.index(curve.arm) if len(self.columns) > 1 else 0


def fields(readouts: Sequence[Readout]) -> list[str]:
    """The columns of `pointer.hover_table` that the tables read."""
    return [
        "step",
        *(f"s{i}" for i in range(sum(len(part.curves) for part in readouts))),
        *(f"top{i}" for i in range(len(readouts))),
    ]


def params(readouts: Sequence[Readout]) -> list[dict[str, str]]:
    """Where the tables are and how wide: as much of each number as half of the plot has room for.

    Tables are as wide as the widest; where they are wider than the plot, all of them is smaller.
    """
    blocks, columns = max(part.blocks for part in readouts), max(len(part.columns) for part in readouts)
    heading = max(
        (len(line) * SIGN + SAMPLE for part in readouts for lines in part.headings.values() for line in lines),
        default=0,
    )
    cells = [math.ceil(max(heading, SIGN * max(FORMS[part.log][form] for part in readouts)) + 4) for form in range(3)]
    name = _name_width(readouts)
    wide = [blocks * (name + columns * cell) + EDGE for cell in cells]
    form = f"width >= {2 * (wide[0] + AWAY)} ? 0 : width >= {2 * (wide[1] + AWAY)} ? 1 : 2"
    at = "scale('x', hover.step[0])"
    right, left = f"min({at} + {AWAY}, width - hover_width)", f"max(0, {at} - {AWAY} - hover_width)"
    tops = [
        f"hover.step && hover.top{i}[0] ? {_expression(part.area.below_top(part.above))}"
        f" : {_expression(part.area.above_foot(part.below))} - {part.height}"
        for i, part in enumerate(readouts)
    ]
    return [
        {"name": "hover_form", "expr": form},
        {"name": "hover_cell", "expr": f"{cells}[hover_form]"},
        {"name": "hover_scale", "expr": f"min(1, width / {wide}[hover_form])"},
        {"name": "hover_width", "expr": f"{wide}[hover_form] * hover_scale"},
        {"name": "hover_block", "expr": f"{name} + {columns} * hover_cell"},
        {"name": "hover_x", "expr": f"hover.step ? ({at} < width / 2 ? {right} : {left}) : 0"},
        {"name": "hover_y", "expr": f"[{', '.join(tops)}]"},
    ]


def _name_width(readouts: Sequence[Readout]) -> int:
    """Pixels of the rows' samples and names."""
    return math.ceil(
        SAMPLE + 8 + SIGN * max((len(name) for part in readouts for name in part.rows.values()), default=0)
    )


def _expression(y: alt.ExprRef | float) -> str:
    return str(y.expr) if isinstance(y, alt.ExprRef) else f"{y:g}"


def layers(readouts: Sequence[Readout], prefix: str) -> list[alt.Chart]:
    """The tables, to be layered last: their grounds, samples of lines, and texts. They are there while the pointer is."""
    samples, texts = _marks(readouts)
    left = f"hover_x + hover_scale * ({EDGE} + datum.block * hover_block"
    left += f" + (datum.column < 0 ? 0 : {_name_width(readouts)} + datum.column * hover_cell)"
    middle = f"hover_y[datum.panel] + {EDGE} + {LINE} * (datum.line + 0.5)"
    return [
        _grounds(readouts, f"{prefix}_hover_ground"),
        _line_samples(samples, left, middle, f"{prefix}_hover_samples"),
        _texts(texts, left, middle, f"{prefix}_hover_texts"),
    ]


def _marks(readouts: Sequence[Readout]) -> tuple[list[_Mark], list[_Mark]]:
    """The samples of lines and the texts: each with its panel, block of rows, line and column, -1 for that of names."""
    samples: list[_Mark] = []
    texts: list[_Mark] = []
    series = 0
    for panel, part in enumerate(readouts):
        dashes = dict(zip(part.style.arms, arm_dashes(part.style.arms, solid=part.style.by_arm), strict=True))
        colors, rows = part.style.entries(), list(part.rows)
        for block in range(part.blocks):
            head = {"panel": panel, "block": block, "line": 0}
            texts.append({**head, "column": -1, "dx": 0})
            for column, (arm, lines) in enumerate(part.headings.items()):
                if arm:
                    samples.append({**head, "column": column, "color": QUIET, "dash": dashes[arm]})
                    texts.append({**head, "column": column, "text": lines, "dx": SAMPLE})
        cells = {
            row: {"panel": panel, "block": index // part.lines, "line": part.head + index % part.lines}
            for index, row in enumerate(rows)
        }
        for row, cell in cells.items():
            dash = dashes[row] if part.style.by_arm else [1, 0]
            samples.append({**cell, "column": -1, "color": colors[row], "dash": dash})
            texts.append({**cell, "column": -1, "text": part.rows[row], "dx": SAMPLE})
        for curve in part.curves:
            cell = cells[part.row_of(curve)]
            texts.append({**cell, "column": part.column_of(curve), "field": f"s{series}", "dx": 0})
            series += 1
    return samples, texts


def _grounds(readouts: Sequence[Readout], name: str) -> alt.Chart:
    """The ground of each table, which keeps its texts apart from the curves."""
    boxes = [{"panel": i, "height": part.height} for i, part in enumerate(readouts)]
    ground = _layer(boxes, name).mark_rect(
        aria=False,
        cornerRadius=4,
        fill=alt.ExprRef("background || 'white'"),
        fillOpacity=0.9,
        stroke=QUIET,
        strokeOpacity=0.4,
    )
    return ground.encode(
        x=_at("hover_x"),
        x2=alt.X2Value(alt.ExprRef("hover_x + hover_width")),
        y=_at("hover_y[datum.panel]", alt.YValue),
        y2=alt.Y2Value(alt.ExprRef("hover_y[datum.panel] + datum.height")),
    )


def _line_samples(samples: list[_Mark], left: str, middle: str, name: str) -> alt.Chart:
    """A piece of each line, in its colour and dash, before its name."""
    sample = _layer(samples, name).mark_rule(aria=False, strokeWidth=2.5)
    return sample.encode(
        x=_at(f"{left})"),
        x2=alt.X2Value(alt.ExprRef(f"{left} + {SAMPLE - 6})")),
        y=_at(middle, alt.YValue),
        stroke=alt.StrokeValue(alt.ExprRef("datum.color")),
        strokeDash=alt.StrokeDashValue(alt.ExprRef("datum.dash")),
    )


def _texts(texts: list[_Mark], left: str, middle: str, name: str) -> alt.Chart:
    """The headings, names and numbers; without any of these, the step."""
    number = f"replace(hover[datum.field][0], regexp({list(LEFT_OUT)}[hover_form]), '')"
    size = alt.ExprRef("11 * hover_scale")
    text = _layer(texts, name).mark_text(aria=False, align="left", baseline="middle", fontSize=size, lineHeight=LINE)
    return text.encode(
        x=_at(f"{left} + datum.dx)"),
        y=_at(middle, alt.YValue),
        text=alt.TextValue(alt.ExprRef(f"datum.text || (datum.field ? {number} : format(hover.step[0], ',.6~g'))")),
        fill=alt.FillValue(alt.ExprRef(INK)),
    )


def _layer(rows: list[_Mark], name: str) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows, name=name), name=name).transform_filter("hover.step")


def _at(expression: str, channel: type = alt.XValue) -> Any:
    return channel(alt.ExprRef(expression))
