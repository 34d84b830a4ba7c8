"""What a run's config, or else the study's typed step, says of its detach."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from lib.runs.model import Run
from lib.study import (
    DetachRule,
    Task,
    as_number,
    config_number,
    config_value,
    has_config_key,
    same_value,
    value_text,
)

Config = Mapping[str, Any]

#: A value longer than this is cut: neither a legend nor a warning is a config file.
LONG = 40
#: Texts that stand for null, as a sweep's YAML makes them, and texts and numbers that say never.
_NULLS = ("none", "null")
_NEVER = (0, -1, "never", "no", "off")


@dataclass(frozen=True)
class Detach:
    """Where a run was detached, and who says so.

    `step` is T in environment steps; None where the run was never detached, and where nothing says anything (`source` is
    then empty). `change` is what happened at T where the encoder was not frozen (`enc_lr_step_scale 0.1`). `reason` is why
    config does not say what it should.
    """

    step: int | None = None
    source: Literal["config", "typed", "signal", ""] = ""
    change: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()


class _Reading(NamedTuple):
    """What one config key says: a step, never (None), or nothing for a reason; and what is to be said of it."""

    step: int | None = None
    reason: str = ""
    warning: str = ""


def run_detach(task: Task, run: Run, keys: Collection[str]) -> Detach:
    """The detach of a run, by its config and the rule of its task.

    Config wins over the typed step, which stands where config says nothing. A ratio or a step that is null, 0, false, -1
    or a text for never means never detached; so does a step beyond the total steps that the run has not reached, and one
    that is missing where other runs of the task have it and nothing is typed.

    Parameters
    ----------
    keys : the config keys that some run of the task has.
    """
    rule = task.detach
    total, total_warnings = _config_total(task, run.config, keys)
    reading, warnings = _reading(rule, run, total)
    if reading is None:
        typed = _typed(task, run)
        lacking = next((key for key in (rule.detach_step_key, rule.ratio_key) if key in keys), "")
        if lacking and typed.step:
            typed = replace(typed, reason=f"{lacking} is not in its config")
        detach = Detach(source="config") if lacking and not typed.source else typed
    elif reading.reason:
        detach = _typed(task, run, reading.reason)
    else:
        if reading.step is not None:
            warnings += total_warnings
        warnings += [reading.warning] if reading.warning else []
        if reading.step is not None and rule.step not in (None, reading.step):
            warnings.append(f"typed detach step {rule.step:,} but config says {reading.step:,}: config is used")
        detach = Detach(reading.step, "config", warnings=tuple(warnings))
    return detach if detach.step is None or not rule.frozen_when else _with_change(task, run, detach)


def _with_change(task: Task, run: Run, detach: Detach) -> Detach:
    """The detach of a run with what became of its encoder: frozen, left alone, or changed in another way."""
    rule, config = task.detach, run.config
    if reason := _frozen_reason(rule, config):
        return detach if detach.reason else _typed(task, run, reason)
    others = [key for key, frozen in rule.frozen_when if not same_value(config_value(config, key), frozen)]
    if not others:
        return detach
    if _is_unchanged(rule, config, others):
        return Detach(source="config", warnings=(f"{_shown(config, others[0])}, so the encoder was never frozen",))
    changes = [f"{key.rsplit('.', 1)[-1]} {value_text(config_value(config, key))[:LONG]}" for key in others]
    return replace(detach, change=", ".join(changes))


def _typed(task: Task, run: Run, reason: str = "") -> Detach:
    """What the study itself says of a run: its sweep is the control's, or the typed step."""
    if run.sweep_id in task.control_sweep_id and run.sweep_id not in task.sweep_id:
        return Detach(None, "typed", reason=reason)
    return Detach(task.detach.step, "typed" if task.detach.step else "", reason=reason)


def run_total(task: Task, config: Config) -> float:
    """The total steps of a run: its config's where the study names the key and the value can be, else the study's."""
    key = task.detach.total_steps_key
    total = config_number(config, key) if key else None
    return total if total is not None and 0 < total < math.inf else task.total_steps


def _config_total(task: Task, config: Config, keys: Collection[str]) -> tuple[float, list[str]]:
    """The total steps that a ratio is a fraction of, and a warning where config and study differ."""
    key, total = task.detach.total_steps_key, run_total(task, config)
    if total != task.total_steps:
        return total, [f"{key} is {total:,.16g} but the study says {task.total_steps:,}: config is used"]
    if key not in keys or config_number(config, key) == total:
        return total, []
    why = _shown(config, key) if has_config_key(config, key) else f"{key} is not in its config"
    return total, [f"{why}: the study's {total:,} steps are used"]


def _reading(rule: DetachRule, run: Run, total: float) -> tuple[_Reading | None, list[str]]:
    """What the key of the step, or else that of the ratio, says; None where the run has neither."""
    read, config = {}, run.config
    if has_config_key(config, rule.detach_step_key):
        read[rule.detach_step_key] = _step(run, rule.detach_step_key, total)
    if has_config_key(config, rule.ratio_key):
        read[rule.ratio_key] = _ratio(config, rule, total)
    # Null beside a value is a key that is not in use.
    read = {key: reading for key, reading in read.items() if not _is_null(config_value(config, key))} or read
    if not read:
        return None, []
    (key, first), *others = read.items()
    differing = [other for other, reading in others if reading[:2] != first[:2]]
    return first, [f"{_shown(config, key)} but {_shown(config, other)}: {key} is used" for other in differing]


def _step(run: Run, key: str, total: float) -> _Reading:
    config = run.config
    number = config_number(config, key)
    if _is_never(config_value(config, key)):
        return _Reading()
    if number is not None and number > max(total, run.last_step or 0):
        return _Reading(warning=f"{_shown(config, key)}, beyond its {total:,.16g} steps: never detached")
    if number is None or not number.is_integer() or not 0 < number <= total:
        return _Reading(reason=f"{_shown(config, key)}, not a step of {total:,.16g}")
    return _Reading(int(number))


def _ratio(config: Config, rule: DetachRule, total: float) -> _Reading:
    number = config_number(config, rule.ratio_key)
    if _is_never(config_value(config, rule.ratio_key)):
        return _Reading()
    if number is None or not 0 < number <= 1:
        hint = " (detach_step_key reads steps)" if number is not None and 1 < number <= total else ""
        return _Reading(reason=f"{_shown(config, rule.ratio_key)}, not a fraction{hint}")
    return _Reading(round((number if rule.ratio_counts == "elapsed" else 1 - number) * total))


def _frozen_reason(rule: DetachRule, config: Config) -> str:
    """Why config does not say whether the encoder was frozen; empty where it does."""
    for key, frozen in rule.frozen_when:
        value = config_value(config, key)
        if not has_config_key(config, key):
            return f"{key} is not in its config"
        is_named = any(same_value(value, one) for one in (frozen, dict(rule.unchanged_when).get(key, frozen)))
        if not is_named and (_is_null(value) or not _is_plain(value)):
            return _shown(config, key)
    return ""


def _is_unchanged(rule: DetachRule, config: Config, keys: Collection[str]) -> bool:
    """Whether an encoder that is not frozen, by the values of these keys, was left alone.

    It was where they are what `unchanged_when` names, or else 1: a scale left alone (0 where 1 or true is the frozen one).
    """
    unchanged = dict(rule.unchanged_when)
    if unchanged and all(same_value(config_value(config, key), value) for key, value in unchanged.items()):
        return True
    defaults = {key: 0 if same_value(frozen, 1) else 1 for key, frozen in rule.frozen_when}
    return all(same_value(config_value(config, key), (defaults | unchanged)[key]) for key in keys)


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.lower() in _NULLS)


def _is_never(value: object) -> bool:
    """Whether a ratio or a step says that the run was never detached."""
    text = value.lower() if isinstance(value, str) else value
    return _is_null(text) or any(same_value(text, never) for never in _NEVER)


def _is_plain(value: object) -> bool:
    """Whether a value is a flag, a text or a number, neither empty nor NaN."""
    number = as_number(value)
    return isinstance(value, str) and bool(value.strip()) if number is None else not math.isnan(number)


def _shown(config: Config, key: str) -> str:
    """A config key with its value, for a message."""
    text = repr(config_value(config, key))
    return f"{key} is {text if len(text) <= LONG else text[:LONG] + '…'}"
