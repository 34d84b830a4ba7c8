"""What the app makes of a whole study, on arrays: which method each task gets, and what is said across them."""

from collections.abc import Sequence

from benchmarks import offered_methods as offered
from benchmarks.batches import Array, Batch, Outcome, change, means, outcome
from benchmarks.simulated import TOTAL
from lib.effects.compare import estimators as est
from lib.effects.compare.jumps import half_width

_BY_DESIGN = {"fork": offered.fork_t, "did": offered.did, "jump": offered.jump, "onset": offered.onset}


def task_outcome(design: str, batch: Batch) -> Outcome:
    """A task's claim about one metric, by the design that its runs allow."""
    return _BY_DESIGN[design](batch)


def across_outcome(tasks: Sequence[tuple[str, Batch]], *, is_log: bool) -> Outcome | None:
    """The claim over the tasks with a control arm, or over the jumps of those without; None where fewer than two have one."""
    used = [(design, batch) for design, batch in tasks if design in ("fork", "did")]
    if len(used) < 2:
        used = [(design, batch) for design, batch in tasks if design == "jump"]
    if len(used) < 2:
        return None
    half = half_width(TOTAL, sum(batch.treated.shape[1] for _, batch in used))
    treated, control = zip(*(_scaled(design, batch, half, is_log) for design, batch in used), strict=True)
    return outcome(est.across(treated, control))


def _scaled(design: str, batch: Batch, half: float, is_log: bool) -> tuple[Array, Array]:
    """The numbers of a task's runs over its scale: those of both arms, or of pairs or jumps and no others."""
    scale = 1.0 if is_log else offered.scale(batch)
    if design == "did":
        return change(batch.treated) / scale, change(batch.control) / scale
    single = (
        means(batch.treated)[1] - means(batch.control)[1] if design == "fork" else offered.jumps_of(batch.treated, half)
    )
    return single / scale, single[..., :0]
