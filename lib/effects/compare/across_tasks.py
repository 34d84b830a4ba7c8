"""One effect over several tasks: the mean of their effects, each in units of its own task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.designs import Material, compare
from lib.effects.compare.estimators import Estimate
from lib.effects.compare.units import Unit
from lib.study import Metric, Study

#: The task of rows across tasks.
ALL_TASKS = "*"


@dataclass(frozen=True)
class Part:
    """One task's share: its arms compared as unpaired runs, and by its own design."""

    task: str
    arms: Comparison
    own: Comparison


@dataclass(frozen=True)
class Across:
    """A metric of one arm over its tasks: the mean effect in units of each task's scale (in logs for a log metric).

    `stratified_p` is that of relabelling runs within their tasks; None where its floor is above .05. `paired` is the same
    mean with fork pairs where a task has them, None where none has: a sensitivity check.
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
    paired: Estimate | None = None


def across_tasks(study: Study, tasks: Sequence[Material]) -> list[Across]:
    """Every metric and arm that at least two tasks have, over those tasks.

    Parameters
    ----------
    tasks : what each task's comparisons are made from.
    """
    found: dict[tuple[str, str], list[Part]] = {}
    for given in tasks:
        for arm in given.arms:
            for metric in study.metrics:
                own = compare(given, metric, arm)
                # Only fork pairs differ when they are not paired; a randomised design is long to compute twice.
                apart = compare(given, metric, arm, pairing=False) if own.design == "fork" else own
                found.setdefault((metric.key, arm), []).append(Part(given.task.key, apart, own))
    order = {m.key: i for i, m in enumerate(study.metrics)}
    several = sorted((k for k, v in found.items() if len(v) > 1), key=lambda k: (order[k[0]], k[1]))
    return [combine(found[key], tasks[0].seed) for key in several]


def combine(parts: Sequence[Part], seed: int = 0) -> Across:
    """The mean over tasks of DiD_k / scale_k, with its Welch-Satterthwaite interval and stratified permutation p.

    Tasks without an offered difference in differences stay out and are named.
    """
    metric, arm = parts[0].arms.metric, parts[0].arms.arm
    offered = [part for part in parts if part.arms.design == "did" and part.arms.p is not None]
    out = [f"{part.task} is not in it ({_why(part.arms)})" for part in parts if part not in offered]
    scales = [task_scale(part.arms) for part in offered]
    out += [
        f"{part.task} is not in it (the metric never changes)" for part, s in zip(offered, scales, strict=True) if not s
    ]
    used = [(part, s) for part, s in zip(offered, scales, strict=True) if s]
    if len(used) < 2:
        refusal = "an effect across tasks needs a usable control arm in at least two of them"
        return Across(metric, arm, "", "none", "", refusal=refusal, caveats=tuple(out))
    treated = [np.array(part.arms.values) / s for part, s in used]
    control = [np.array(part.arms.control_values) / s for part, s in used]
    estimate = estimators.across(treated, control)
    floor = estimators.label_floor([(len(t), len(c)) for t, c in zip(treated, control, strict=True)])
    unit = "in logs" if metric.scale == "log" else "in units of the range (5 to 95%) of the metric in its task"
    return Across(
        metric,
        arm,
        used[0][0].arms.control,
        "did",
        f"mean over {len(used)} tasks of the difference in differences, {unit}; Welch-Satterthwaite t",
        tuple(part.task for part, _ in used),
        sum(map(len, treated)),
        sum(map(len, control)),
        float(estimate.value),
        (float(estimate.low), float(estimate.high)),
        float(estimate.p),
        float(estimators.label_p(treated, control, seed)) if floor <= estimators.ALPHA else None,
        floor,
        caveats=tuple(out),
        paired=_paired(used),
    )


def _paired(used: Sequence[tuple[Part, float]]) -> Estimate | None:
    """The same mean with fork pairs in the tasks that have them; None where none has."""
    if not any(part.own.design == "fork" and part.own.p is not None for part, _ in used):
        return None
    own = [(part.own if part.own.design == "fork" and part.own.p is not None else part.arms, s) for part, s in used]
    return estimators.across([np.array(c.values) / s for c, s in own], [np.array(c.control_values) / s for c, s in own])


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
