"""The `.wandb` log format: blocks, records, checksums."""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from lib.runs import Run
from lib.sources.request import SourceError

_HEADER = 7
_MAGIC = b":W&B"
_BLOCK = 32 * 1024
#: Places of damage told of one by one.
_TOLD = 3
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class Log:
    """What the `.wandb` files of a run hold: its description, its history rows, and what could not be read."""

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

    @property
    def run(self) -> Run:
        """The run as its log describes it; `last_step` is W&B's."""
        return Run(
            id=self.run_id,
            name=self.name,
            state=self.state,
            config=self.config,
            sweep_id=self.sweep_id,
            group=self.group,
            created_at=self.started,
            keys=tuple(sorted({key for row in self.rows for key in row if not key.startswith("_")})),
            last_step=max((row["_step"] for row in self.rows if isinstance(row["_step"], int)), default=None),
        )


def log_files(root: Path) -> list[list[Path]]:
    """The `.wandb` files below a folder, oldest first, those of one run together: a resumed run has several of one name."""
    files = sorted(root.rglob("*.wandb"), key=lambda file: (file.stem, file.parent.name))
    return [list(group) for _, group in groupby(files, key=lambda file: file.stem)]


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
