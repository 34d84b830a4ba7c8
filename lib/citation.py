"""How a study and a view of it are referred to: a citation as text and as BibTeX, and the link to a view."""

import re
from collections.abc import Iterable
from urllib.parse import urlencode

from lib import VERSION
from lib.history import Manifest
from lib.study import Study

TOOL = "Did the detach help?"
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
    place = _place(manifest)
    return f"{study.title}. {place[0].upper()}{place[1:]}, {_counted(manifest)}. C{_made()[1:]}."


def bibtex(study: Study, manifest: Manifest) -> str:
    """The same as a BibTeX entry; names from the study or the source cannot end a field."""
    entity, url = manifest.source.get("entity", ""), _url(manifest)
    fields = {
        "author": f"{{{_tex(entity)}}}" if entity else "",
        "title": f"{{{_tex(study.title)}}}",
        "year": manifest.fetched_at[:4],
        "howpublished": _tex(_place(manifest)),
        "note": _tex(f"{_counted(manifest)}; {_made()}"),
        "url": url.replace("{", "%7B").replace("}", "%7D"),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    key = re.sub(r"[^A-Za-z0-9]+", "_", study.name).strip("_") or "study"
    return "\n".join([f"@misc{{{key}_{manifest.fetched_at[:4]},", *lines, "}"])


def _place(manifest: Manifest) -> str:
    """Where the runs came from; of a local folder no more than that it was one."""
    source = manifest.source
    kind = _KINDS.get(source.get("kind", ""), "runs")
    return f"{kind} {source['entity']}/{source['project']}" if source.get("entity") else kind


def _counted(manifest: Manifest) -> str:
    count = len(manifest.runs)
    return f"{count} run{'' if count == 1 else 's'}, fetched {manifest.fetched_at[:10]}"


def _made() -> str:
    return f"computed with {TOOL} {VERSION}"


def _url(manifest: Manifest) -> str:
    """The project's page on its server, where its runs name one."""
    urls = {run.url.partition("/runs/")[0] for run in manifest.runs if "/runs/" in run.url}
    return urls.pop() if len(urls) == 1 else ""


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)
