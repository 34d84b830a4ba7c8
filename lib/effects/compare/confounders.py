"""What the arms of a comparison differ in besides the treatment."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lib.formatting import number, plural
from lib.runs import Setting, Treatment, key_words
from lib.study import Study, Task

Settings = Mapping[str, Mapping[str, Setting]]  # by run id, then by dotted key
_SEEDS = {"seed", "seeds"}
_ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """A setting that differs between the arms; `is_minor` where it is a text, or differs within one of them too."""

    key: str
    treated: str
    control: str
    is_minor: bool

    @property
    def text(self) -> str:
        """`batch_size differs between the arms (256 against 512)`."""
        return f"{self.key} differs between the arms ({self.treated} against {self.control})"


def differences(
    settings: Settings, treated: Collection[str], controls: Collection[str], ignore: Collection[str]
) -> list[Difference]:
    """The settings that are constant in one arm, and other or mixed in the other one.

    Parameters
    ----------
    treated, controls : ids of the runs that are compared.
    ignore : keys that belong to the treatment; seeds are ignored too.
    """
    if not treated or not controls:
        return []
    arms = [[settings.get(run, {}) for run in runs] for runs in (treated, controls)]
    keys = sorted({key for arm in arms for run in arm for key in run} - set(ignore))
    differences = []
    for key in (key for key in keys if not is_seed(key)):
        one, other = (Counter(run.get(key, _ABSENT) for run in arm) for arm in arms)
        if 1 not in (len(one), len(other)) or one.keys() == other.keys() or _is_of_run(one) or _is_of_run(other):
            continue
        values = {*one, *other}
        is_text = _ABSENT in values or not any(isinstance(value, float | bool) for value in values)
        differences.append(Difference(key, _texts(one), _texts(other), is_text or len(one) != len(other)))
    return differences


def runs_differ_in(settings: Settings, runs: Collection[str], ignore: Collection[str]) -> list[str]:
    """The settings on which these runs differ, seeds and what is to be ignored left out."""
    configs = [settings.get(run, {}) for run in runs]
    keys = sorted({key for config in configs for key in config} - set(ignore))
    return [key for key in keys if not is_seed(key) and len({config.get(key, _ABSENT) for config in configs}) > 1]


def is_seed(key: str) -> bool:
    """Whether a config key names a random seed."""
    return not _SEEDS.isdisjoint(key_words(key))


def _is_of_run(values: Counter[Setting]) -> bool:
    """Whether each of several runs has a value of its own: a setting that only tells runs apart."""
    return len(values) > 1 and max(values.values()) == 1


def _texts(values: Counter[Setting]) -> str:
    """The value, or each with the number of runs that have it."""
    if len(values) == 1:
        return _text(next(iter(values)))
    return ", ".join(f"{_text(value)} in {plural(count, 'run')}" for value, count in values.most_common())


def _text(value: Setting) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return number(value) if isinstance(value, float) else value


def treatment_keys(study: Study, task: Task, settings: Settings, runs: Sequence[Treatment]) -> set[str]:
    """The settings that belong to the treatment of these runs.

    Those are the keys that the study names for it, and keys that hold T, T/S or 1 - T/S in every detached run and nothing
    (null, 0 or false) in every control.
    """
    keys = {key for t in runs for key in settings.get(t.run_id, {})}
    named = [key for _, key in study.config_keys(task)]
    by_name = {key for key in keys if any(key == name or key.startswith(f"{name}.") for name in named)}
    detached = [(t, settings.get(t.run_id, {})) for t in runs if t.detach_step is not None]
    controls = [settings.get(t.run_id, {}) for t in runs if t.is_control]
    if not detached or not controls:
        return by_name
    off = {key for key in keys if all(key in run and not run[key] for run in controls)}
    return by_name | {key for key in off if all(_is_detach(run.get(key), t, task) for t, run in detached)}


def _is_detach(value: Setting, run: Treatment, task: Task) -> bool:
    """Whether a setting is the run's detach step, as steps or as an elapsed or remaining share of training."""
    if not isinstance(value, float) or run.detach_step is None:
        return False
    total = run.detach_step / run.ratio if run.ratio else task.total_steps
    places = [value, *((value * total, (1 - value) * total) if 0 < value < 1 else ())]
    return any(abs(place - run.detach_step) <= 0.5 for place in places)  # a share of training is rounded to a step
