"""A study to files: figures, tables, claims and one self-contained page."""

from lib.report.figure_data import FigureData, figure_data, visible_study
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
from lib.report.overrides import absent_text, left_out_text, shown_text
from lib.report.page import report_page
from lib.report.plan_figures import looks_figure, power_figure
from lib.report.presets import PRESETS, with_font
from lib.report.provenance import bibtex, citation, footer_text, sidecar, view_link
from lib.report.render import FORMATS, MIME, render
from lib.report.results import Results, study_results
from lib.report.start_runs import planned_study, start_text
from lib.report.tables import row_titles, with_names
from lib.report.write import CLAIMS_JSON, TABLES, check_folder, table, write_report
