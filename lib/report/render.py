"""Charts as files: self-contained HTML, SVG, PDF, PNG and Vega-Lite JSON."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

import vl_convert

from lib.charts import ChartSpec
from lib.report.presets import POINTS_PER_INCH, PX_PER_INCH, Preset, Spec, preset_of, styled, svg
from lib.runs import in_order
from lib.study import InputError
from lib.workers import WorkerError

Format = Literal["html", "svg", "pdf", "png", "json"]
FORMATS: tuple[str, ...] = get_args(Format)
#: Pictures that workers draw ahead of the reader at most.
_AHEAD = 16
#: The formats that are made of a drawing.
DRAWN = ("svg", "pdf", "png")
MIME = {
    "html": "text/html",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "json": "application/json",
}


def render(
    chart: ChartSpec,
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
    preset = preset_of(preset)
    if format in DRAWN:
        return picture(chart, preset, footer).file(format, scale)
    spec = styled(chart.to_dict(), preset, footer)
    return json.dumps(spec).encode() if format == "json" else _page(spec).encode()


@dataclass(frozen=True)
class Picture:
    """A chart drawn once, for a file of each of the formats `DRAWN`; `zoom` brings its pixels to the preset's font size."""

    svg: str
    zoom: float

    def file(self, format: str, scale: float = 1.0) -> bytes:
        """The picture as the bytes of a file; `scale` is as in `render`."""
        if format == "svg":
            return _scaled_svg(self.svg, self.zoom).encode()
        if format == "pdf":
            # A drawing's pixel becomes a point, whatever size it asks for elsewhere.
            return vl_convert.svg_to_pdf(_scaled_svg(self.svg, self.zoom * POINTS_PER_INCH / PX_PER_INCH))
        return vl_convert.svg_to_png(self.svg, scale=self.zoom * scale)

    def with_ids(self, prefix: str) -> "Picture":
        """The picture with ids of its own, so that several stand in one page; the library numbers them per process."""
        ids = {name: f"{prefix}-{number}" for number, name in enumerate(re.findall(r'(?<=\sid=")[^"]+', self.svg))}
        text = re.sub(
            r'(\sid="|url\(#|href="#)([^")]+)', lambda match: match[1] + ids.get(match[2], match[2]), self.svg
        )
        return replace(self, svg=text)


def picture(chart: ChartSpec, preset: Preset | str = "notebook", footer: str = "") -> Picture:
    """Draw a chart without what needs a pointer; the parameters are those of `render`."""
    preset = preset_of(preset)
    return Picture(svg(styled(_without_pointer(chart).to_dict(), preset, footer)), preset.zoom).with_ids("part")


def pictures(charts: Iterable[ChartSpec], workers: Executor | None = None) -> Iterator[Picture]:
    """The picture of each chart as in the notebook, in order; drawn by `workers`, of which few are ahead of the reader.

    Without workers they are drawn here, one after the other.

    Raises
    ------
    InputError
        Where the workers cannot draw one.
    """
    if workers is None:
        yield from map(picture, charts)
        return
    preset = preset_of("notebook")
    specs = (styled(_without_pointer(chart).to_dict(), preset, "") for chart in charts)
    # The library's own function: a process imports nothing else for it.
    for _, drawing in in_order(workers, _AHEAD, vl_convert.vegalite_to_svg, specs):
        try:
            text = drawing.result()
        except WorkerError as error:
            raise InputError(f"A figure cannot be drawn: {error}.") from None
        yield Picture(text, preset.zoom).with_ids("part")


def _without_pointer(chart: ChartSpec) -> ChartSpec:
    """The chart without what needs a pointer: selections, and the rule that follows it with its table."""

    def still(node: Any) -> Any:
        if isinstance(node, list):
            return [still(item) for item in node if not _follows(item)]
        if not isinstance(node, dict):
            return node
        condition = node.get("condition")
        if isinstance(condition, dict) and "value" in condition and '"param"' in json.dumps(condition):
            # What nobody points at looks as it does at first; an empty selection may hold everywhere or nowhere.
            return {"value": node["value"] if condition.get("empty") is False else condition["value"]}
        return {k: v if k == "data" else still(v) for k, v in node.items()}

    spec: Spec = still(dict(chart.spec))
    text = json.dumps(spec)
    return replace(chart, spec=spec, tables={k: v for k, v in chart.tables.items() if f'"{k}"' in text})


def _follows(node: Any) -> bool:
    """Whether a part of a specification is a layer that follows the pointer, or a selection."""
    return isinstance(node, dict) and ("hover_" in str(node.get("name", "")) or "select" in node)


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
