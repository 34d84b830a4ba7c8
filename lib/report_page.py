"""The study as one self-contained page, and its claims as text."""

import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from lib import methods
from lib.across import ALL_TASKS
from lib.audit import never_logged
from lib.baselines import without_folders
from lib.claims import claim
from lib.detach import of_task
from lib.figures import footer_text, render
from lib.report_evidence import evidence
from lib.results import Results, figures
from lib.study import Study, to_toml
from lib.wall_time import notes

_PACKAGES = ("streamlit", "altair", "polars", "scipy", "wandb")


def page(found: Results) -> str:
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


def provenance(found: Results) -> list[tuple[str, str]]:
    """Where the numbers come from: source, fetch time, runs, settings, versions."""
    source = ", ".join(f"{name} {value}" for name, value in found.manifest.source.items() if value)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        ("Study", found.study.name),
        ("Source", source),
        ("Fetched", found.manifest.fetched_at),
        ("Runs", ", ".join(run.id for run in found.manifest.runs)),
        ("Settings", footer_text(found.study, found.manifest, found.view)),
        ("Standard deviation", "sample standard deviation over seeds (ddof 1)"),
        ("Versions", f"Python {platform.python_version()}, {packages}"),
    ]


def effects_table(effects: pl.DataFrame, study: Study) -> pl.DataFrame:
    """The rows of effects.csv as people read them: names instead of keys, an interval in one cell, what was compared."""
    titles = {task.key: task.title for task in study.tasks} | {ALL_TASKS: "across tasks"}
    names = {metric.key: metric.name for metric in study.metrics}
    interval = pl.format("{} to {}", *(pl.col(c).round_sig_figs(3) for c in ("ci_low", "ci_high")))
    pairs = pl.when(pl.col("design") == "fork").then(pl.format("{} fork pairs", "n_arm"))
    runs = pairs.when(pl.col("n_control") > 0).then(pl.format("{} against {}", "n_arm", "n_control"))
    arm = ["arm"] if effects["arm"].n_unique() > 1 else []
    return effects.select(
        pl.col("task").replace(titles),
        pl.col("metric").replace(names),
        *arm,
        runs.otherwise(pl.col("n_arm").cast(pl.String)).alias("runs"),
        "before",
        "after",
        "change",
        interval.alias("95% CI"),
        pl.col("p_value").alias("p"),
        pl.col("p_holm").alias("p, Holm"),
        "verdict",
        "reasons",
    )


def _html_table(frame: pl.DataFrame) -> Markup:
    head = Markup().join(Markup("<th>{}</th>").format(_head(name)) for name in frame.columns)
    rows = Markup().join(Markup("<tr>{}</tr>").format(_cells(row)) for row in frame.iter_rows())
    return Markup('<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        head, rows
    )


def _head(name: str) -> Markup:
    """A column's name that may break where the parts of a logged key meet."""
    return Markup("<wbr>").join(re.split(r"(?<=[:/])", name.replace("_", " ")))


def _cells(row: Sequence[object]) -> Markup:
    return Markup().join(_cell(value) for value in row)


def _cell(value: object) -> Markup:
    if value is None:
        return Markup("<td></td>")
    if isinstance(value, float):
        return Markup('<td class="number">{}</td>').format(f"{value:.4g}")
    if isinstance(value, int):
        return Markup('<td class="number">{}</td>').format(f"{value:,}")
    wide = len(str(value)) > 24
    return Markup('<td class="{}">{}</td>').format("text" if wide else "", escape(str(value)))
