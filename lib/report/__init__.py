"""A study to files: figures, tables, claims and one self-contained page."""

from lib.report.figure_data import FigureData, figure_data
from lib.report.figures import (
    GRID_STEM,
    JUMP,
    PAIRS,
    PRETENDED,
    SEEDS,
    Figure,
    claims_figure,
    curve_figure,
    curve_names,
    event_figure,
    figure_of_stem,
    metric_figures,
    quadrant_figure,
)
from lib.report.page import report_page
from lib.report.presets import PRESETS, with_font
from lib.report.provenance import bibtex, citation, footer_text, sidecar, view_link
from lib.report.render import FORMATS, MIME, render
from lib.report.results import Results, study_results
from lib.report.write import TABLES, check_folder, table, write_report

__all__ = [
    "FORMATS",
    "GRID_STEM",
    "JUMP",
    "MIME",
    "PAIRS",
    "PRESETS",
    "PRETENDED",
    "SEEDS",
    "TABLES",
    "Figure",
    "FigureData",
    "Results",
    "bibtex",
    "check_folder",
    "citation",
    "claims_figure",
    "curve_figure",
    "curve_names",
    "event_figure",
    "figure_data",
    "figure_of_stem",
    "footer_text",
    "metric_figures",
    "quadrant_figure",
    "render",
    "report_page",
    "sidecar",
    "study_results",
    "table",
    "view_link",
    "with_font",
    "write_report",
]
