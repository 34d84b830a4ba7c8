"""The runs of the chosen tasks with the keys found: what a proposal is made of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from lib.discover.find_keys import (
    SIGNAL,
    STEP,
    TASK,
    TOTAL,
    Choices,
    Finding,
    is_null,
    logged_keys,
    number_of,
    total_steps_of,
)
from lib.discover.model import Inspection
from lib.discover.step_keys import counters
from lib.formatting import plural
from lib.runs import Run
from lib.study import config_value


@dataclass(frozen=True)
class Evidence:
    """The runs of the chosen tasks, the keys found, and what the user chose."""

    inspection: Inspection
    keys: dict[str, Finding]
    choices: Choices

    def key(self, meaning: str) -> str:
        """The key that holds this, "" where none does."""
        return self.keys[meaning].value

    def value(self, run: Run, meaning: str) -> object:
        """What a run's config says of this, None where it says nothing."""
        return config_value(run.config, self.key(meaning)) if self.key(meaning) else None

    def number(self, run: Run, meaning: str) -> float | None:
        """The number that a run's config says of this, None where it says none."""
        return number_of(self.value(run, meaning))

    def tasks(self) -> list[str]:
        """The tasks that the runs name; only text can name one."""
        return sorted(self._by_task)

    def runs(self, task: str) -> list[Run]:
        """The runs of a task."""
        return self._by_task.get(task, [])

    @cached_property
    def _by_task(self) -> dict[str, list[Run]]:
        by_task = dict[str, list[Run]]()
        for run in self.inspection.runs:
            task = self.value(run, TASK)
            if isinstance(task, str) and task:
                by_task.setdefault(task, []).append(run)
        return by_task

    def step_keys(self) -> tuple[str, ...]:
        """The step key, with the others that count the same, so that each metric finds one in its own rows."""
        key, runs = self.key(STEP), self.inspection.runs
        bundled = next((run.step_key for run in runs if run.step_key), ())
        if key in bundled:
            return bundled
        if STEP in self.choices.keys:
            return (key,)
        counting = counters(runs, logged_keys(runs), partial(total_steps_of, key=self.key(TOTAL)))
        return tuple(counter.key for counter in counting) or (key,)

    def fall(self, run: Run) -> tuple[int | None, int] | None:
        """The fall of a run's signal by the step key; None where none was seen or the study counts by another key."""
        counts_alike = self.key(STEP) == "_step" or self.key(STEP) in run.step_key
        return self.inspection.falls.get(run.id) if counts_alike and self.key(SIGNAL) else None

    def last_step(self, run: Run) -> float | None:
        """The last step of a run by the step key; None where it is not known."""
        key = self.key(STEP)
        return run.last_step if key == "_step" or key in run.step_key else number_of(run.last_values.get(key))

    def totals(self, task: str) -> list[int]:
        """The total steps that the configs of a task's runs say."""
        totals = [total_steps_of(run, self.key(TOTAL)) for run in self.runs(task)]
        return sorted({int(total) for total in totals if total})

    def total_of(self, run: Run, task: str) -> int:
        """The total steps of a run: its own, else its task's."""
        return int(total_steps_of(run, self.key(TOTAL)) or self.total_steps(task)[0])

    def total_steps(self, task: str) -> tuple[int, Finding]:
        """A task's total steps, 0 where nothing says, and where they were found."""
        what, key = f"total steps of {task}", self.key(TOTAL)
        totals = self.totals(task)
        if typed := self.choices.total_steps.get(task):
            return typed, Finding(what, f"{typed:,}", "typed by you")
        if len(totals) == 1:
            return totals[0], Finding(what, f"{totals[0]:,}", f"config {key}")
        if totals:
            listed = ", ".join(f"{total:,}" for total in totals)
            return totals[-1], Finding(what, f"{totals[-1]:,}", f"the largest of config {key}: {listed}", assumed=True)
        ends = [end for run in self.runs(task) if (end := self.last_step(run))]
        doubt = ""
        if not ends:
            ends = [run.last_step for run in self.runs(task) if run.last_step]
            doubt = f", in _step and not in {self.key(STEP)}"
        if ends:
            last = int(max(ends))
            where = f"the largest last step of its runs{doubt}; no config key says"
            return last, Finding(what, f"{last:,}", where, assumed=True)
        question = f"How many steps does {task} train for? Neither config nor history says: type it."
        return 0, Finding(what, "", "neither config nor history says", assumed=True, question=question, is_needed=True)


def value_text(value: object) -> str:
    """A config value as a reader sees it, text numbers as numbers."""
    number = number_of(value)
    return f"{number:g}" if number is not None else "missing or null" if is_null(value) else str(value)


def spread(values: Sequence[object]) -> str:
    """Config values with how many runs have each."""
    counts = Counter(value_text(value) for value in values)
    return ", ".join(f"{text} ({plural(count, 'run')})" for text, count in sorted(counts.items()))
