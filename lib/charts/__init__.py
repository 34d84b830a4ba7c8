"""Frames to Altair charts. Nothing here computes an effect or a curve."""

from lib.charts.coloring import Coloring, color_keys, coloring
from lib.charts.curves.chart import FAMILIES, Behind, Options, family_chart, family_metrics, family_wired
from lib.charts.curves.grid import figure_title, grid
from lib.charts.curves.tables import shown_range, split
from lib.charts.detach_rule import detach_marks
from lib.charts.effects.event_time import curves_since_detach
from lib.charts.effects.forest import effects_text, forest_chart
from lib.charts.effects.jump import jump_chart
from lib.charts.effects.pairs import difference_chart
from lib.charts.effects.placebo import placebo_chart, placebo_text
from lib.charts.effects.quadrant import quadrant_chart, quadrant_points, quadrant_text
from lib.charts.effects.slope import slope_chart, slope_text
from lib.charts.spec import Wired, wire
from lib.charts.style import QUIET_ON, text_styles

__all__ = [
    "FAMILIES",
    "QUIET_ON",
    "Behind",
    "Coloring",
    "Options",
    "Wired",
    "color_keys",
    "coloring",
    "curves_since_detach",
    "detach_marks",
    "difference_chart",
    "effects_text",
    "family_chart",
    "family_metrics",
    "family_wired",
    "figure_title",
    "forest_chart",
    "grid",
    "jump_chart",
    "placebo_chart",
    "placebo_text",
    "quadrant_chart",
    "quadrant_points",
    "quadrant_text",
    "shown_range",
    "slope_chart",
    "slope_text",
    "split",
    "text_styles",
    "wire",
]
