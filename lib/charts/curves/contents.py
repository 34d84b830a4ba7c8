"""What a curve chart shows: its metrics, and its takeaway in sentences."""

import numpy as np
import polars as pl

from lib.charts.curves import tables
from lib.charts.detach_rule import Rules
from lib.charts.run_colors import Coloring, coloring_text
from lib.charts.style import arm_order
from lib.curves import View
from lib.formatting import listing, number, plural, scientific
from lib.study import FAMILIES, Metric, Study, Task


def family_metrics(
    curves: pl.DataFrame, study: Study, task: Task, family: str, view: View | None = None
) -> list[Metric]:
    """The metrics of a family that the task has curves of, train first and eval last.

    Where the view colours runs, only the study's first of these: runs of several would be a tangle.
    """
    logged = set(curves.filter(pl.col("task") == task.key)["metric"].unique())
    metrics = [m for m in study.family(family) if m.key in logged]
    return [m for m in study.metrics if m in metrics][:1] if view and view.color_by else metrics


def one_metric_each(study: Study) -> bool:
    """Whether no family of the study has more than one metric."""
    return all(len(study.family(family)) < 2 for family in FAMILIES)


def one_metric_text(curves: pl.DataFrame, study: Study, task: Task, *families: str, view: View) -> str:
    """A sentence on the metrics that are not drawn while runs are coloured; "" where there are none."""
    names, others = [], 0
    for family in families:
        metrics = family_metrics(curves, study, task, family, view)
        names += [metric.name for metric in metrics]
        others += len(family_metrics(curves, study, task, family)) - len(metrics)
    if not others:
        return ""
    return f"Coloured by {view.color_by}, runs are drawn of one metric: {listing(names)}. Choose others under Metrics."


def curves_text(
    curves: pl.DataFrame,
    study: Study,
    task: Task,
    *families: str,
    view: View,
    rules: Rules = (),
    coloring: Coloring | None = None,
) -> str:
    """The takeaway of `family_chart`: each arm's level of each family's last metric at the detach and at the end.

    With several detach steps, or none, or on another axis than that of steps, the levels are the first and the last.
    """
    steps = {r.step for r in rules} if view.x == "steps" else set()
    detach = steps.pop() if len(steps) == 1 else None
    sentences = [_family_text(curves, study, task, family, detach, view) for family in families]
    return " ".join([*sentences, *([coloring_text(coloring)] if coloring else [])])


def _family_text(curves: pl.DataFrame, study: Study, task: Task, family: str, detach: float | None, view: View) -> str:
    metrics = family_metrics(curves, study, task, family, view)
    if not metrics:
        return f"{task.title}: nothing of the family {family} was logged."
    metric, series = metrics[-1], tables.split(curves, task.key)
    text = scientific if metric.scale == "log" else number
    changes = []
    for arm in arm_order([arm for key, arm in series if key == metric.key]):
        curve = series[metric.key, arm]
        has_value = ~np.isnan(curve.mean)
        step, mean = curve.step[has_value], curve.mean[has_value]
        if not len(mean):
            continue
        before = mean[step <= detach] if detach is not None else mean[:1]
        start, end = (before if len(before) else mean)[-1], mean[-1]
        changes.append(f"from {text(start)} to {text(end)} ({arm}, n = {curve.n[has_value].max()})")
    since = f"the detach at {plural(round(detach), 'step')}" if detach is not None else "the start"
    return f"{metric.name} on {task.title}, from {since} to the end: {'; '.join(changes)}."
