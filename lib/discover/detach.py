"""The detach rule of a task, proposed from configs and the logged signal."""

from collections.abc import Sequence
from dataclasses import replace

from lib.discover.evidence import Evidence, spread
from lib.discover.find_keys import DETACH_STEP, RATIO, SIGNAL, TOTAL, Finding, is_null, number_of
from lib.discover.frozen_when import FreezeConditions
from lib.discover.ratio_reading import Counts
from lib.formatting import plural
from lib.runs import Run
from lib.study import DetachRule, Signal, config_value, has_config_key


def detach_rule(
    evidence: Evidence, name: str, counts: Counts, conditions: FreezeConditions
) -> tuple[DetachRule, Finding]:
    """The detach rule of one task: a ratio or a step in its configs, else what the user or the signal says."""
    runs, typed = evidence.runs(name), evidence.choices.detach_steps.get(name)
    key = "" if typed and name in evidence.choices.typed_alone else _key_that_says(evidence, runs)
    flags = [flag for flag, _ in conditions.frozen_when]
    if not (key or typed) or not any(has_config_key(run.config, flag) for flag in flags for run in runs):
        conditions = FreezeConditions()
    rule = DetachRule(
        step=typed,
        frozen_when=conditions.frozen_when,
        unchanged_when=conditions.unchanged_when,
        signal=Signal(evidence.key(SIGNAL)) if evidence.key(SIGNAL) else None,
    )
    if key and key == evidence.key(RATIO):
        total_key = evidence.key(TOTAL) if evidence.totals(name) else ""
        rule = replace(rule, total_steps_key=total_key, ratio_key=key, ratio_counts=counts)
    elif key:
        rule = replace(rule, detach_step_key=key)
    if key:
        return rule, _by_config(runs, name, key)
    if typed:
        return rule, Finding(f"detach step of {name}", f"{typed:,}", "typed by you")
    return rule, _by_signal(evidence, name)


def _by_config(runs: Sequence[Run], name: str, key: str) -> Finding:
    """What the configs of a task's runs say of their detach."""
    lacking = sum(not has_config_key(run.config, key) for run in runs)
    values = [config_value(run.config, key) for run in runs]
    textual = sum(not is_null(value) and number_of(value) is None for value in values)
    where = f"config {key}"
    where += f"; {plural(lacking, 'run')} without it taken as never detached" if lacking else ""
    where += f"; no number in {plural(textual, 'run')}" if textual else ""
    return Finding(f"detach of {name}", spread(values), where, assumed=bool(lacking or textual))


def _key_that_says(evidence: Evidence, runs: Sequence[Run]) -> str:
    """The config key that says when the runs of a task detach: the ratio, or the step where only that says of one."""
    keys = [
        (key, any(evidence.number(run, meaning) for run in runs))
        for meaning in (RATIO, DETACH_STEP)
        if (key := evidence.key(meaning)) and any(has_config_key(run.config, key) for run in runs)
    ]
    return next((key for key, says_one in keys if says_one), keys[0][0] if keys else "")


def _by_signal(evidence: Evidence, name: str) -> Finding:
    """That the signal says when the runs of a task detach, for nothing else does; or that nothing says it."""
    what, signal = f"detach step of {name}", evidence.key(SIGNAL)
    if not signal:
        question = f"At which step was the encoder of {name} detached? Without an answer its runs are in no arm."
        return Finding(what, "", "nothing says: the arm of every run is unknown", assumed=True, question=question)
    is_seen = bool(evidence.inspection.signal_parts)
    when = "in each of its runs" if is_seen else "once the runs are fetched; until then their arm is unknown"
    return Finding(what, "where the signal falls", f"the logged {signal}, {when}", assumed=True)
