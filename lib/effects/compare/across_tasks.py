"""One effect, or one jump, over several tasks: the mean of theirs, each in units of its task."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.jumps import NARROW
from lib.effects.compare.planned import NOT_DECLARED, PLANNED_SIZE, SIZE_AFTER_LOOKING, after_looking, size
from lib.formatting import listing, plural
from lib.study import Evidence, Metric, Study

#: The task of rows across tasks.
ALL_TASKS = "*"

_EFFECTS = {"fork": "the difference of fork pairs", "did": "the difference in differences"}
_JUMPS = {"jump": f"the local jump at the detach (h = {NARROW:.0%} of its steps)"}


@dataclass(frozen=True)
class Part:
    """One task's share: its comparison by its design."""

    task: str
    comparison: Comparison


@dataclass(frozen=True)
class Across:
    """A metric of one arm over its tasks: the mean effect in units of each task's scale (in logs for a log metric).

    `design` is `fork` where every task has fork pairs, `did` where some compare arms, and `jump` where none has a control
    arm. `stratified_p` is that of relabelling runs, or flipping the signs of pairs, within their tasks; None where its
    floor is above .05 or a task's arms are of unequal size, and for jumps, which have no labels.
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
    df: float = math.nan
    p: float | None = None
    stratified_p: float | None = None
    p_floor: float | None = None
    refusal: str = ""
    caveats: tuple[str, ...] = ()


def across_tasks(study: Study, parts: Iterable[Part]) -> tuple[Across, ...]:
    """Every metric and arm that at least two tasks have, over those tasks; by the study's metrics, then by arm."""
    by_claim: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        by_claim.setdefault((part.comparison.metric.key, part.comparison.arm), []).append(part)
    order = {m.key: i for i, m in enumerate(study.metrics)}
    several = sorted((k for k, v in by_claim.items() if len(v) > 1), key=lambda k: (order[k[0]], k[1]))
    combined = [(combine(by_claim[key]), by_claim[key]) for key in several]
    return tuple(
        replace(across, caveats=(*_declared(study.evidence, across, of_tasks), *across.caveats))
        for across, of_tasks in combined
    )


def _declared(evidence: Evidence, across: Across, parts: Iterable[Part]) -> Iterator[str]:
    """The caveats of what was, or was not, declared before looking, as the tasks' claims have them."""
    if evidence.planned is None and across.p is not None:
        yield NOT_DECLARED
    if evidence.planned is not None and across.tasks:
        more = [p.task for p in parts if p.task in across.tasks and size(p.comparison) > evidence.planned]
        if more:
            yield f"more runs than planned in {listing(more)}"
        if evidence.planned_after_looking:
            yield SIZE_AFTER_LOOKING
    yield from after_looking(evidence)


def combine(parts: Sequence[Part]) -> Across:
    """The mean over tasks of each one's estimate / scale, with its Welch-Satterthwaite interval and stratified permutation p.

    A task enters with the numbers of its own design: one per fork pair, or one per run of both arms. The scale does not
    know which run is in which arm: relabelling runs leaves it as it is. Where fewer than two tasks have a usable control
    arm, two or more tasks without one give the mean of their jumps. Tasks that stay out are named.
    """
    metric, arm = parts[0].comparison.metric, parts[0].comparison.arm
    effects, jumps = ([part for part in parts if is_usable(part.comparison)] for is_usable in (_has_effect, _has_jump))
    alone = {part.comparison.design for part in parts} <= {"jump", "none"}
    designs, used = (_JUMPS, jumps) if len(effects) < 2 and (len(jumps) > 1 or alone) else (_EFFECTS, effects)
    out = tuple(f"{part.task} is not in it ({_reason(part.comparison, designs)})" for part in parts if part not in used)
    if len(used) < 2:
        refusal = f"{_need(parts, alone)} in at least two of them"
        return Across(metric, arm, "", "none", "", refusal=refusal, caveats=out)
    comparisons = [part.comparison for part in used]
    treated = [np.array(c.values) / c.span for c in comparisons]
    control = [np.array(c.control_values) / c.span for c in comparisons]
    estimate = estimators.across(treated, control)
    across = Across(
        metric,
        arm,
        comparisons[0].control,
        next(design for design in ("jump", "did", "fork") if any(c.design == design for c in comparisons)),
        _method(comparisons, designs),
        tuple(part.task for part in used),
        sum(len(c.values) for c in comparisons),
        sum(len(c.controls) for c in comparisons),
        float(estimate.value),
        (float(estimate.low), float(estimate.high)),
        float(estimate.df),
        float(estimate.p),
        caveats=out,
    )
    if across.design == "jump":
        return across
    sizes = [(len(t), len(c)) for t, c in zip(treated, control, strict=True)]
    floor, is_even = estimators.label_floor(sizes), all(n_c in (0, n_t) for n_t, n_c in sizes)
    stratified_p = float(estimators.label_p(treated, control)) if is_even and floor <= estimators.ALPHA else None
    return replace(across, stratified_p=stratified_p, p_floor=floor)


def _need(parts: Sequence[Part], alone: bool) -> str:
    """What a mean over tasks needs of each."""
    if any(gate.check == PLANNED_SIZE and gate.needed for part in parts for gate in part.comparison.gates):
        return "a verdict across tasks needs the planned runs"
    if alone:
        return "a jump across tasks needs two usable runs"
    return "an effect across tasks needs a usable control arm"


def _has_effect(comparison: Comparison) -> bool:
    return comparison.design in _EFFECTS and comparison.p is not None and comparison.span > 0


def _has_jump(comparison: Comparison) -> bool:
    """Two runs are enough: it is the tasks together that give the degrees of freedom."""
    gated = any(gate.needed for gate in comparison.gates)
    return comparison.design in _JUMPS and comparison.interval is not None and not gated and comparison.span > 0


def _method(comparisons: Sequence[Comparison], designs: Mapping[str, str]) -> str:
    counts = Counter(c.design for c in comparisons)
    names = [
        name + (f" ({plural(counts[d], 'task')})" if len(counts) > 1 else "")
        for d, name in designs.items()
        if counts[d]
    ]
    log = comparisons[0].metric.scale == "log"
    unit = "in logs" if log else "in units of the range (5 to 95%) of the metric in its task"
    return f"mean over {plural(len(comparisons), 'task')} of {listing(names, 'or')}, {unit}; Welch-Satterthwaite t"


def _reason(comparison: Comparison, designs: Mapping[str, str]) -> str:
    if comparison.design == "onset":
        return "its detach steps are randomised"
    if comparison.design in ("fork", "did", "jump") and comparison.design not in designs:
        return "no control arm" if comparison.design == "jump" else "it has a control arm"
    return comparison.refusal or "the metric never changes"
