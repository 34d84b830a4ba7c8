"""Charts as files: self-contained HTML, SVG, PDF, PNG and Vega-Lite JSON, at the size and in the type of a venue."""

import copy
import html
import json
import re
import textwrap
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any, Literal, get_args

import altair as alt
import vl_convert

from lib.charts_parts import QUIET_ON, text_styles
from lib.history import Manifest
from lib.study import Study, Task
from lib.view import View

Format = Literal["html", "svg", "pdf", "png", "json"]
FORMATS: tuple[str, ...] = get_args(Format)
MIME = {
    "html": "text/html",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "json": "application/json",
}
GRID_STEM = "combined_ablation"
PX_PER_INCH, POINTS_PER_INCH = 96, 72
#: The size in pixels of axis labels that charts are laid out for; a preset's own size scales the whole figure.
BASE_FONT = 11.0

Spec = dict[str, Any]


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


def file_stem(task: Task, *families: str) -> str:
    """The notebook's name of a figure's file: `acrobot_swingup_reward`; of several families `…_reward_and_loss`."""
    return f"{task.stem}_{'_and_'.join(families)}"


def render(
    chart: alt.TopLevelMixin,
    format: str,
    *,
    preset: Preset | str = "notebook",
    scale: float = 1.0,
    footer: str = "",
) -> bytes:
    """A chart as the bytes of a file.

    Parameters
    ----------
    chart : of a fixed width; one that fills its container takes the preset's width, or 800 pixels.
    format : one of `FORMATS`.
    preset : a preset or the name of one.
    scale : pixels of a PNG per pixel of the figure (at 96 an inch); 3 prints well.
    footer : small text below the figure (above it in the grid); see `footer_text`.

    Returns
    -------
    html : a page that needs no network and keeps zoom, hover and legends. svg, pdf : text stays text, without what
    only a pointer can use; a PDF embeds its fonts and measures the preset's inches. json : the Vega-Lite specification
    with its data.

    Raises
    ------
    ValueError
        Where there is no such format or preset.
    """
    if format not in FORMATS:
        raise ValueError(f"There is no figure format '{format}': choose one of {', '.join(FORMATS)}.")
    look = _preset(preset)
    spec = chart.to_dict()
    if format not in ("html", "json"):
        spec = _without_pointer(spec)
    spec, zoom = _styled(spec, look, footer)
    if format == "json":
        return json.dumps(spec).encode()
    if format == "html":
        return _page(spec).encode()
    if format == "svg":
        return _scaled_svg(_svg(spec), zoom).encode()
    if format == "pdf":
        # A drawing's pixel becomes a point, whatever size it asks for elsewhere.
        return vl_convert.svg_to_pdf(_scaled_svg(_svg(spec), zoom * POINTS_PER_INCH / PX_PER_INCH))
    return vl_convert.vegalite_to_png(spec, scale=zoom * scale)


def _preset(preset: Preset | str) -> Preset:
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ValueError(f"There is no preset '{preset}': choose one of {', '.join(PRESETS)}.")
    return PRESETS[preset]


def with_font(preset: Preset | str, *, font: str = "", font_size: float | None = None) -> Preset:
    """A preset in another font family or size (points)."""
    look = _preset(preset)
    return replace(look, font=font or look.font, font_size=font_size or look.font_size)


def footer_text(study: Study, manifest: Manifest, view: View, effects: bool = False) -> str:
    """What a figure rests on, in a sentence: runs, fetch time, settings, versions, ddof.

    Of the view's settings a figure of `effects` has the runs left out alone.
    """
    kept = [run for run in manifest.runs if run.tasks and run.id not in view.left_out]
    spread = {
        "std": "one standard deviation (ddof 1)",
        "se": "one standard error (ddof 1)",
        "ci": "95% t interval (ddof 1)",
        "minmax": "lowest and highest seed",
    }[view.spread]
    window = "not smoothed"
    if view.smooth:
        steps = sorted({view.smoothing(task) for task in study.tasks})
        window = f"train rewards smoothed over {' or '.join(f'{n:,}' for n in steps)} steps"
    grid = "aligned bins" if view.grid == "aligned" else "exact steps, as the original notebook"
    left = f", {len(view.left_out)} left out" if view.left_out else ""
    counted = f"{len(kept)} {'run' if len(kept) == 1 else 'runs'}"
    settings = f"{view.aggregate} over seeds, band: {spread}, {window}, {grid}{_also(view)}"
    if effects:
        settings = "Effects from raw rows, in the windows that the study declares"
    return (
        f"{study.title}. {counted}{left}, fetched {manifest.fetched_at}. {settings}. "
        f"altair {version('altair')}, polars {version('polars')}."
    )


def _also(view: View) -> str:
    """What else the view draws, to be added to a sentence."""
    found = [
        (view.x == "wall", "over hours since each run's first timestamp"),
        (bool(view.color_by), f"every run coloured by {view.color_by}"),
        (view.draws_raw, "dots: before smoothing"),
    ]
    return "".join(f", {text}" for holds, text in found if holds)


def sidecar(study: Study, manifest: Manifest, view: View, effects: bool = False) -> bytes:
    """The same as `footer_text`, and the ids of the runs, as JSON to lie beside a figure."""
    runs = [run.id for run in manifest.runs if run.tasks and run.id not in view.left_out]
    settings: dict[str, Any] = {name: getattr(view, name) for name in View.__dataclass_fields__}
    if effects:
        settings = {"left_out": view.left_out, "evidence": asdict(study.evidence)}
    tree = {
        "study": study.name,
        "source": manifest.source,
        "fetched_at": manifest.fetched_at,
        "runs": runs,
        "settings": settings,
        "ddof": 1,
        "versions": {name: version(name) for name in ("altair", "polars", "scipy", "vl-convert-python")},
        "text": footer_text(study, manifest, view, effects),
    }
    return json.dumps(tree, indent=1, default=list).encode()


# Settings of the look


def _styled(spec: Spec, look: Preset, footer: str) -> tuple[Spec, float]:
    """The specification laid out for `BASE_FONT`, and the factor that brings it to the preset's font size.

    Charts place a few things in pixels (the strip of n, room for the rule's label); scaling the whole figure keeps
    them, the lines and the text in proportion at every font size.
    """
    zoom = look.font_size * PX_PER_INCH / POINTS_PER_INCH / BASE_FONT
    spec = copy.deepcopy(spec)
    own = spec.get("config", {})
    config = _config(look.font)
    spec["config"] = own | config | {"legend": own.get("legend", {}) | config["legend"]}
    spec["background"] = "white"
    if not look.title:
        _drop_titles(spec)
    width = look.width * PX_PER_INCH / zoom if look.width else None
    if "vconcat" in spec:
        if width:
            _fit_grid(spec, width)
    else:
        several = sum("layer" in part for part in spec.get("layer", ())) > 1
        _fit_single(spec, width, look.stacked if several else look.height)
    if footer:
        _add_footer(spec, footer, width or 800)
    return spec, zoom


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


def _drop_titles(spec: Spec) -> None:
    """Leave the figure's own title out; the cells of a grid keep theirs, they tell which is which."""
    spec.pop("title", None)


def _fit_single(spec: Spec, width: float | None, height: float | None) -> None:
    if width is None and not isinstance(spec.get("width"), int | float):
        width = 800
    if width is not None:
        spec["width"] = round(width, 2)
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
        spec["padding"] = 2
        _shorten_rule(spec, width)
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
        spare = (width - _width(_svg(spec))) / columns
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


def _without_pointer(spec: Spec) -> Spec:
    """The specification without what needs a pointer: selections, and the rule that follows it."""

    def still(node: Any) -> Any:
        if isinstance(node, list):
            return [still(item) for item in node if not _follows(item)]
        if not isinstance(node, dict):
            return node
        condition = node.get("condition")
        if isinstance(condition, dict) and "value" in condition and '"param"' in json.dumps(condition):
            # What nobody points at looks as it does at first; an empty selection may hold everywhere or nowhere.
            return {"value": node["value"] if condition.get("empty") is False else condition["value"]}
        return {k: v if k in ("data", "datasets") else still(v) for k, v in node.items() if k != "params"}

    bare: Spec = still(spec)
    drawn = json.dumps({k: v for k, v in bare.items() if k != "datasets"})
    bare["datasets"] = {k: v for k, v in spec.get("datasets", {}).items() if f'"{k}"' in drawn}
    return bare


def _follows(node: Any) -> bool:
    return isinstance(node, dict) and "_hover_" in str(node.get("name", ""))


# Formats


def _svg(spec: Spec) -> str:
    text: str = vl_convert.vegalite_to_svg(spec)
    return text


def _width(svg: str) -> float:
    found = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
    return float(found[1]) if found else 0.0


def _scaled_svg(svg: str, zoom: float) -> str:
    """The drawing at another size: its outer width and height change, its coordinates stay."""

    def resized(match: re.Match[str]) -> str:
        return f'{match[1]}{float(match[2]) * zoom:g}" height="{float(match[3]) * zoom:g}"'

    return re.sub(r'(<svg[^>]* width=")([\d.]+)" height="([\d.]+)"', resized, svg, count=1)


@cache
def _script() -> str:
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    return bundle


def _page(spec: Spec) -> str:
    """One page with the libraries inside. Data and names may hold anything, so no "<" of theirs reaches the markup."""
    title = spec.get("title")
    text = title.get("text", "") if isinstance(title, dict) else title
    name = html.escape(" ".join(text) if isinstance(text, list) else str(text or "Figure"))
    data = json.dumps(spec).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    options = json.dumps(
        {"renderer": "svg", "actions": {"export": True, "source": True, "compiled": False, "editor": False}}
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f'<script>{_script()}</script>\n</head>\n<body>\n<main id="figure"></main>\n'
        f"<script>vegaEmbed('#figure', {data}, {options}).catch(console.error);</script>\n</body>\n</html>\n"
    )
