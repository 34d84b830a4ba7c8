"""A typed detach step that the configs of runs override, and what using it drops."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from lib.formatting import is_or_are, listing, plural
from lib.runs.detach import Detach, run_detach
from lib.runs.model import Run
from lib.study import DetachRule, Task, has_config_key

#: Of the steps that configs say so many are named.
_MOST = 2


def with_typed_step(rule: DetachRule) -> DetachRule:
    """The rule without the config keys that say where a run was detached, so that the typed step does."""
    return replace(rule, ratio_key="", ratio_counts="elapsed", detach_step_key="", randomised=None)


def overridden_text(task: Task, runs: Sequence[Run]) -> str:
    """What configs of a task's runs say instead of its typed step: `config says 50,000 in 8 runs`; empty where nothing."""
    typed = task.detach.step
    detaches = _detaches(task, runs) if typed else []
    steps = [detach.step for detach in detaches if detach.source == "config" and detach.step not in (None, typed)]
    counts = Counter(steps).most_common()
    parts = [f"{step:,} in {plural(count, 'run')}" for step, count in counts[:_MOST]]
    if others := sum(count for _, count in counts[_MOST:]):
        parts.append(f"other steps in {plural(others, 'run')}")
    return f"config says {listing(parts)}" if parts else ""


def dropped_text(task: Task, runs: Sequence[Run]) -> str:
    """What the study loses where the typed step is used: the keys, and the control runs that they alone tell apart."""
    rule, typed = task.detach, replace(task, detach=with_typed_step(task.detach))
    dropped = [f"{name} {getattr(rule, name)}" for name in ("ratio_key", "detach_step_key") if getattr(rule, name)]
    text = f"Drops {listing([*dropped, *(['randomised'] if rule.randomised else [])])}."
    pairs = zip(_detaches(task, runs), _detaches(typed, runs), strict=True)
    controls = sum(before.step is None and after.step is not None for before, after in pairs)
    return f"{text} {plural(controls, 'control run')} then {is_or_are(controls)} detached too." if controls else text


def _detaches(task: Task, runs: Sequence[Run]) -> list[Detach]:
    names = (key for _, key in task.detach.config_keys)
    keys = {key for key in names if any(has_config_key(run.config, key) for run in runs)}
    return [run_detach(task, run, keys) for run in runs]
