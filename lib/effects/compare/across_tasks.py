"""One effect over several tasks: the mean of their effects, each in units of its task."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.estimators import Estimate
from lib.study import Metric, Study

#: The task of rows across tasks.
ALL_TASKS = "*"


@dataclass(frozen=True)
class Part:
    """One task's share: its comparison by its design, and with its arms as unpaired runs."""

    task: str
    comparison: Comparison
    unpaired: Comparison


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


def across_tasks(study: Study, parts: Iterable[Part]) -> tuple[Across, ...]:
    """Every metric and arm that at least two tasks have, over those tasks; by the study's metrics, then by arm."""
    by_claim: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        by_claim.setdefault((part.comparison.metric.key, part.comparison.arm), []).append(part)
    order = {m.key: i for i, m in enumerate(study.metrics)}
    several = sorted((k for k, v in by_claim.items() if len(v) > 1), key=lambda k: (order[k[0]], k[1]))
    return tuple(combine(by_claim[key]) for key in several)


def combine(parts: Sequence[Part]) -> Across:
    """The mean over tasks of DiD_k / scale_k, with its Welch-Satterthwaite interval and stratified permutation p.

    The scale does not know which run is in which arm: relabelling runs leaves it as it is. Tasks without an offered
    difference in differences stay out and are named.
    """
    metric, arm = parts[0].comparison.metric, parts[0].comparison.arm
    offered = [part for part in parts if part.unpaired.design == "did" and part.unpaired.p is not None]
    out = [f"{part.task} is not in it ({_reason(part.unpaired)})" for part in parts if part not in offered]
    scaled = [(part, part.unpaired.span) for part in offered]
    out += [f"{part.task} is not in it (the metric never changes)" for part, scale in scaled if not scale]
    used = [(part, scale) for part, scale in scaled if scale]
    if len(used) < 2:
        refusal = "an effect across tasks needs a usable control arm in at least two of them"
        return Across(metric, arm, "", "none", "", refusal=refusal, caveats=tuple(out))
    treated = [np.array(part.unpaired.values) / scale for part, scale in used]
    control = [np.array(part.unpaired.control_values) / scale for part, scale in used]
    estimate = estimators.across(treated, control)
    floor = estimators.label_floor([(len(t), len(c)) for t, c in zip(treated, control, strict=True)])
    unit = "in logs" if metric.scale == "log" else "in units of the range (5 to 95%) of the metric in its task"
    return Across(
        metric,
        arm,
        used[0][0].unpaired.control,
        "did",
        f"mean over {len(used)} tasks of the difference in differences, {unit}; Welch-Satterthwaite t",
        tuple(part.task for part, _ in used),
        sum(map(len, treated)),
        sum(map(len, control)),
        float(estimate.value),
        (float(estimate.low), float(estimate.high)),
        float(estimate.p),
        float(estimators.label_p(treated, control)) if floor <= estimators.ALPHA else None,
        floor,
        caveats=tuple(out),
        paired=_paired(used),
    )


def _paired(used: Sequence[tuple[Part, float]]) -> Estimate | None:
    """The same mean with fork pairs in the tasks that have them; None where none has."""
    best = [(part.unpaired if part.comparison.p is None else part.comparison, scale) for part, scale in used]
    if all(comparison.design != "fork" for comparison, _ in best):
        return None
    treated, control = zip(*((np.array(c.values) / s, np.array(c.control_values) / s) for c, s in best), strict=True)
    return estimators.across(treated, control)


def _reason(comparison: Comparison) -> str:
    if comparison.design != "did":
        return "no control arm" if comparison.design == "jump" else "its detach steps are randomised"
    return comparison.refusal
