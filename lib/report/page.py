"""report.html: the study as one self-contained page; and claims.md."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from lib.curves import notes
from lib.effects import claim
from lib.report import methods
from lib.report.evidence import evidence
from lib.report.figures import figures
from lib.report.provenance import provenance
from lib.report.render import render
from lib.report.results import Results
from lib.report.tables import _html_table, effects_table
from lib.runs import never_logged, of_task
from lib.study import to_toml, without_folders


def report_page(found: Results) -> str:
    """The whole study as HTML: claims, effects, curves as SVG, runs and provenance. It needs no network."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    drawn = [
        {"svg": Markup(render(chart, "svg").decode()), "title": stem.replace("_", " ")}  # noqa: S704
        for stem, chart in figures(found.study, found.drawn)
        if stem.endswith(("_reward", "_loss"))
    ]
    return environment.get_template("report.html.j2").render(
        study=found.study,
        warnings=warnings(found),
        claims=claim_lines(found),
        effects=_html_table(effects_table(found.effects, found.study)),
        runs=_html_table(found.runs),
        figures=drawn,
        evidence=evidence(found),
        methods={
            "curves": methods.curves_text(found.view),
            "effects": methods.EFFECTS,
            "verdicts": methods.VERDICTS.replace("**", ""),
            "detach": methods.DETACH,
            "audit": methods.AUDIT,
        },
        provenance=provenance(found),
        toml=to_toml(without_folders(found.study)),
    )


def claims(found: Results) -> str:
    """The claims as Markdown, with what they rest on."""
    lines = [f"# {found.study.title}", ""]
    if found.study.hypothesis:
        lines += [f"Hypothesis: {found.study.hypothesis}", ""]
    lines += [f"- {line}" for line in claim_lines(found)]
    lines += ["", "## Provenance", ""]
    lines += [f"- {name}: {value}" for name, value in provenance(found)]
    return "\n".join(lines) + "\n"


def claim_lines(found: Results) -> list[str]:
    """One sentence a row of effects."""
    return [claim(row, found.study, found.treated) for row in found.effects.iter_rows(named=True)]


def warnings(found: Results) -> list[str]:
    """What a reader must know before the results: missing parts, silent metrics, runs left out."""
    lines = [problem.message for problem in found.manifest.problems]
    lines += never_logged(found.study, found.manifest)
    for key, clocks in found.drawn.clocks.items():
        lines += notes(found.study.task(key), of_task(found.treated, key), clocks)
    if found.view.left_out:
        lines.append(f"Left out: {', '.join(found.view.left_out)}.")
    return lines
