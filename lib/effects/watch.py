"""Where a study stands on its way to the declared number of runs."""

import math
from dataclasses import dataclass

import polars as pl

from lib.effects.compare.comparison import Comparison
from lib.effects.compare.planned import looks, reach_at, reach_text, size
from lib.effects.study_analysis import StudyAnalysis, TaskAnalysis
from lib.formatting import plural
from lib.runs import RUNNING, History
from lib.study import Metric


@dataclass(frozen=True)
class Standing:
    """How far one metric of an arm is: `finished` of the `planned` runs per arm (or pairs), and how many runs still run.

    `reach` says how wide the 95% interval will about be at the planned size, empty where that cannot be said.
    """

    comparison: Comparison
    finished: int
    planned: int | None
    running: int
    reach: str = ""

    @property
    def is_short(self) -> bool:
        """Whether fewer runs than planned are finished."""
        return self.planned is not None and self.finished < self.planned

    @property
    def text(self) -> str:
        """The count in a sentence without its point: `4 of 6 pairs finished, 2 runs still running`."""
        unit = "pair" if self.comparison.design == "fork" else "run"
        ending = " per arm finished" if self.comparison.design == "did" else " finished"
        ending += f", where {self.planned} were planned" if self.planned and self.finished > self.planned else ""
        ending += f", {plural(self.running, 'run')} still running" if self.running else ""
        if self.is_short or self.finished == self.planned:
            return f"{self.finished} of {plural(self.planned or 0, unit)}{ending}"
        return f"{plural(self.finished, unit)}{ending}"

    @property
    def unit(self) -> str:
        """What is counted: `pairs`, `runs per arm` or `runs`."""
        return {"fork": "pairs", "did": "runs per arm"}.get(self.comparison.design, "runs")


def standing(task: TaskAnalysis, comparison: Comparison) -> Standing:
    """How far a comparison is."""
    waiting = {run.run_id for run in comparison.excluded}
    compared = {unit.run_id for unit in comparison.runs}
    running = [t for t in task.treatments if t.state == RUNNING and t.run_id in waiting | compared]
    planned, finished = task.study.evidence.planned, size(comparison)
    if planned is None or finished >= planned:
        return Standing(comparison, finished, planned, len(running))
    reach = reach_at(comparison, planned)
    text = reach_text(comparison, reach) if math.isfinite(reach) else ""
    return Standing(comparison, finished, planned, len(running), text)


def is_short_of_plan(analysis: StudyAnalysis) -> bool:
    """Whether some claim of a study has fewer runs than planned."""
    return any(
        standing(task, comparison).is_short
        for task in analysis.tasks
        for comparison in task.comparisons
        if comparison.design != "onset"
    )


def run_looks(comparison: Comparison, history: History) -> pl.DataFrame:
    """The looks at a comparison so far, in the order in which its runs finished: columns `LOOKS` of `compare.planned`.

    Parameters
    ----------
    history : has the times of the runs' rows.
    """
    ends = {unit.run_id: _end(history, unit.run_id, comparison.metric) for unit in comparison.runs}
    return looks(comparison, {run_id: end for run_id, end in ends.items() if math.isfinite(end)})


def _end(history: History, run_id: str, metric: Metric) -> float:
    """When a run logged a metric last, in seconds; NaN where its rows have no times."""
    times = history.series(run_id, metric.key, ("time",))[0]
    return float(times[-1]) if len(times) else math.nan
