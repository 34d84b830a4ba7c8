"""Runs in local wandb directories: `.wandb` files, finished or still being written.

The file is a LevelDB log (https://github.com/google/leveldb/blob/main/doc/log_format.md) whose checksum is zlib's
crc32 over the type byte and the data; every record in it is one `Record` message of the wandb client.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from lib.history import TIMESTAMP, Manifest, Problem, Run, describe, normalise, raw_frame
from lib.sources import Progress, Request, SourceError, missing_tasks, tasks_of
from lib.store import StoreError, read_run, shelf, write_run
from lib.study import Study

_HEADER = 7
_MAGIC = b":W&B"
_BLOCK = 32 * 1024
#: Places of damage told of one by one.
_TOLD = 3
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class Log:
    """What one `.wandb` file holds: the run's own words, its history rows, and what could not be read."""

    run_id: str = ""
    name: str = ""
    sweep_id: str = ""
    group: str = ""
    entity: str = ""
    project: str = ""
    started: str = ""
    state: str = "running"
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    damages: list[str] = field(default_factory=list)

    @property
    def damage(self) -> str:
        """What was not whole, in a sentence or three, and how many more."""
        more = len(self.damages) - _TOLD
        return " ".join(self.damages[:_TOLD]) + (f" And {more} more." if more > 0 else "")


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
    files = sorted(root.rglob("*.wandb"), key=lambda file: (file.stem, file.parent.name))
    if not files:
        raise SourceError(f"{root} holds no .wandb file: source.path must name a folder with wandb run directories.")
    folder = shelf("offline", "", str(root.resolve())) / _under(study.step_key)
    runs: dict[str, Run] = {}
    problems: list[Problem] = []
    # A run resumed offline is several files of one name: they are read as one, oldest first.
    grouped = [list(group) for _, group in groupby(files, key=lambda file: file.stem)]
    for done, group in enumerate(grouped):
        if request.cancelled():
            problems.append(Problem(f"Stopped after {done} of {len(grouped)} runs."))
            break
        request.progress(Progress(done, len(grouped), group[0].parent.name))
        try:
            run = _bring(study, group, folder, request.refresh)
        except (SourceError, StoreError) as error:
            problems.append(Problem(str(error)))
            continue
        except OSError as error:
            problems.append(Problem(f"{group[0].name} cannot be read ({error.strerror})."))
            continue
        if run is not None:
            runs[run.id] = run
    request.progress(Progress(len(grouped), len(grouped), "done"))
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


def _bring(study: Study, files: list[Path], folder: Path, refresh: bool) -> Run | None:
    """The run of these files, from the store where they are unchanged; None where it belongs to no task."""
    stamp = "; ".join(_stamp(file) for file in files)
    stored = folder / f"{files[0].stem.removeprefix('run-')}.parquet"
    held = _stored(stored)
    if held is not None and not refresh and _serves(held, study, stamp):
        return _placed(study, held)
    log = _read_all(files)
    run = Run(
        id=log.run_id,
        name=log.name,
        state=log.state,
        config=log.config,
        sweep_id=log.sweep_id,
        group=log.group,
        created_at=log.started,
        keys=tuple(sorted({key for row in log.rows for key in row if not key.startswith("_")})),
        fetched_at=stamp,
        warnings=(log.damage,) if log.damage else (),
    )
    if not tasks_of(study, log.config, log.sweep_id, log.group):
        return None
    # What another study asked of the run stays in its file, which that study may still be reading.
    keys = tuple(dict.fromkeys((*study.history_keys, *(held.fetched if held else ()))))
    raw, bad = raw_frame(log.rows, [*study.step_key, TIMESTAMP, *keys])
    history, drops = normalise(run.id, raw, keys, study.step_key, bad)
    run = describe(run, history, drops, keys, study.step_key)
    return _placed(study, write_run(folder, run, history))


def _under(step_key: tuple[str, ...]) -> str:
    """The folder of the run files: histories under other step keys lie apart."""
    return "runs" if step_key == ("_step",) else f"runs-{zlib.crc32(json.dumps(step_key).encode()):08x}"


def _stored(file: Path) -> Run | None:
    """What the store holds of the run; a damaged file of it is as good as none, for the source is still there."""
    try:
        return read_run(file) if file.exists() else None
    except StoreError:
        return None


def _serves(run: Run, study: Study, stamp: str) -> bool:
    """Whether a stored run is of the files as they are now, and holds what the study asks for."""
    return run.fetched_at == stamp and set(study.history_keys) <= set(run.fetched)


def _read_all(files: list[Path]) -> Log:
    """The log of a run's files, oldest first; one that cannot be read is damage as long as another can."""
    log = Log()
    failed: list[str] = []
    for file in files:
        try:
            read_log(file, log)
        except SourceError as error:
            failed.append(str(error))
        except OSError as error:
            failed.append(f"{file.name} cannot be read ({error.strerror}).")
    if not log.run_id:
        raise SourceError(failed[0])
    log.damages += failed
    return log


def _placed(study: Study, run: Run) -> Run | None:
    tasks = tasks_of(study, run.config, run.sweep_id, run.group)
    return replace(run, tasks=tasks) if tasks else None


def _stamp(file: Path) -> str:
    """What changes whenever the file does: its time of change and its size."""
    state = file.stat()
    return f"{datetime.fromtimestamp(state.st_mtime, UTC).isoformat()} {state.st_size}"


def read_log(path: Path, log: Log | None = None) -> Log:
    """Read what is whole in a `.wandb` file, onto an earlier file's log where one is given.

    `Log.damage` says what was not whole.

    Raises
    ------
    SourceError
        Where the file is not a W&B log at all, or holds no run.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    data = path.read_bytes()
    if data[: len(_MAGIC)] != _MAGIC:
        why = f"it does not start with '{_MAGIC.decode()}'" if data else "it is empty"
        raise SourceError(f"{path.name} is not a W&B run log ({why}).")
    log = log or Log()
    log.state = "running"
    for message, damage in _records(data):
        if damage:
            log.damages.append(f"{path.name}: {damage}")
        if message is None:
            continue
        try:
            record = Record.FromString(message)
        except DecodeError:
            log.damages.append(f"{path.name}: A record of {len(message)} bytes could not be decoded and was left out.")
            continue
        _take(log, record)
    if not log.run_id:
        raise SourceError(f"{path.name} holds no run: it was cut before the first record was written.")
    return log


def _records(data: bytes) -> Iterator[tuple[bytes | None, str]]:
    """Whole messages of the log in order; where something is cut or damaged, None and a sentence about it."""
    size, offset = len(data), _HEADER
    # The message begun so far; a first part may be empty, when only the record's header still fitted in its block.
    parts: bytes | None = None
    while offset < size:
        room = _BLOCK - offset % _BLOCK
        if room < _HEADER:
            offset += room
            continue
        if offset + _HEADER > size:
            yield None, f"The file ends inside a record: its last {size - offset} bytes were left out."
            return
        checksum, length, kind = struct.unpack_from("<IHB", data, offset)
        start, end = offset + _HEADER, offset + _HEADER + length
        if end > size and length <= room - _HEADER:
            yield (
                None,
                f"The file ends inside a record: its last {size - offset + len(parts or b'')} bytes were left out.",
            )
            return
        body = data[start:end]
        if length > room - _HEADER or zlib.crc32(body, zlib.crc32(bytes([kind]))) != checksum:
            # Lengths after a damaged record cannot be trusted, but the next block starts afresh.
            lost = min(offset + room, size) - offset
            yield None, f"Damaged at byte {offset:,}: the {lost} bytes to the end of that block were left out."
            offset, parts = offset + room, None
            continue
        offset = end
        if kind in (_FULL, _FIRST):
            if parts is not None:
                yield None, f"A record before byte {start:,} has no end: its {len(parts)} bytes were left out."
            parts = b""
        elif parts is None:
            continue  # The tail of a message whose head was damaged.
        parts += body
        if kind in (_FULL, _LAST):
            yield parts, ""
            parts = None
    if parts is not None:
        yield None, f"The file ends inside a record: its last {len(parts)} bytes were left out."


def _take(log: Log, record: Any) -> None:
    """Add one record to the log."""
    kind = record.WhichOneof("record_type")
    if kind == "run":
        run = record.run
        log.run_id, log.name = run.run_id, run.display_name or run.run_id
        log.sweep_id, log.group = run.sweep_id, run.run_group
        log.entity, log.project = run.entity, run.project
        log.started = log.started or datetime.fromtimestamp(run.start_time.seconds, UTC).isoformat()
        _update(log.config, run.config)
    elif kind == "config":
        _update(log.config, record.config)
    elif kind == "history":
        row = {_key(item): _value(item.value_json) for item in record.history.item}
        row.setdefault("_step", record.history.step.num)
        log.rows.append(row)
    elif kind == "exit":
        log.state = "failed" if record.exit.exit_code else "finished"


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _update(config: dict[str, Any], change: Any) -> None:
    for item in change.update:
        if item.key != "_wandb" and _key(item).partition(".")[0] != "_wandb":
            config[_key(item)] = _value(item.value_json)
    for item in change.remove:
        config.pop(_key(item), None)
