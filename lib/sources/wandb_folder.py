"""The runs of a folder of `.wandb` files: which files are one run, in which order, and whose fork it is."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from lib.runs import Run
from lib.sources.request import SourceError
from lib.sources.wandb_log import Log, Rows, check_log, read_head, read_log
from lib.study import plain_value

#: Bytes of two files that are compared at a time.
_PART = 1 << 20

R = TypeVar("R", bound=Rows)


@dataclass(frozen=True)
class LocalRun:
    """The files of one run in a folder.

    `id` is the run id, below its project where another run of the folder has the same; `branch` the run and the `_step`
    that it was forked from; `rewound_to` the `_step` after which it begins where every file was rewound; `other_ids` what
    it is called where another run's files come or go.
    """

    id: str
    run_id: str
    entity: str
    project: str
    files: tuple[Path, ...]
    branch: tuple[str, float] | None = None
    rewound_to: float | None = None
    other_ids: tuple[str, ...] = ()

    def read(self, new_rows: Callable[[], R], check: Callable[[], None] = lambda: None) -> list[tuple[Log, R]]:
        """The logs of the files in order, each once, with its rows; the last log's damages are those of all.

        `check` is called at every record: what it raises ends the reading.

        A file that cannot be read is damage as long as another can.

        Raises
        ------
        SourceError
            Where none can be read.
        """
        parts: list[tuple[Log, R]] = []
        failures: list[str] = []
        for file in _without_copies(self.files):
            rows = new_rows()
            try:
                parts.append((read_log(file, rows, check), rows))
            except SourceError as error:
                failures.append(str(error))
            except OSError as error:
                failures.append(_unreadable(file, error))
        if not parts:
            raise SourceError(failures[0])
        parts = _in_order(parts)
        parts[-1][0].damages = [*(damage for log, _ in parts for damage in log.damages), *failures]
        return parts

    def described(self, logs: Sequence[Log]) -> Run:
        """The run as its logs describe it: the last one's config and state win. `last_step` is W&B's."""
        config: dict[str, Any] = {}
        for log in logs:
            config |= log.config
        return Run(
            id=self.id,
            name=_last((log.name for log in logs if log.name != self.run_id), self.run_id),
            state=logs[-1].state,
            config=plain_value(config),
            sweep_id=_last(log.sweep_id for log in logs),
            group=_last(log.group for log in logs),
            created_at=_iso(min((log.start for log in logs if any(log.start)), default=(0, 0))[0]),
            keys=tuple(sorted({key for log in logs for key in log.keys if not key.startswith("_")})),
            last_step=max((log.last_step for log in logs if log.last_step is not None), default=None),
            warnings=(logs[-1].damage,) if logs[-1].damages else (),
        )


class LocalRuns:
    """The runs below a folder, by id, and `messages`: a sentence for each file that is of no run.

    `check` is called at every folder and file: what it raises ends the search.
    """

    def __init__(self, root: Path, check: Callable[[], None] = lambda: None) -> None:
        files, unreadable = list[_File](), dict[Path, str]()
        for path in sorted(_log_files(root, check)):
            check()
            try:
                files.append(_File(path, _place(path, root), read_head(path)))
            except SourceError as error:
                unreadable[path] = str(error)
            except OSError as error:
                unreadable[path] = _unreadable(path, error)
        self._by_id: dict[str, list[LocalRun]] = {}
        for run_id, groups in sorted(_groups(files).items()):
            ids = _ids(run_id, groups)
            namesakes = [path for path in unreadable if len(groups) == 1 and path.stem == f"run-{run_id}"]
            self._by_id[run_id] = [
                _local_run(group, unique_id, ids, namesakes) for group, unique_id in zip(groups, ids, strict=True)
            ]
            for path in namesakes:
                del unreadable[path]
        self.runs = [run for runs in self._by_id.values() for run in runs]
        self.messages = list(unreadable.values())

    def ancestors(self, run: LocalRun) -> list[LocalRun]:
        """A fork's parent, its parent, and so on, as far as the folder holds them."""
        line = [run]
        while (parent := self._parent(line[-1])) and parent not in line:
            line.append(parent)
        return line[1:]

    def _parent(self, run: LocalRun) -> LocalRun | None:
        """The run that a fork was forked from; None where the folder does not hold it, or more than one that may be it."""
        runs = self._by_id.get(run.branch[0], []) if run.branch else []
        same = [r for r in runs if (r.entity, r.project) == (run.entity, run.project)]
        same = same or [r for r in runs if _may_be(r.project, run.project) and _may_be(r.entity, run.entity)]
        return same[0] if len(same) == 1 else None


def _log_files(root: Path, check: Callable[[], None]) -> Iterator[Path]:
    """What is named below a folder as logs of runs are; links to folders are not followed."""
    for folder, folders, names in os.walk(root):
        check()
        yield from (Path(folder, name) for name in (*folders, *names) if name.endswith(".wandb"))


@dataclass(frozen=True)
class _File:
    """A file with what its first records say; `place` is the folder that holds its run directory, below the root."""

    path: Path
    place: str
    head: Log


@dataclass
class _Group:
    """The files of one run; where no project is named, the folder stands for it."""

    files: list[_File]

    @property
    def entity(self) -> str:
        return self.files[0].head.entity

    @property
    def project(self) -> str:
        return self.files[0].head.project


def _local_run(group: _Group, unique_id: str, ids: Sequence[str], unreadable: Sequence[Path]) -> LocalRun:
    """The run of a group, shown by one of the ids of its namesakes; `unreadable` are files of its name."""
    heads = sorted((file.head for file in group.files), key=lambda head: head.start)
    run_id = heads[0].run_id
    forks = [head.branch for head in heads if head.branch and head.rewound_to is None]
    rewinds = [head.rewound_to for head in heads if head.rewound_to is not None]
    others = {run_id, f"{group.project or group.files[0].place}/{run_id}"} - {*ids}
    return LocalRun(
        id=unique_id,
        run_id=run_id,
        entity=group.entity,
        project=group.project,
        files=tuple(sorted([*(file.path for file in group.files), *unreadable])),
        branch=forks[-1] if forks else None,
        rewound_to=min(rewinds) if len(rewinds) == len(heads) else None,
        other_ids=tuple(others),
    )


def _groups(files: Iterable[_File]) -> dict[str, list[_Group]]:
    """The files of each run, by run id: a run id is unique within an entity and project only."""
    groups: dict[str, list[_Group]] = {}
    # Those that name project and entity first: the others are told by them.
    for file in sorted(files, key=lambda file: (not file.head.project, not file.head.entity)):
        same = groups.setdefault(file.head.run_id, [])
        if group := _group_of(file, same):
            group.files.append(file)
        else:
            same.append(_Group([file]))
    return groups


def _group_of(file: _File, groups: Sequence[_Group]) -> _Group | None:
    """The files of the run that a file is of, among those of its id; None where there are none, or more than one may be."""
    head = file.head
    if head.project:
        same_project = [group for group in groups if group.project == head.project]
        choices = [[g for g in same_project if g.entity == head.entity], [g for g in same_project if not head.entity]]
    else:
        same_place = [group for group in groups if any(other.place == file.place for other in group.files)]
        alike = [group for group in groups if any(other.head.config == head.config for other in group.files)]
        choices = [[group for group in same_place if not group.project], same_place, alike]
    first = next((choice for choice in choices if choice), [])
    return first[0] if len(first) == 1 else None


def _ids(run_id: str, groups: Sequence[_Group]) -> list[str]:
    """What tells runs of one id apart: the project, else the entity and project, else a file."""
    projects = [group.project or group.files[0].place for group in groups]
    forms = (
        [run_id for _ in groups],
        [f"{project}/{run_id}" for project in projects],
        [f"{group.entity}/{project}/{run_id}" for group, project in zip(groups, projects, strict=True)],
    )
    files = [f"{group.files[0].place}/{group.files[0].path.parent.name}/{run_id}" for group in groups]
    return next((ids for ids in forms if len(set(ids)) == len(ids)), files)


def _place(path: Path, root: Path) -> str:
    """The folder that holds a file's run directory, or the `wandb` directory above that: the folder of a job."""
    folder = path.parent
    if folder != root and folder.name.removeprefix("offline-").startswith("run-"):
        folder = folder.parent
    if folder != root and folder.name == "wandb":
        folder = folder.parent
    return root.resolve().name if folder == root else folder.relative_to(root).as_posix()


def _may_be(name: str, other: str) -> bool:
    return name == other or not (name and other)


def _without_copies(files: Sequence[Path]) -> list[Path]:
    """The files without those that hold no more than the beginning of another: copies, perhaps made while it was written."""
    if len(files) == 1:
        return list(files)
    originals: list[Path] = []
    unread = []
    for path in files:
        try:
            check_log(path)
            if any(_begins(path, other) for other in originals):
                continue
            originals = [*(other for other in originals if not _begins(other, path)), path]
        except (SourceError, OSError):
            unread.append(path)
    return [*originals, *unread]


def _begins(path: Path, other: Path) -> bool:
    """Whether a file holds something, and that is how another begins."""
    if not 0 < path.stat().st_size <= other.stat().st_size:
        return False
    with path.open("rb") as file, other.open("rb") as longer:
        while part := file.read(_PART):
            if longer.read(len(part)) != part:
                return False
    return True


def _in_order(parts: Sequence[tuple[Log, R]]) -> list[tuple[Log, R]]:
    """The files of a run by the time at which they were begun, but for one that goes on with a file that is said to be later.

    Clocks of two machines differ: what is rewound, or resumes beyond the first step of a file that resumes nothing, comes
    after that file.
    """
    parts = sorted(parts, key=lambda part: (part[0].start, part[0].first_time, part[0].first_step))
    logs = [log for log, _ in parts]
    fresh = next((i for i, log in enumerate(logs) if not log.resumes and log.rewound_to is None), 0)
    later = [i for i in range(fresh) if logs[i].rewound_to is not None or logs[i].first_step > logs[fresh].first_step]
    order = [*(i for i in range(fresh) if i not in later), fresh, *later, *range(fresh + 1, len(parts))]
    return [parts[i] for i in order]


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path.name} cannot be read ({error.strerror})."


def _last(texts: Iterable[str], default: str = "") -> str:
    """The last text that says something."""
    return ([default] + [text for text in texts if text])[-1]


def _iso(seconds: int) -> str:
    """A time in ISO 8601; empty where it is none, or beyond what a calendar holds."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""
