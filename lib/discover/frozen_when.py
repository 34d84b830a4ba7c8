"""Which runs were frozen at their detach step, where a config key beside it says so, and which were left alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib.discover import key_names
from lib.discover.evidence import Evidence, spread, value_text
from lib.discover.find_keys import FLAG, RATIO, Finding, number_of, truth_of
from lib.formatting import listing
from lib.study import config_value, has_config_key

Scalar = str | bool | int | float
_Pairs = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class FreezeConditions:
    """What a run's config must hold for the run to be frozen at its detach step, and to be left alone."""

    frozen_when: _Pairs = ()
    unchanged_when: _Pairs = ()


@dataclass(frozen=True)
class Freeze:
    """The config key that says which runs were frozen, its value where they were, and by text those only a user can read."""

    key: str = ""
    frozen: Scalar = 0.0
    others: Mapping[str, Scalar] = field(default_factory=dict)


def scale_key(ratio_key: str) -> str:
    """The config key beside a ratio that scales the encoder's learning rate from then on, "" where it has none."""
    start = max(ratio_key.rfind("."), ratio_key.rfind("/")) + 1
    scale = key_names.FROZEN.get(ratio_key[start:], "")
    return ratio_key[:start] + scale if scale else ""


def freeze_of(evidence: Evidence, names: Sequence[str]) -> Freeze | None:
    """The scale beside the ratio, else a flag that differs between the runs; None where there is neither.

    A key that the user chose as flag may have any two values: which of them leaves a run alone is asked.
    """
    runs = [run for name in names for run in evidence.runs(name)]
    scale, flag = scale_key(evidence.key(RATIO)), evidence.key(FLAG)
    if scale and any(has_config_key(run.config, scale) for run in runs):
        values = [config_value(run.config, scale) for run in runs]
        scalars = [value for value in values if isinstance(value, str | bool | int | float)]
        return Freeze(scale, 0.0, {value_text(value): value for value in scalars if not _is_part(value)})
    values = [config_value(run.config, flag) for run in runs] if flag else []
    by_text = {value_text(value): value for value in values if isinstance(value, Scalar)}
    if FLAG in evidence.choices.keys and len(by_text) == 2:
        return Freeze(flag, others=by_text)
    true, false = ([v for v in by_text.values() if truth_of(v) is truth] for truth in (True, False))
    if true and false:
        return Freeze(flag, true[0], {value_text(false[0]): false[0]})
    # Runs without the flag say nothing of it: no step counts for them until somebody says so.
    return Freeze(flag, true[0]) if true and not all(truth_of(value) for value in values) else None


def _is_part(value: object) -> bool:
    """Whether a scale is a number from 0 (frozen) to 1 (left alone)."""
    number = number_of(value)
    return number is not None and 0 <= number <= 1


def freeze_conditions(evidence: Evidence, names: Sequence[str]) -> tuple[FreezeConditions, list[Finding]]:
    """When a run was frozen and when it was left alone; a question where only the user knows.

    1 leaves a learning rate alone and less of it is a treatment; what another value does only the user can say. So it is
    with a flag: it may be part of the detach, or another choice of the agent.
    """
    freeze = freeze_of(evidence, names)
    if freeze is None:
        return FreezeConditions(), []
    key, is_scale = freeze.key, freeze.key != evidence.key(FLAG)
    values = [config_value(run.config, key) for name in names for run in evidence.runs(name)]
    where, unchanged_value = f"config: {spread(values)}", evidence.choices.unchanged
    frozen: _Pairs = ((key, freeze.frozen),)
    if not freeze.others:
        return FreezeConditions(frozen), [Finding(f"frozen {key}", value_text(freeze.frozen), where)]
    what, options = f"unchanged {key}", tuple(sorted(freeze.others))
    if unchanged_value is None:
        question = _question(key, options, is_scale)
        finding = Finding(what, "", where, assumed=True, options=options, question=question, is_needed=True)
        return FreezeConditions(frozen if is_scale else ()), [finding]
    unchanged = tuple((key, value) for text, value in freeze.others.items() if text == unchanged_value)
    if unchanged and len(options) == 2 and not is_scale:
        frozen = tuple((key, value) for text, value in freeze.others.items() if text != unchanged_value)
    conditions = FreezeConditions(frozen if is_scale or unchanged else (), unchanged)
    return conditions, [Finding(what, unchanged_value, "chosen by you", options=options)]


def _question(key: str, options: Sequence[str], is_scale: bool) -> str:
    if is_scale:
        return (
            f"Which value of {key} leaves a run alone, besides 1: {listing(options, 'or')}, or none? Runs at a value that "
            "does not are an arm of their own and no control."
        )
    if len(options) > 1:
        return f"Which runs were never detached, those with {key} {listing(options, 'or')}? Choose none if it does not say."
    return f"Were the runs with {key} {options[0]} never detached? Choose {options[0]} if so, none if {key} says nothing of it."
