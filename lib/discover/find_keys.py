"""The config keys and logged keys of some runs that name the task, the seed, the steps and the detach."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lib.discover import key_names
from lib.discover.model import Inspection
from lib.discover.step_keys import counters, named_counters
from lib.formatting import plural
from lib.runs import Run
from lib.study import Metric, as_number, config_value


@dataclass(frozen=True)
class Finding:
    """Something found in the runs, or assumed: what it is, its value, where it was found, and what else it may be.

    `question` is asked where only the user can say; the study opens without an answer unless `is_needed`. What is not
    taken is a key that looks like a metric and is none of the study.
    """

    what: str
    value: str
    where: str
    assumed: bool = False
    options: tuple[str, ...] = ()
    question: str = ""
    is_needed: bool = False
    is_taken: bool = True

    @property
    def status(self) -> str:
        """Whether it was found, is assumed, was not found, or is not taken."""
        if not self.is_taken:
            return "not taken"
        return "assumed" if self.assumed else "found" if self.value else "not found"


@dataclass(frozen=True)
class Choices:
    """What the user says instead of what is proposed: None and absent where they say nothing, "" for no such key.

    `typed_alone` are the tasks whose typed detach step stands in place of what their configs say.
    `control_sweeps` are sweeps whose runs were never detached, which no config says. `unchanged` is the value, as text, of
    the runs whose encoder was left alone, "" where no value says so.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    ratio_counts: str | None = None
    unchanged: str | None = None
    tasks: Sequence[str] | None = None
    total_steps: Mapping[str, int] = field(default_factory=dict)
    detach_steps: Mapping[str, int] = field(default_factory=dict)
    typed_alone: Sequence[str] = ()
    control_sweeps: Sequence[str] = ()
    metrics: Sequence[Metric] | None = None
    title: str = ""


TASK, SEED, STEP, TOTAL = "task key", "seed key", "step key", "total steps key"
RATIO, DETACH_STEP, FLAG, SIGNAL = "detach ratio key", "detach step key", "detach flag key", "signal"
#: Whose value may be that there is none.
OPTIONAL = (TOTAL, RATIO, DETACH_STEP, FLAG, SIGNAL)
#: Beyond this a float does not hold every whole number.
_EXACT = 2**53
#: Of the last step, a config key that says less than this part is no total.
_SHORT = 0.9


def number_of(value: object) -> float | None:
    """A config value, text or not, as a number that can count steps: finite and exact; true and false are none."""
    number = None if isinstance(value, bool) else as_number(value)
    return number if number is not None and abs(number) <= _EXACT else None


def is_null(value: object) -> bool:
    """Whether a config value is null, as such or as the text that a sweep's YAML makes of it."""
    return value is None or (isinstance(value, str) and value.lower() in {"none", "null"})


#: What stands for true and false besides 1 and 0.
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def truth_of(value: object) -> bool | None:
    """The truth value that a config holds, as a flag, a text or a number; None where it is none."""
    number = number_of(value)
    return _TRUTHS.get(str(value).lower()) if number is None else {1.0: True, 0.0: False}.get(number)


def find_keys(inspection: Inspection, choices: Choices | None = None) -> dict[str, Finding]:
    """What each key is, by what it is for: as chosen, else as found by its name and its values, else assumed.

    A value of "" says that no key was found, or that none was chosen.
    """
    chosen = (choices or Choices()).keys
    findings = {what: meaning.finding(what, inspection) for what, meaning in _CONFIG.items()}
    findings = {what: _as_chosen(finding, chosen) for what, finding in findings.items()}
    findings[STEP] = _as_chosen(_step_key(inspection.runs, findings[TOTAL].value), chosen)
    findings[SIGNAL] = _as_chosen(_signal(inspection.runs), chosen)
    return findings


def _as_chosen(finding: Finding, chosen: Mapping[str, str]) -> Finding:
    key = chosen.get(finding.what, finding.value)
    return finding if key == finding.value else Finding(finding.what, key, "chosen by you", options=finding.options)


def logged_keys(runs: Sequence[Run]) -> list[str]:
    """Every key that the runs logged, W&B's own left out."""
    return sorted({key for run in runs for key in run.keys if not key.startswith("_")})


# ---- keys of the configs -----------------------------------------------------------------------------------------


def _no_words(_: str) -> bool:
    return False


def _never_tells(_: object) -> bool:
    return False


@dataclass(frozen=True)
class _Meaning:
    """What a config key may hold: its likely names, the values that fit, and what else its words may be.

    A key that is told by its words alone needs a value that tells (`tells`): a fraction is a ratio, a large number a step.
    Where `varies`, a key that has one value in all runs comes after one that tells them apart.
    """

    names: Sequence[str]
    fits: Callable[[Any, Run], bool]
    has_words: Callable[[str], bool] = _no_words
    tells: Callable[[Any], bool] = _never_tells
    varies: bool = False

    def finding(self, what: str, inspection: Inspection) -> Finding:
        """The config key of that meaning which most runs have, the likelier name first where they tie."""
        runs, configs = inspection.runs, inspection.configs
        keys = sorted({key for config in configs for key in config})
        ranks = {key: rank for key in keys if (rank := self._rank(key, configs))}
        pairs = [*zip(runs, configs, strict=True)]
        counts = {
            key: count
            for key in ranks
            if (count := sum(key in config and self.fits(config[key], run) for run, config in pairs))
        }
        constant = {key for key in counts if self.varies and len({str(config.get(key)) for config in configs}) == 1}
        ranked = sorted(counts, key=lambda key: (-counts[key], key in constant, ranks[key], key.count("."), key))
        options = (*ranked, *(key for key in keys if key not in counts))
        if not ranked:
            where = "in no config" + (": each run counts as a seed of its own" if what == SEED else "")
            return Finding(what, "", where, assumed=what == SEED, options=options)
        best, rivals = ranked[0], ranked[1:]
        where = f"config of {counts[best]} of {plural(len(runs), 'run')}"
        by_words = ranks[best] > len(self.names)
        where += ", by the words of its name" if by_words else ""
        where += f"; so might {', '.join(rivals)}" if rivals else ""
        return Finding(what, best, where, assumed=bool(rivals) or by_words, options=options)

    def _rank(self, key: str, configs: Sequence[Mapping[str, Any]]) -> int:
        """The place of a key among the names, behind them where only its words tell; 0 where nothing does."""
        if rank := key_names.rank(key, self.names):
            return rank
        tells = self.has_words(key) and any(self.tells(config.get(key)) for config in configs)
        return len(self.names) + 1 if tells else 0


def _fits_seed(value: object, _: Run) -> bool:
    return not isinstance(value, bool) and (
        isinstance(value, int | str) or (isinstance(value, float) and value % 1 == 0)
    )


def _fits_total(value: object, run: Run) -> bool:
    total = number_of(value)
    if total is None or total < 1:
        return False
    ends = [run.last_values[key] for key in named_counters(run.keys) if key in run.last_values]
    return total >= _SHORT * (run.last_step or 0) or any(_SHORT * end <= total <= end / _SHORT for end in ends)


def _fits_ratio(value: object, _: Run) -> bool:
    number = number_of(value)
    return is_null(value) or (number is not None and 0 <= number <= 1)


def _fits_step(value: object, _: Run) -> bool:
    number = number_of(value)
    return is_null(value) or (number is not None and number >= 0 and number % 1 == 0)


_CONFIG = {
    TASK: _Meaning(key_names.TASK, lambda value, _: isinstance(value, str) and value != "", varies=True),
    SEED: _Meaning(key_names.SEED, _fits_seed, varies=True),
    TOTAL: _Meaning(key_names.TOTAL, _fits_total),
    RATIO: _Meaning(key_names.RATIO, _fits_ratio, key_names.tells_detach, lambda v: 0 < (number_of(v) or 0) < 1),
    FLAG: _Meaning((), lambda v, _: truth_of(v) is not None, key_names.tells_flag, lambda v: truth_of(v) is not None),
    DETACH_STEP: _Meaning(key_names.DETACH_STEP, _fits_step, key_names.tells_detach, lambda v: (number_of(v) or 0) > 1),
}


# ---- logged keys -------------------------------------------------------------------------------------------------


def _step_key(runs: Sequence[Run], total_key: str) -> Finding:
    bundled = next((run.step_key for run in runs if run.step_key), ())
    if bundled:
        return Finding(STEP, bundled[0], "the steps that the bundle was written with", options=bundled)
    logged = logged_keys(runs)
    counting = counters(runs, logged, partial(total_steps_of, key=total_key))
    named = list(dict.fromkeys([*(counter.key for counter in counting), *named_counters(logged)]))
    options = (*named, *(key for key in logged if key not in named))
    if counting:
        best, *others = counting
        where = best.where + (f"; also tried: {', '.join(other.key for other in others)}" if others else "")
        options = (best.key, "_step", *options[1:])
        return Finding(STEP, best.key, where, assumed=not best.reaches_total, options=options)
    where = "W&B's own step, in every row"
    if named:
        where += f"; the runs also log {', '.join(named)}, which may count environment steps"
    return Finding(STEP, "_step", where, assumed=bool(named), options=("_step", *options))


def total_steps_of(run: Run, key: str) -> float | None:
    """The total steps that a run's config says, None where it says none."""
    total = number_of(config_value(run.config, key)) if key else None
    return total if total is not None and total >= 1 else None


def _signal(runs: Sequence[Run]) -> Finding:
    counts = Counter(key for run in runs for key in run.keys if key_names.SIGNAL.search(key))
    others = tuple(key for key in logged_keys(runs) if key not in counts)
    if not counts:
        return Finding(
            SIGNAL, "", "no run logs the encoder's learning rate: the detach cannot be checked", options=others
        )
    best = min(counts, key=lambda key: (-counts[key], key))
    options = (best, *(key for key in sorted(counts) if key != best), *others)
    return Finding(SIGNAL, best, f"logged by {counts[best]} of {plural(len(runs), 'run')}", options=options)
