"""What the configs schedule near the detach: other explanations of a change there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lib.effects.compare.confounders import is_seed, treatment_keys
from lib.effects.compare.units import REACH
from lib.effects.study_analysis import TaskAnalysis
from lib.runs import Setting, key_words
from lib.study import UNKNOWN

#: Words of config keys that speak of a schedule, and how longer ones begin.
_WORDS = {
    "step",
    "steps",
    "timestep",
    "timesteps",
    "until",
    "start",
    "starts",
    "end",
    "ends",
    "from",
    "frac",
    "fracs",
    "warm",
}
_STEMS = (
    "anneal",
    "decay",
    "warmup",
    "schedul",
    "switch",
    "milestone",
    "boundar",
    "fraction",
    "freez",
    "unfreez",
    "reset",
)
_DIGITS = r"[+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
#: What a number in a text is multiplied by.
_UNITS = {"": 1.0, "%": 0.01, "k": 1e3, "m": 1e6}
_NUMBER = re.compile(rf"(?<![\w.])({_DIGITS})([%kKmM]?)(?![\w.])")
_NAMED = rf"(?:[A-Za-z_]\w*\s*[@:=]\s*)?{_DIGITS}[%kKmM]?"
#: A schedule as text: `linear(1.0, 0.1, 500000)`, `[50_000, 75_000]`, `0: 1e-3, 50k: 1e-4`, `step@50000`, `50%`.
_SCHEDULE = re.compile(rf"\w*\s*[(\[{{].*[)\]}}]|{_NAMED}(?:[,;:\s]\s*{_NAMED})*", re.DOTALL)


@dataclass(frozen=True)
class Rival:
    """A scheduled step in the configs near the detach: another explanation of what happens there.

    `shared` says that the control arm has the same values, so that comparing with it rules the schedule out.
    """

    key: str
    values: tuple[float, ...]
    shared: bool


def rivals(task: TaskAnalysis) -> list[Rival]:
    """What the configs schedule within 0.1 S of a detach, other than the detach itself.

    Under a key that speaks of a schedule these are steps and fractions of the total steps, also as text and in lists; under
    any other key only a number that is a detach step itself.
    """
    steps = [t.detach_step for t in task.treatments if t.detach_step is not None]
    own_keys = treatment_keys(task.study, task.task, task.settings, task.treatments)
    schedules: dict[str, dict[bool, set[float]]] = {}
    for run in (t for t in task.treatments if t.arm != UNKNOWN):
        for setting, value in task.settings.get(run.run_id, {}).items():
            if setting in own_keys or is_seed(setting) or "detach" in setting.lower():
                continue
            key = re.sub(r"\.[0-9]+(?=\.|$)", "", setting)  # places in lists, and steps
            for number in _numbers_near(setting, value, steps, task.task.total_steps):
                schedules.setdefault(key, {}).setdefault(run.is_control, set()).add(number)
    return [
        Rival(key, tuple(sorted(set().union(*arms.values()))), arms.get(True, set()) == arms.get(False))
        for key, arms in sorted(schedules.items())
    ]


def speaks_of_schedule(key: str) -> bool:
    """Whether a word of a config key announces something scheduled in training."""
    return any(word in _WORDS or word.startswith(_STEMS) for word in key_words(key))


def _numbers_near(key: str, value: Setting, steps: list[int], total: int) -> Iterator[float]:
    """The numbers in a setting that name a step near one of these."""
    if isinstance(value, bool) or value is None:
        return
    is_schedule = speaks_of_schedule(key)
    reach = REACH * total if is_schedule else 0
    numbers = [value] if isinstance(value, float) else _numbers(value) if is_schedule else []
    # A table by steps has them as keys; the places of a list are smaller.
    numbers += [float(part) for part in key.split(".") if part.isdecimal() and len(part) > 1] if is_schedule else []
    for number in numbers:
        places = [number, number * total] if is_schedule and 0 < number <= 1 else [number]
        if total not in places and any(abs(place - step) <= reach for place in places for step in steps):
            yield number


def _numbers(text: str) -> list[float]:
    numbers = _NUMBER.findall(text) if _SCHEDULE.fullmatch(text.strip()) else []
    return [float(number) * _UNITS[unit.lower()] for number, unit in numbers]
