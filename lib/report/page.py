"""report.html: the study as one self-contained page; and claims.md."""

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from lib.curves import notes
from lib.effects import ALL_TASKS, claim, cost_and_gain, headline, shared_reasons, shown_verdict, summary
from lib.formatting import markdown_text, one_line
from lib.report import methods
from lib.report.evidence import drawing, evidence, overview
from lib.report.figures import GRID_STEM
from lib.report.overrides import left_out_text
from lib.report.provenance import provenance
from lib.report.render import Picture, pictures
from lib.report.results import Results
from lib.report.tables import effects_table, html_table, runs_of_metrics
from lib.runs import missing_keys, of_task
from lib.study import to_toml, without_folders


def report_page(results: Results, images: Mapping[str, Picture] | None = None, workers: Executor | None = None) -> str:
    """The whole study as HTML: claims, effects, curves as SVG, runs and provenance. It needs no network.

    Parameters
    ----------
    images : the pictures of `results.figures` by their stems, where they are drawn already.
    workers : what draws the others; None: this process.
    """
    curves = [figure for figure in results.figures if figure.stem != GRID_STEM]
    if images is None:
        drawings = pictures((figure.file_chart for figure in curves), workers)
        images = {figure.stem: image for figure, image in zip(curves, drawings, strict=True)}
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template("report.html.j2").render(
        study=results.study,
        warnings=warnings(results),
        headline=headline(results.effects, results.study),
        cost_and_gain=cost_and_gain(results.analysis, results.effects, results.visible),
        summary=summary(results.effects, results.study),
        claims=_claims_by_task(results),
        shared_reasons=shared_reasons(results.effects.to_dicts()),
        effects=html_table(effects_table(results.effects, results.study)),
        runs=html_table(runs_of_metrics(results.runs, results.visible)),
        figures=[drawing(figure, images[figure.stem]) for figure in curves],
        overview=overview(results, workers),
        tasks=evidence(results, workers),
        methods={
            "curves": methods.curves_text(results.view),
            "effects": methods.EFFECTS,
            "verdicts": methods.verdicts_text(results.effects).replace("**", ""),
            "encoder": methods.ENCODER,
            "detach": methods.DETACH,
            "audit": methods.AUDIT,
        },
        provenance=provenance(results),
        toml=to_toml(without_folders(results.study)),
    )


def claims(results: Results) -> str:
    """The claims as Markdown, with what they rest on; names in them load no image and are no markup."""
    lines = [f"# {_line(results.study.title)}", ""]
    if results.study.hypothesis:
        lines += [f"Hypothesis: {_line(results.study.hypothesis)}", ""]
    lines += [f"- {_line(line)}" for line in claim_lines(results)]
    lines += ["", "## Provenance", ""]
    lines += [f"- {name}: {_line(value)}" for name, value in provenance(results)]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return markdown_text(one_line(text, len(text)))


def claim_lines(results: Results) -> list[str]:
    """One sentence per row of effects."""
    return [claim(row, results.study, results.treatments) for row in results.effects.iter_rows(named=True)]


def _claims_by_task(results: Results) -> dict[str, list[tuple[str, str]]]:
    """The verdict and the sentence of every claim by the task's title; across tasks comes first, as on the Overview."""
    claims_by_task: dict[str, list[tuple[str, str]]] = {}
    rows = sorted(results.effects.to_dicts(), key=lambda row: row["task"] != ALL_TASKS)
    shared = shared_reasons(rows)
    for row in rows:
        title = "Across tasks" if row["task"] == ALL_TASKS else results.study.task(row["task"]).title
        sentence = claim(row, results.study, results.treatments, shared)
        claims_by_task.setdefault(title, []).append((shown_verdict(row), sentence))
    return claims_by_task


def warnings(results: Results) -> list[str]:
    """What a reader must know before the results: missing parts, silent metrics, runs left out."""
    lines = [problem.message for problem in results.manifest.problems]
    lines += missing_keys(results.study, results.manifest)
    for key, clocks in results.data.clocks.items():
        lines += notes(results.study.task(key), of_task(results.treatments, key), clocks)
    lines += results.data.warnings
    left_out = left_out_text(results.view.left_out)
    return [*lines, left_out] if left_out else lines
