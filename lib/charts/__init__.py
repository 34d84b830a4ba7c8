"""Frames to Vega-Lite charts. Nothing here computes an effect or a curve."""

from lib.charts.curves.chart import Background, Layout, family_chart
from lib.charts.curves.contents import curves_text, family_metrics, one_metric_text
from lib.charts.curves.end_labels import WIDE
from lib.charts.curves.grid import figure_title, grid
from lib.charts.curves.legend import LegendEntry, legend_entries
from lib.charts.curves.series_style import LABELLED
from lib.charts.curves.tables import shown_range, split, x_range
from lib.charts.default_metrics import default_metrics, default_metrics_text
from lib.charts.detach_rule import detach_marks, is_unfinished
from lib.charts.effects.event_time import event_time_chart
from lib.charts.effects.forest import forest_chart, forest_text
from lib.charts.effects.jump import jump_chart
from lib.charts.effects.looks import looks_chart
from lib.charts.effects.pairs import pairs_chart
from lib.charts.effects.placebo import placebo_chart, placebo_text
from lib.charts.effects.power import power_chart, power_text
from lib.charts.effects.quadrant import quadrant_chart, quadrant_points, quadrant_reward, quadrant_text
from lib.charts.effects.slope import slope_chart, slope_text
from lib.charts.metric_colors import with_colors
from lib.charts.run_colors import Coloring, color_keys, coloring
from lib.charts.spec import ChartSpec
from lib.charts.style import QUIET_ON, text_styles
