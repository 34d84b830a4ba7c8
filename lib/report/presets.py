"""Sizes and fonts of exported figures for a notebook, a slide, a paper or a poster."""

import json
import re
import textwrap
from dataclasses import dataclass, replace
from typing import Any

import vl_convert

from lib.charts import LABELLED, QUIET_ON, WIDE, text_styles

PX_PER_INCH, POINTS_PER_INCH = 96, 72
#: The size in pixels of axis labels that charts are laid out for; a preset's own size scales the whole figure.
BASE_FONT = 11.0

Spec = dict[str, Any]
#: In JSON, what no XML may hold: control characters, halves of surrogate pairs and signs that are none.
_UNDRAWABLE = re.compile(r"((?<!\\)(?:\\\\)*)(?:\\(?:b|f|u00(?:0[0-8be-f]|1[0-9a-f]))|[\ud800-\udfff\ufffe\uffff])")


@dataclass(frozen=True)
class Preset:
    """The look of an exported figure.

    `width` is the whole figure's in inches, axes and legend included (None: as the chart was made); `font_size` is
    that of axis labels, in points; `title` whether the figure keeps its title (papers caption their figures); `height` that
    of a single plot as a share of the width, `stacked` that of two families one below the other (a grid keeps the height
    of its cells).
    """

    name: str
    width: float | None = None
    font: str = "Liberation Sans, Arial, Helvetica, sans-serif"
    font_size: float = BASE_FONT * POINTS_PER_INCH / PX_PER_INCH
    title: bool = True
    height: float | None = None
    stacked: float | None = None

    @property
    def zoom(self) -> float:
        """The factor that brings a figure laid out for `BASE_FONT` to the preset's font size."""
        return self.font_size * PX_PER_INCH / POINTS_PER_INCH / BASE_FONT


_SERIF = "Liberation Serif, Times New Roman, Times, serif"
PRESETS = {
    preset.name: preset
    for preset in (
        Preset("notebook"),
        Preset("slide", width=10, font_size=14, height=0.42, stacked=0.55),
        Preset("paper, one column", width=3.25, font=_SERIF, font_size=8, title=False, height=0.6, stacked=1.1),
        Preset("paper, two columns", width=6.75, font=_SERIF, font_size=8, title=False, height=0.4, stacked=0.7),
        Preset("poster", width=16, font_size=24, height=0.45, stacked=0.7),
    )
}


def preset_of(preset: Preset | str) -> Preset:
    """A preset by its name; ValueError where there is none."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ValueError(f"There is no preset '{preset}': choose one of {', '.join(PRESETS)}.")
    return PRESETS[preset]


def with_font(preset: Preset | str, *, font: str = "", font_size: float | None = None) -> Preset:
    """A preset in another font family or size (points)."""
    preset = preset_of(preset)
    return replace(preset, font=font or preset.font, font_size=font_size or preset.font_size)


# Settings of the look


def styled(spec: Spec, preset: Preset, footer: str) -> Spec:
    """The specification laid out for `BASE_FONT`; the preset's `zoom` brings it to its font size.

    Charts place a few things in pixels (the strip of n, room for the rule's label); scaling the whole figure keeps
    them, the lines and the text in proportion at every font size.
    """
    spec, footer = _drawable([spec, footer])
    own, config = spec.get("config", {}), _config(preset.font)
    spec["config"] = own | config | {"legend": own.get("legend", {}) | config["legend"]}
    spec["background"] = "white"
    if not preset.title:
        # The figure's own: the cells of a grid keep theirs, which tell them apart.
        spec.pop("title", None)
    width = preset.width * PX_PER_INCH / preset.zoom if preset.width else None
    if "vconcat" in spec:
        if width:
            _fit_grid(spec, width)
    else:
        several = sum("layer" in part for part in spec.get("layer", ())) > 1
        _fit_single(spec, width, preset.stacked if several else preset.height)
    if footer:
        _add_footer(spec, footer, width or 800)
    return spec


def _drawable(tree: Any) -> Any:
    """Parts of a specification with a replacement for each sign in others' names that ends the drawing program."""
    text = json.dumps(tree, ensure_ascii=False)
    plain = _UNDRAWABLE.sub("\\1\ufffd", text)
    return tree if plain == text else json.loads(plain)


def _config(font: str) -> Spec:
    grid = {"gridColor": "#e5e5e5", "domainColor": "#888", "tickColor": "#888"}
    sizes = {"labelFontSize": BASE_FONT, "titleFontSize": BASE_FONT + 1}
    return {
        "font": font,
        "view": {"stroke": None},
        "style": text_styles("light"),
        "axis": grid | sizes | {"titleFontWeight": "normal"},
        "legend": sizes,
        "title": {"fontSize": BASE_FONT + 3, "subtitleFontSize": BASE_FONT - 2, "subtitleColor": QUIET_ON["light"]},
    }


def _fit_single(spec: Spec, width: float | None, height: float | None) -> None:
    if width is None and not isinstance(spec.get("width"), int | float):
        width = 800
    if width is not None:
        spec["width"] = round(width, 2)
        spec["autosize"] = {"type": "fit-x", "contains": "padding", "resize": True}
        spec["padding"] = 2
        _shorten_rule(spec, width)
        for param in spec.get("params", ()):
            if param["name"] == LABELLED:
                param["value"] = width >= WIDE
    # A height by steps is that of rows of text, which need it whatever the width.
    if height and width and not isinstance(spec.get("height"), dict):
        spec["height"] = round(width * height)


#: Pixels below which a cell of a grid has no room for its axes and legend: the cells are then stacked.
NARROWEST_CELL = 200
#: Pixels of a character of a cell's title, nearly.
TITLE_CHARACTER = 7.5
#: The same of the rule's label, which is in smaller type.
RULE_CHARACTER = 5.5


def _fit_grid(spec: Spec, width: float) -> None:
    """Cells of the width that makes the whole grid as wide as asked for: drawn three times, since axes need their room."""
    cells = [cell for row in spec["vconcat"] for cell in row.get("hconcat", [row])]
    columns = max(len(row.get("hconcat", [row])) for row in spec["vconcat"])
    if width / columns < NARROWEST_CELL:
        spec["vconcat"], columns = cells, 1
    for cell in cells:
        cell["width"] = round(width / columns * 0.8)
        _wrap_title(cell, cell["width"])
        _shorten_rule(cell, width / columns)
    for _ in range(3):
        spare = (width - _width(svg(spec))) / columns
        for cell in cells:
            cell["width"] = max(60, round(cell["width"] + spare, 2))


def _wrap_title(cell: Spec, width: float) -> None:
    """A cell's title in as many lines as its width asks for: a long one would make the grid wider than its venue."""
    title = cell.get("title")
    if isinstance(title, dict) and isinstance(title["text"], str):
        cell["title"] = title | {"text": textwrap.wrap(title["text"], max(12, int(width / TITLE_CHARACTER)))}


def _shorten_rule(spec: Spec, width: float) -> None:
    """Leave out of the rule's label where its step came from, where half of the width is too little for it."""
    for layer in spec.get("layer", ()):
        if "detach_label" in str(layer.get("name", "")):
            lines = layer["mark"]["text"]
            if max(map(len, lines)) * RULE_CHARACTER > 0.42 * width:
                layer["mark"]["text"] = [line.partition(" (")[0] for line in lines]


def _add_footer(spec: Spec, footer: str, width: float) -> None:
    lines = textwrap.wrap(footer, max(30, int(width / 5.2)))
    if "layer" not in spec:
        small = {"fontSize": BASE_FONT - 2, "fontWeight": "normal", "color": QUIET_ON["light"], "orient": "bottom"}
        title = spec.get("title") or {"text": lines, "anchor": "start", "offset": 12} | small
        spec["title"] = title if title["text"] == lines else title | {"subtitle": lines}
        return
    spec["layer"].append(
        {
            "data": {"values": [{}]},
            "name": "footer",
            "mark": {
                "type": "text", "text": lines, "align": "left", "baseline": "top", "color": QUIET_ON["light"],
                "fontSize": BASE_FONT - 2, "clip": False, "dy": 44,
            },
            "encoding": {"x": {"value": -40}, "y": {"value": "height"}},
        }
    )  # fmt: skip


# Formats


def svg(spec: Spec) -> str:
    """The drawing of a specification."""
    text: str = vl_convert.vegalite_to_svg(spec)
    return text


def _width(drawing: str) -> float:
    match = re.search(r'<svg[^>]* width="([\d.]+)"', drawing)
    return float(match[1]) if match else 0.0
