"""From a history to curves: smooth each run, align runs on bins, aggregate over seeds."""

from lib.curves.aggregate import curves, grouped, per_seed, summarised
from lib.curves.baselines import BASELINES, BaselineError, baseline_curve, read_baseline, task_baselines
from lib.curves.schema import COLUMNS
from lib.curves.study_curves import (
    study_baselines,
    study_curves,
    study_raw,
    study_seeds,
    task_bins,
    task_clocks,
    task_curves,
)
from lib.curves.view_settings import Axis, View
from lib.curves.wall_time import Clocks, clocks, notes

__all__ = [
    "BASELINES",
    "COLUMNS",
    "Axis",
    "BaselineError",
    "Clocks",
    "View",
    "baseline_curve",
    "clocks",
    "curves",
    "grouped",
    "notes",
    "per_seed",
    "read_baseline",
    "study_baselines",
    "study_curves",
    "study_raw",
    "study_seeds",
    "summarised",
    "task_baselines",
    "task_bins",
    "task_clocks",
    "task_curves",
]
