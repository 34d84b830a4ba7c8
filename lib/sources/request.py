"""What a fetch is asked for, how it reports progress, and the errors of sources."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from lib.runs import Problem, Run
from lib.study import InputError, Study, has_config_key
from lib.workers import Cluster


class SourceError(InputError):
    """A source that cannot give what the study asks of it."""


class KeyRefused(SourceError):
    """A server that does not accept the key."""


class Unreachable(SourceError):
    """A server that does not answer: what is stored may still serve."""


@dataclass(frozen=True)
class Progress:
    """How far a fetch is: runs done of all, and what is happening."""

    done: int
    total: int
    message: str


@dataclass(frozen=True)
class Request:
    """How to fetch: with whose key, anew or not, only these runs, and how to report and stop.

    `key` is a W&B API key or None; it is never shown. `deadline` is in seconds, for the listing and for each run.
    `cluster` has the workers that read the runs; None: this process and its own.
    """

    key: str | None = field(default=None, repr=False)
    refresh: bool = False
    only: tuple[str, ...] = ()
    deadline: float = 60.0
    progress: Callable[[Progress], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False
    cluster: Cluster | None = None


def missing_tasks(study: Study, runs: Sequence[Run], others: Sequence[Mapping[str, Any]] = ()) -> list[Problem]:
    """A problem for every task of the study to which no run belongs.

    Parameters
    ----------
    others : the configs of the runs that belong to no task.
    """
    if others and not runs and not any(has_config_key(config, study.task_key) for config in others):
        return [Problem(f"No run has '{study.task_key}' in its config: check task_key.")]
    problems = []
    for task in study.tasks:
        if not any(task.key in run.tasks for run in runs):
            where = f" in sweep {', '.join(task.sweeps)}" if task.sweeps else ""
            message = f"No run of task '{task.name}'{where}: check the task's name and sweep_id."
            problems.append(Problem(message, task=task.key))
    return problems


def tasks_of(study: Study, run: Run) -> tuple[str, ...]:
    """The ids of the study's tasks that a run belongs to by its config, sweep and group."""
    return tuple(t.key for t in study.tasks if t.holds(run.config, run.sweep_id, run.group, study.task_key))


def stored_tasks_of(study: Study, run: Run) -> tuple[str, ...]:
    """The same of a stored run: of tasks with a filter, which a server applied, it keeps those that it has."""
    return tuple(key for key in tasks_of(study, run) if not study.task(key).runs_filter or key in run.tasks)


def run_folder(step_key: Sequence[str]) -> str:
    """The name of a study's folder of run files: histories under other step keys lie apart."""
    return "runs" if tuple(step_key) == ("_step",) else f"runs-{sha256(json.dumps(step_key).encode()).hexdigest()[:8]}"
