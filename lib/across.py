"""One effect over several tasks: the mean of their differences in differences, each in units of its own task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib import estimators
from lib.comparisons import Comparison
from lib.designs import Material, compare
from lib.samples import Unit
from lib.study import Metric, Study

#: The task of rows across tasks.
ALL_TASKS = "*"


@dataclass(frozen=True)
class Across:
    """A metric of one arm over its tasks: the mean effect in units of each task's scale (in logs for a log metric).

    `stratified_p` is that of relabelling runs within their tasks; None where its floor is above .05.
    """

    metric: Metric
    arm: str
    control: str
    design: str
    method: str
    tasks: tuple[str, ...] = ()
    n_arm: int = 0
    n_control: int = 0
    estimate: float = math.nan
    interval: tuple[float, float] | None = None
    p: float | None = None
    stratified_p: float | None = None
    p_floor: float | None = None
    refusal: str = ""
    caveats: tuple[str, ...] = ()


def across_tasks(study: Study, tasks: Sequence[Material]) -> list[Across]:
    """Every metric and arm that at least two tasks have, over those tasks.

    Parameters
    ----------
    tasks : what each task's comparisons are made from.
    """
    found: dict[tuple[str, str], list[tuple[str, Comparison]]] = {}
    for given in tasks:
        for arm in given.arms:
            for metric in study.metrics:
                made = compare(given, metric, arm, pairing=False)
                found.setdefault((metric.key, arm), []).append((given.task.key, made))
    order = {m.key: i for i, m in enumerate(study.metrics)}
    several = sorted((k for k, v in found.items() if len(v) > 1), key=lambda k: (order[k[0]], k[1]))
    return [combine(found[key], given.seed) for key in several]


def combine(parts: Sequence[tuple[str, Comparison]], seed: int = 0) -> Across:
    """The mean over tasks of DiD_k / scale_k, with its Welch-Satterthwaite interval and stratified permutation p.

    Parameters
    ----------
    parts : by task, the comparison of one metric and arm; those that are no offered difference in differences stay
        out and are named.
    """
    metric, arm = parts[0][1].metric, parts[0][1].arm
    offered = [(task, c) for task, c in parts if c.design == "did" and c.p is not None]
    out = [f"{task} is not in it ({_why(c)})" for task, c in parts if (task, c) not in offered]
    scales = [task_scale(c) for _, c in offered]
    out += [
        f"{task} is not in it (the metric never changes)" for (task, _), s in zip(offered, scales, strict=True) if not s
    ]
    used = [(task, c, s) for (task, c), s in zip(offered, scales, strict=True) if s]
    if len(used) < 2:
        refusal = "an effect across tasks needs a usable control arm in at least two of them"
        return Across(metric, arm, "", "none", "", refusal=refusal, caveats=tuple(out))
    treated = [np.array(c.values) / s for _, c, s in used]
    control = [np.array(c.control_values) / s for _, c, s in used]
    estimate = estimators.across(treated, control)
    floor = estimators.label_floor([(len(t), len(c)) for t, c in zip(treated, control, strict=True)])
    unit = "in logs" if metric.scale == "log" else "in units of the range (5 to 95%) of the metric in its task"
    return Across(
        metric,
        arm,
        used[0][1].control,
        "did",
        f"mean over {len(used)} tasks of the difference in differences, {unit}; Welch-Satterthwaite t",
        tuple(task for task, _, _ in used),
        sum(map(len, treated)),
        sum(map(len, control)),
        float(estimate.value),
        (float(estimate.low), float(estimate.high)),
        float(estimate.p),
        float(estimators.label_p(treated, control, seed)) if floor <= estimators.ALPHA else None,
        floor,
        caveats=tuple(out),
    )


def task_scale(found: Comparison) -> float:
    """What a task's difference is divided by: 1 for logs, else the span of the metric over all compared runs.

    The span is the distance of the 5 and 95% quantiles of the raw rows of both arms together, up to E: it does not
    know which run is in which arm, so relabelling runs leaves it as it is.
    """
    if found.metric.scale == "log":
        return 1.0
    units: tuple[Unit, ...] = (*found.units, *found.controls)
    values = np.concatenate([u.rows.values[u.rows.steps <= found.end] for u in units])
    return float(estimators.span(values))


def _why(found: Comparison) -> str:
    if found.design != "did":
        return "no control arm" if found.design == "jump" else "its detach steps are randomised"
    return found.refusal
