"""What a figure or report rests on: footer, sidecar, versions, citation."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, urlencode

from lib.curves import View
from lib.formatting import file_name, listing, one_line, plural
from lib.report.results import Results
from lib.runs import Manifest
from lib.study import Study, part_of
from lib.version import VERSION

_TOOL = f"computed with Did the detach help? {VERSION}"
_KINDS = {"wandb": "W&B project", "offline": "local wandb runs", "bundle": "bundle"}
_TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def view_link(address: str, query: Iterable[tuple[str, str]]) -> str:
    """The address of a page with the settings that its query holds."""
    pairs = urlencode(list(query))
    return f"{address}?{pairs}" if pairs else address


def citation(study: Study, manifest: Manifest) -> str:
    """The study in a sentence or two: title, source, runs, fetch date, tool and its version."""
    source = _source(manifest)
    return f"{study.title}. {source[0].upper()}{source[1:]}, {_run_count(manifest)}. C{_TOOL[1:]}."


def bibtex(study: Study, manifest: Manifest) -> str:
    """The same as a BibTeX entry; names from the study or the source cannot end a field."""
    entity, year = manifest.source.get("entity", ""), manifest.fetched_at[:4]
    year = year if year.isdecimal() else ""
    fields = {
        "author": f"{{{_tex(entity)}}}" if entity else "",
        "title": f"{{{_tex(study.title)}}}",
        "year": year,
        "howpublished": _tex(_source(manifest)),
        "note": _tex(f"{_run_count(manifest)}; {_TOOL}"),
        "url": quote(_url(manifest), safe="/:?&=%#@~+,;.-_"),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{file_name(study.name)}_{year or 'undated'},", *lines, "}"])


def _source(manifest: Manifest) -> str:
    """Where the runs came from; of a local folder no more than that it was one."""
    source = manifest.source
    kind = _KINDS.get(source.get("kind", ""), "runs")
    return f"{kind} {source['entity']}/{source['project']}" if source.get("entity") else kind


def _run_count(manifest: Manifest) -> str:
    return f"{plural(len(manifest.runs), 'run')}, fetched {manifest.fetched_at[:10]}"


def _url(manifest: Manifest) -> str:
    """The project's page on its server, where its runs name one."""
    urls = {run.url.partition("/runs/")[0] for run in manifest.runs if "/runs/" in run.url}
    return urls.pop() if len(urls) == 1 else ""


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in one_line(text))


def footer_text(study: Study, manifest: Manifest, view: View, effects: bool = False) -> str:
    """What a figure rests on, in a sentence: runs, fetch time, settings, versions, ddof.

    Of the view's settings a figure of `effects` has the runs left out, the tasks and the metrics alone.
    """
    runs = [run for run in manifest.runs if run.tasks and run.id not in view.left_out]
    spread = {
        "std": "one standard deviation (ddof 1)",
        "se": "one standard error (ddof 1)",
        "ci": "95% t interval (ddof 1)",
        "minmax": "lowest and highest seed",
    }[view.spread]
    window = "not smoothed"
    if view.smooth:
        visible = part_of(study, view.tasks, view.metrics)
        steps = sorted({view.smoothing(task) for task in visible.tasks})
        window = (
            f"train rewards smoothed over {listing((f'{n:,}' for n in steps), 'or')} step{'' if steps == [1] else 's'}"
        )
    grid = "aligned bins" if view.grid == "aligned" else "exact steps, as the original notebook"
    left = f", {len(view.left_out)} left out" if view.left_out else ""
    settings = f"{view.aggregate} over seeds, band: {spread}, {window}, {grid}{_also(view)}"
    if effects:
        settings = "Claims from raw rows, in the windows that the study declares"
    return (
        f"{study.title}. {plural(len(runs), 'run')}{left}, fetched {manifest.fetched_at}. {settings}. {_part(study, view)}"
        f"altair {version('altair')}, polars {version('polars')}."
    )


def _part(study: Study, view: View) -> str:
    """What of the study is shown, where that is not all, as a sentence."""
    counts = [(view.tasks, len(study.tasks), "tasks"), (view.metrics, len(study.metrics), "metrics")]
    parts = [f"{len(keys)} of {total} {kind}" for keys, total, kind in counts if keys]
    return f"Shown: {listing(parts)}. " if parts else ""


def _also(view: View) -> str:
    """What else the view draws, to be added to a sentence."""
    settings = [
        (view.x == "wall", "over hours since each run's first timestamp"),
        (bool(view.color_by), f"every run coloured by {view.color_by}"),
        (view.draws_raw, "dots: before smoothing"),
    ]
    return "".join(f", {text}" for holds, text in settings if holds)


def sidecar(study: Study, manifest: Manifest, view: View, effects: bool = False) -> bytes:
    """The same as `footer_text`, and the ids of the runs, as JSON to lie beside a figure."""
    runs = [run.id for run in manifest.runs if run.tasks and run.id not in view.left_out]
    settings: dict[str, Any] = {name: getattr(view, name) for name in View.__dataclass_fields__}
    if effects:
        settings = {name: settings[name] for name in ("left_out", "tasks", "metrics")} | {
            "evidence": asdict(study.evidence)
        }
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


_PACKAGES = ("streamlit", "altair", "polars", "scipy", "wandb")


def provenance(results: Results) -> list[tuple[str, str]]:
    """Where the numbers come from: source, fetch time, runs, settings, versions."""
    source = ", ".join(f"{name} {value}" for name, value in results.manifest.source.items() if value)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        ("Study", results.study.name),
        ("Source", source),
        ("Fetched", results.manifest.fetched_at),
        ("Runs", ", ".join(run.id for run in results.manifest.runs)),
        ("Settings", footer_text(results.study, results.manifest, results.view)),
        ("Standard deviation", "sample standard deviation over seeds (ddof 1)"),
        ("Versions", f"Python {platform.python_version()}, {packages}"),
    ]
