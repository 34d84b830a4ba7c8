"""Runs in local wandb folders: `.wandb` files, finished or still being written."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lib.runs import (
    TIMESTAMP,
    Manifest,
    Problem,
    Run,
    StoreError,
    describe,
    normalise,
    project_folder,
    raw_frame,
    read_run,
    write_run,
)
from lib.sources.request import Progress, Request, SourceError, missing_tasks, run_folder, tasks_of
from lib.sources.wandb_log import Log, log_files, read_log
from lib.study import Study


def fetch(study: Study, request: Request) -> Manifest:
    """Read every run below the study's folder that belongs to one of its tasks.

    What has been read before and has not changed since is taken from the store.

    Raises
    ------
    SourceError
        Where the folder is missing or holds no run that can be read and belongs to a task of the study.
    """
    root = study.source_path
    if not root.is_dir():
        raise SourceError(f"{root} is not a folder: source.path must name one that holds wandb run directories.")
    groups = log_files(root)
    if not groups:
        raise SourceError(f"{root} holds no .wandb file: source.path must name a folder with wandb run directories.")
    folder = project_folder("offline", "", str(root.resolve())) / run_folder(study.step_key)
    runs: dict[str, Run] = {}
    problems: list[Problem] = []
    for done, group in enumerate(groups):
        if request.cancelled():
            problems.append(Problem(f"Stopped after {done} of {len(groups)} runs."))
            break
        request.progress(Progress(done, len(groups), group[0].parent.name))
        try:
            run = _read_run(study, group, folder, request.refresh)
        except (SourceError, StoreError) as error:
            problems.append(Problem(str(error)))
            continue
        except OSError as error:
            problems.append(Problem(f"{group[0].name} cannot be read ({error.strerror})."))
            continue
        if run is not None:
            runs[run.id] = run
    request.progress(Progress(len(groups), len(groups), "done"))
    if not runs and not request.cancelled():
        why = problems or missing_tasks(study, [])
        raise SourceError(f"{root} gives no run: {why[0].message}")
    problems += missing_tasks(study, list(runs.values()))
    return Manifest(
        study=study.name,
        source={"kind": "offline", "path": root.name},
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        folder=str(folder),
        runs=tuple(runs.values()),
        problems=tuple(problems),
    )


def _read_run(study: Study, files: list[Path], folder: Path, refresh: bool) -> Run | None:
    """The run of these files, from the store where they are unchanged; None where it belongs to no task."""
    stamp = "; ".join(_stamp(file) for file in files)
    stored = _stored(folder / f"{files[0].stem.removeprefix('run-')}.parquet")
    # A stored run serves where its files are as they were, and where it holds what the study asks for.
    if stored and not refresh and stored.fetched_at == stamp and set(study.history_keys) <= set(stored.fetched):
        return _with_tasks(study, stored)
    log = _read_all(files)
    run = replace(log.run, fetched_at=stamp, warnings=(log.damage,) if log.damage else ())
    if not tasks_of(study, run):
        return None
    # What another study asked of the run stays in its file, which that study may still be reading.
    keys = tuple(dict.fromkeys((*study.history_keys, *(stored.fetched if stored else ()))))
    raw, bad = raw_frame(log.rows, [*study.step_key, TIMESTAMP, *keys])
    points, drops = normalise(raw, keys, study.step_key, bad)
    run = describe(run, points, drops, keys, study.step_key)
    return _with_tasks(study, write_run(folder, run, points))


def _stored(file: Path) -> Run | None:
    """The stored run; None where its file is damaged, for the source is still there."""
    try:
        return read_run(file) if file.exists() else None
    except StoreError:
        return None


def _read_all(files: list[Path]) -> Log:
    """The log of a run's files, oldest first; one that cannot be read is damage as long as another can."""
    log = Log()
    failures: list[str] = []
    for file in files:
        try:
            read_log(file, log)
        except SourceError as error:
            failures.append(str(error))
        except OSError as error:
            failures.append(f"{file.name} cannot be read ({error.strerror}).")
    if not log.run_id:
        raise SourceError(failures[0])
    log.damages += failures
    return log


def _with_tasks(study: Study, run: Run) -> Run | None:
    tasks = tasks_of(study, run)
    return replace(run, tasks=tasks) if tasks else None


def _stamp(file: Path) -> str:
    """What changes whenever the file does: its time of change and its size."""
    state = file.stat()
    return f"{datetime.fromtimestamp(state.st_mtime, UTC).isoformat()} {state.st_size}"
