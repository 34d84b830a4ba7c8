"""Runs as values: `Run`, `Drop`, `Problem`, and the `Manifest` that a fetch returns."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from lib.runs.reader import History
from lib.runs.store_root import SCHEMA_VERSION, runs_root
from lib.study import plain_value

T = TypeVar("T")


#: Why the earlier points of a step that was logged again are dropped.
REPEATED_STEP = "repeated step"


@dataclass(frozen=True)
class Drop:
    """Points of one metric of a run that are not in the history, and why."""

    metric: str
    reason: str
    count: int


@dataclass(frozen=True)
class BranchPoint:
    """Where a run begins: at a step (W&B's `_step`) of its parent."""

    run_id: str
    step: int


@dataclass(frozen=True)
class Duplicate:
    """What a run is to another of its arm: its copy, superseded by it, or a replicate (same seed, other rows)."""

    kind: Literal["copy", "superseded", "replicate"]
    of: str

    @property
    def text(self) -> str:
        """`copy of run a1`."""
        return f"{self.kind} {'by' if self.kind == 'superseded' else 'of'} run {self.of}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run as a source describes it.

    `tasks` are the ids of the study's tasks it belongs to; `first_step` and `last_step` the range of every step
    it logged; `rows` the number of points in the history by metric; `keys` every key it is known to have logged;
    `fetched` the keys that were asked for, under the step keys `step_key`; `file` its Parquet file, below the
    manifest's folder. `branch_point` is set for a fork, whose history is its parent's rows up to that step and then its
    own. `stamp` changes when the run's history may have; `last_values` are the last logged values by key, in a
    listing only.
    """

    id: str
    name: str = ""
    state: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    sweep_id: str = ""
    group: str = ""
    url: str = ""
    created_at: str = ""
    tasks: tuple[str, ...] = ()
    first_step: int | None = None
    last_step: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    step_key: tuple[str, ...] = ()
    fetched_at: str = ""
    file: str = ""
    drops: tuple[Drop, ...] = ()
    warnings: tuple[str, ...] = ()
    branch_point: BranchPoint | None = None
    stamp: str = field(default="", repr=False)
    last_values: dict[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Problem:
    """Something that keeps the study from being whole: a sentence, and the run or task it is about."""

    message: str
    run_id: str = ""
    task: str = ""


@dataclass(frozen=True)
class Manifest:
    """What was brought for a study: its runs, the folder of their Parquet files, when, and what is missing.

    `source` names where the runs came from (kind, entity, project, server; never a key) and `fetched_at` is UTC in
    ISO 8601.
    """

    study: str
    source: dict[str, str]
    fetched_at: str
    folder: str
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def whole(self) -> bool:
        """Whether everything the study asks for came."""
        return not self.problems

    def of_task(self, task: str) -> tuple[Run, ...]:
        """The runs of one task, by its id."""
        return tuple(run for run in self.runs if task in run.tasks)

    def history(self, runs: Iterable[Run] | None = None) -> History:
        """The history of these runs (all by default)."""
        selection = self.runs if runs is None else runs
        files = {run.id: Path(self.folder) / run.file for run in selection if run.file}
        # What is computed of runs is kept where fetches keep them, not in a bundle that somebody brought.
        is_fetched = Path(self.folder).is_relative_to(runs_root())
        return History(files, {run.id: run.stamp for run in selection if run.stamp} if is_fetched else {})

    def to_json(self) -> str:
        """The manifest as JSON text, without the folder it lies in."""
        tree = asdict(self)
        del tree["folder"]
        return json.dumps(tree, indent=1, sort_keys=True, default=str)


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """What checks trees for being of a kind: it takes longer to make than to use."""
    return TypeAdapter(kind)


@lru_cache(maxsize=1024)
def _shared(value: T) -> T:
    """One value in place of equal ones: of thousands of runs nearly all have the same keys."""
    return value


def run_from(tree: Mapping[str, Any]) -> Run:
    """The run that `dataclasses.asdict` turned into this tree; ValueError where it is not one."""
    run = _adapter(Run).validate_python(plain_value(tree))
    names = ("state", "sweep_id", "group", "tasks", "keys", "fetched", "step_key", "fetched_at")
    return replace(run, **{name: _shared(getattr(run, name)) for name in names})


def manifest_from(text: str | bytes, folder: Path) -> Manifest:
    """The manifest that `Manifest.to_json` wrote; ValueError where it is not one."""
    tree = json.loads(text)
    if not isinstance(tree, dict) or not isinstance(runs := tree.pop("runs", None), list):
        raise ValueError("a manifest is an object with a list of runs")
    manifest = _adapter(Manifest).validate_python({**plain_value(tree), "runs": (), "folder": str(folder)})
    # One run after the other, and what it is made from goes: a manifest of thousands of runs is large.
    runs.reverse()
    return replace(manifest, runs=tuple(run_from(runs.pop()) for _ in range(len(runs))))
