"""From a history to curves: smooth each run, align runs on bins, aggregate over seeds."""

from lib.curves.aggregate import COLUMNS, aggregate, run_curves
from lib.curves.baseline_file import BaselineError, file_bytes, read_baseline
from lib.curves.baselines import BASELINES, baseline_curve, study_baselines, task_baselines
from lib.curves.bins import included_runs, runs_not_drawn
from lib.curves.study_curves import (
    curves,
    study_curves,
    study_raw,
    study_seeds,
    task_bins,
    task_clocks,
    task_curves,
    task_groups,
)
from lib.curves.view_settings import Axis, View
from lib.curves.wall_time import Clocks, notes
