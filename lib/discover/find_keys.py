"""The config keys and logged keys of some runs that name the task, the seed, the steps and the detach."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from lib.discover import key_names
from lib.discover.address import Inspection
from lib.runs import Run
from lib.study import Metric


@dataclass(frozen=True)
class Finding:
    """Something found in the runs, or assumed: what it is, its value, where it was found, and what else it may be.

    `ask` is set where only the user can say.
    """

    what: str
    value: str
    where: str
    assumed: bool = False
    options: tuple[str, ...] = ()
    ask: bool = False

    @property
    def status(self) -> str:
        """Whether it was found, is assumed, or was not found."""
        return "assumed" if self.assumed else "found" if self.value else "not found"


@dataclass(frozen=True)
class Choices:
    """What the user says instead of what is proposed: None and absent where they say nothing, "" for no such key."""

    keys: Mapping[str, str] = field(default_factory=dict)
    ratio_counts: str | None = None
    tasks: Sequence[str] | None = None
    total_steps: Mapping[str, int] = field(default_factory=dict)
    detach_steps: Mapping[str, int] = field(default_factory=dict)
    metrics: Sequence[Metric] | None = None
    title: str = ""


TASK, SEED, STEP, TOTAL = "task key", "seed key", "step key", "total steps key"
RATIO, DETACH_STEP, SIGNAL = "detach ratio key", "detach step key", "signal"
#: Whose value may be that there is none.
OPTIONAL = (TOTAL, RATIO, DETACH_STEP, SIGNAL)
#: Beyond this a float does not hold every whole number.
_EXACT = 2**53
#: Of the last step, a config key that says less than this part is no total.
_SHORT = 0.9


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a config value is a number that can count steps: finite and exact; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _EXACT


def find_keys(inspection: Inspection, choices: Choices | None = None) -> dict[str, Finding]:
    """What each key is, by what it is for: as chosen, else as found by its name and its values, else assumed.

    A value of "" says that no key was found, or that none was chosen.
    """
    runs, chosen = inspection.runs, (choices or Choices()).keys
    findings = {what: _in_config(what, names, fits, runs) for what, (names, fits) in _CONFIG.items()}
    findings[STEP] = _step_key(runs)
    findings[SIGNAL] = _signal(runs)
    for what, key in chosen.items():
        if key != findings[what].value:
            findings[what] = Finding(what, key, "chosen by you", options=findings[what].options)
    return findings


def logged_keys(runs: Sequence[Run]) -> list[str]:
    """Every key that the runs logged, W&B's own left out."""
    return sorted({key for run in runs for key in run.keys if not key.startswith("_")})


def _fits_total(value: object, run: Run) -> bool:
    return is_number(value) and value >= max(1, _SHORT * (run.last_step or 0))


_CONFIG: dict[str, tuple[Sequence[str], Callable[[Any, Run], bool]]] = {
    TASK: (key_names.TASK, lambda value, _: isinstance(value, str) and value != ""),
    SEED: (key_names.SEED, lambda value, _: isinstance(value, int | str) and not isinstance(value, bool)),
    TOTAL: (key_names.TOTAL, _fits_total),
    RATIO: (key_names.RATIO, lambda value, _: value is None or (is_number(value) and 0 <= value <= 1)),
    DETACH_STEP: (key_names.DETACH_STEP, lambda value, _: value is None or (is_number(value) and value >= 0)),
}


def _in_config(what: str, names: Sequence[str], fits: Callable[[Any, Run], bool], runs: Sequence[Run]) -> Finding:
    """The config key of that meaning which most runs have, the likelier name first where they tie."""
    counts = Counter(key for run in runs for key, value in run.config.items() if _rank(key, names) and fits(value, run))
    ranked = sorted(counts, key=lambda key: (-counts[key], _rank(key, names), key))
    others = tuple(sorted({key for run in runs for key in run.config} - set(ranked)))
    options = (*ranked, *others)
    if not ranked:
        nested = sorted({key for run in runs for key in _nested(run.config) if _rank(key, names)})
        where = "in no config" + (": each run counts as a seed of its own" if what == SEED else "")
        if nested:
            where = f"{nested[0]} lies inside another key: a study reads the top keys of a config only"
        return Finding(what, "", where, assumed=what == SEED, options=options)
    best, rivals = ranked[0], ranked[1:]
    where = f"config of {counts[best]} of {len(runs)} runs"
    if rivals:
        where += f"; so might {', '.join(rivals)}"
    return Finding(what, best, where, assumed=bool(rivals), options=options)


def _rank(key: str, names: Sequence[str]) -> int:
    """The place of a key among the names that it may have, from 1; 0 where it has none of them."""
    for name in (key.lower(), key.lower().replace("/", ".").rpartition(".")[2]):
        if name in names:
            return names.index(name) + 1
    return 0


def _nested(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys that lie inside others."""
    keys = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            keys += _nested(value, f"{prefix}{key}.")
        elif prefix:
            keys.append(prefix + key)
    return keys


def _step_key(runs: Sequence[Run]) -> Finding:
    bundled = next((run.step_key for run in runs if run.step_key), ())
    if bundled:
        return Finding(STEP, bundled[0], "the steps that the bundle was written with", options=bundled)
    logged = logged_keys(runs)
    ranked = sorted((k for k in logged if _rank(k, key_names.STEP)), key=lambda k: (_rank(k, key_names.STEP), k))
    options = ("_step", *ranked, *(key for key in logged if key not in ranked))
    where = "W&B's own step, in every row"
    if ranked:
        where += f"; the runs also log {', '.join(ranked)}, which may count environment steps"
    return Finding(STEP, "_step", where, assumed=bool(ranked), options=options)


def _signal(runs: Sequence[Run]) -> Finding:
    counts = Counter(key for run in runs for key in run.keys if key_names.SIGNAL.search(key))
    others = tuple(key for key in logged_keys(runs) if key not in counts)
    if not counts:
        return Finding(
            SIGNAL, "", "no run logs the encoder's learning rate: the detach cannot be checked", options=others
        )
    best = min(counts, key=lambda key: (-counts[key], key))
    options = (best, *(key for key in sorted(counts) if key != best), *others)
    return Finding(SIGNAL, best, f"logged by {counts[best]} of {len(runs)} runs", options=options)


@dataclass(frozen=True)
class Evidence:
    """The runs of the chosen tasks, the keys found, and what the user chose."""

    inspection: Inspection
    keys: dict[str, Finding]
    choices: Choices

    def key(self, what: str) -> str:
        """The key that holds this, "" where none does."""
        return self.keys[what].value

    def tasks(self) -> list[str]:
        """The tasks that the runs name; only text can name one."""
        values = [run.config.get(self.key(TASK)) for run in self.inspection.runs]
        return sorted({value for value in values if isinstance(value, str) and value})

    def runs(self, task: str) -> list[Run]:
        """The runs of a task."""
        return [run for run in self.inspection.runs if run.config.get(self.key(TASK)) == task]

    def totals(self, task: str) -> list[int]:
        """The total steps that the configs of a task's runs say."""
        values = [run.config.get(self.key(TOTAL)) for run in self.runs(task)]
        return sorted({int(value) for value in values if is_number(value) and value >= 1})

    def total_of(self, run: Run, task: str) -> int:
        """The total steps of a run: its own, else its task's."""
        value = run.config.get(self.key(TOTAL))
        return int(value) if is_number(value) and value >= 1 else self.total_steps(task)[0]

    def total_steps(self, task: str) -> tuple[int, Finding]:
        """A task's total steps, 0 where nothing says, and where they were found."""
        what, key = f"total steps of {task}", self.key(TOTAL)
        totals = self.totals(task)
        last = max((run.last_step or 0 for run in self.runs(task)), default=0)
        if typed := self.choices.total_steps.get(task):
            return typed, Finding(what, f"{typed:,}", "typed by you")
        if len(totals) == 1:
            return totals[0], Finding(what, f"{totals[0]:,}", f"config {key}")
        if totals:
            listed = ", ".join(f"{total:,}" for total in totals)
            return totals[-1], Finding(what, f"{totals[-1]:,}", f"the largest of config {key}: {listed}", assumed=True)
        if last:
            doubt = "" if self.key(STEP) == "_step" else f", in _step and not in {self.key(STEP)}"
            where = f"the largest last step of its runs{doubt}; no config key says"
            return last, Finding(what, f"{last:,}", where, assumed=True)
        return 0, Finding(what, "", "neither config nor history says", assumed=True)
