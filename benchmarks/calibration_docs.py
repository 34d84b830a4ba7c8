"""Writes what the calibration shows: `results/calibration.md`, the tables of docs/calibration.md, and the figure."""

import re
from pathlib import Path

import polars as pl

from benchmarks import calibration_report, margin_tables, size_tables, study_tables
from benchmarks.calibration_cells import RESULTS, load_results
from benchmarks.calibration_figure import figure

ALL_TABLES = RESULTS.with_suffix(".md")
DOCS = Path(__file__).parents[1] / "docs" / "calibration.md"
FIGURE = Path(__file__).parents[1] / "assets" / "calibration.svg"


def write_docs() -> None:
    """Write every table, those of the docs, and the figure (and as PNG beside it), from the results so far."""
    results = load_results()
    tables = all_tables(results)
    ALL_TABLES.write_text(everything(results, tables), encoding="utf-8")
    DOCS.write_text(filled(DOCS.read_text(encoding="utf-8"), tables), encoding="utf-8")
    drawing = figure(results)
    drawing.save(str(FIGURE))
    drawing.save(str(FIGURE.with_suffix(".png")), scale_factor=2)


def all_tables(results: pl.DataFrame) -> dict[str, str]:
    """Every table by its title."""
    whole = study_tables.tables() | margin_tables.tables() | size_tables.tables()
    return whole | calibration_report.tables(results)


def everything(results: pl.DataFrame, tables: dict[str, str]) -> str:
    """All tables as one text."""
    parts = [calibration_report.monte_carlo(results), *(f"### {title}\n\n{table}" for title, table in tables.items())]
    return "\n\n".join(parts) + "\n"


def filled(text: str, tables: dict[str, str]) -> str:
    """A text with the table of each mark `<!-- table: the start of its title -->` below the mark, in place of the old one."""

    def below(mark: re.Match[str]) -> str:
        table = next(table for title, table in tables.items() if title.startswith(mark[1]))
        return f"<!-- table: {mark[1]} -->\n\n{table}\n"

    return re.sub(r"<!-- table: (.+?) -->\n+(?:\|.*\n)*", below, text)
