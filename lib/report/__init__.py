"""A study to files: figures, tables, claims and one self-contained page."""

from lib.report.figures import (
    GRID_STEM,
    Frames,
    cells,
    claims_figure,
    event_figure,
    figure,
    metric_figures,
    plotted,
    quadrant_figure,
)
from lib.report.methods import AUDIT, DETACH, EFFECTS, SOURCES, VERDICTS, curves_text
from lib.report.page import report_page
from lib.report.presets import PRESETS, with_font
from lib.report.provenance import bibtex, citation, footer_text, sidecar, view_link
from lib.report.render import FORMATS, MIME, render
from lib.report.results import Results, study_drawn, study_results
from lib.report.write import TABLES, check_folder, table, write_report

__all__ = [
    "AUDIT",
    "DETACH",
    "EFFECTS",
    "FORMATS",
    "GRID_STEM",
    "MIME",
    "PRESETS",
    "SOURCES",
    "TABLES",
    "VERDICTS",
    "Frames",
    "Results",
    "bibtex",
    "cells",
    "check_folder",
    "citation",
    "claims_figure",
    "curves_text",
    "event_figure",
    "figure",
    "footer_text",
    "metric_figures",
    "plotted",
    "quadrant_figure",
    "render",
    "report_page",
    "sidecar",
    "study_drawn",
    "study_results",
    "table",
    "view_link",
    "with_font",
    "write_report",
]
