"""What a detach ratio counts: the part of training that has elapsed, or what remains."""

from collections.abc import Sequence
from typing import Literal

from lib.discover.evidence import Evidence
from lib.discover.find_keys import DETACH_STEP, RATIO, SIGNAL, Finding
from lib.discover.frozen_when import scale_key
from lib.formatting import plural
from lib.runs import Run
from lib.study import has_config_key

Counts = Literal["elapsed", "remaining"]
_READINGS: tuple[Counts, ...] = ("elapsed", "remaining")


def ratio_counts(evidence: Evidence, names: Sequence[str]) -> tuple[Counts, list[Finding]]:
    """Whether the ratio counts what has elapsed or what remains; a question where nothing tells."""
    key = evidence.key(RATIO)
    runs = [(run, evidence.total_of(run, name)) for name in names for run in evidence.runs(name)]
    ratios = [(run, evidence.number(run, RATIO), total) for run, total in runs]
    fractions = [(run, ratio, total) for run, ratio, total in ratios if total and ratio and 0 < ratio <= 1]
    if not key or not fractions:
        return "elapsed", []
    what = f"{key} counts"
    if evidence.choices.ratio_counts in _READINGS:
        counts: Counts = "remaining" if evidence.choices.ratio_counts == "remaining" else "elapsed"
        return counts, [Finding(what, counts, "chosen by you")]
    readings = [(run, _readings(evidence, run, ratio, total)) for run, ratio, total in fractions]
    telling = [(run, *reading) for run, reading in readings if reading and len(reading[1]) < len(_READINGS)]
    fitting = {counts for _, _, counts in telling}
    if len(fitting) == 1 and (only := fitting.pop()):
        return only[0], [Finding(what, only[0], f"{telling[0][1]} says so in {plural(len(telling), 'run')}")]
    scale = scale_key(key)
    if not telling and scale and any(has_config_key(run.config, scale) for run, _ in runs):
        where = f"by definition, where {scale} scales the learning rate"
        return "remaining", [Finding(what, "remaining", where)]
    if not telling and all(ratio == 0.5 for _, ratio, _ in fractions):
        agreeing = next((f"; {reading[0]} agrees" for _, reading in readings if reading), "")
        where = f"every ratio is 0.5, where both readings give the same step{agreeing}"
        return "elapsed", [Finding(what, "elapsed", where, assumed=True)]
    where = "neither a detach step in the config nor a signal tells"
    if telling:
        where = f"{telling[0][1]} of run {telling[0][0].id} and other runs fit neither reading alike"
    question = _which(evidence, fractions)
    return "elapsed", [Finding(what, "elapsed", where, assumed=True, question=question, is_needed=True)]


def _steps(ratio: float, total: int) -> dict[Counts, int]:
    return {"elapsed": round(ratio * total), "remaining": round((1 - ratio) * total)}


def _which(evidence: Evidence, fractions: list[tuple[Run, float, int]]) -> str:
    run, ratio, total = next((f for f in fractions if f[1] != 0.5), fractions[0])
    steps = _steps(ratio, total)
    return (
        f"Does {evidence.key(RATIO)} count the part of training that has elapsed or that remains? At {ratio:g} (run "
        f"{run.id}) elapsed detaches at step {steps['elapsed']:,}, remaining at step {steps['remaining']:,}."
    )


def _readings(evidence: Evidence, run: Run, ratio: float, total: int) -> tuple[str, tuple[Counts, ...]] | None:
    """What tells a run's detach step, and the readings that agree with it; None where nothing does."""
    steps = _steps(ratio, total)
    typed = evidence.number(run, DETACH_STEP)
    if typed is not None:
        return f"config's {evidence.key(DETACH_STEP)}", tuple(c for c in _READINGS if abs(steps[c] - typed) <= 1)
    if fall := evidence.fall(run):
        above, at = fall
        fits = tuple(c for c in _READINGS if (above is None or above <= steps[c]) and steps[c] <= at)
        return f"the logged {evidence.key(SIGNAL)}", fits
    return None
