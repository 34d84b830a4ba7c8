"""The `.wandb` log format: blocks, records, checksums."""

import json
import math
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.sources.request import SourceError
from lib.study import InputError, check_file, read_file

STEP = "_step"
_HEADER = 7
#: Places of damage told of one by one.
_TOLD = 3
_MAGIC = b":W&B"
_BLOCK = 32 * 1024
#: The first record of a run is among the first; a longer config is read with the whole file.
_HEAD = 256 * 1024
#: The most bytes of a file and rows of a run.
MAX_BYTES, MAX_ROWS = 512 << 20, 10_000_000
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class Log:
    """What one `.wandb` file holds: its run's description, its history rows, and what could not be read.

    `start` is the time at which the file was begun, in seconds and nanoseconds; `resumes` whether it says that it goes on
    with a run; `branch` the run and the `_step` that it branches from; `keys` every key that was logged.
    """

    run_id: str = ""
    name: str = ""
    sweep_id: str = ""
    group: str = ""
    entity: str = ""
    project: str = ""
    start: tuple[int, int] = (0, 0)
    resumes: bool = False
    branch: tuple[str, float] | None = None
    state: str = "running"
    config: dict[str, Any] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    rows: list[dict[str, Any]] = field(default_factory=list)
    damages: list[str] = field(default_factory=list)

    @property
    def damage(self) -> str:
        """What was not whole, in a sentence or three, and how many more."""
        more = len(self.damages) - _TOLD
        return " ".join(self.damages[:_TOLD]) + (f" And {more} more." if more > 0 else "")

    @property
    def rewound_to(self) -> float | None:
        """The `_step` to which the file takes its own run back, None where it does not."""
        return self.branch[1] if self.branch and self.branch[0] == self.run_id else None


def read_log(path: Path, keys: Collection[str] | None = None) -> Log:
    """Read what is whole in a `.wandb` file; `Log.damages` says what was not.

    Parameters
    ----------
    keys : the keys of the history to decode, which takes most of the time; all by default.

    Raises
    ------
    SourceError
        Where the file is not a W&B log at all, or holds no run or too much.
    """
    log = Log()
    for _ in _read(path, log_content(path), log, keys):
        if len(log.rows) > MAX_ROWS:
            raise SourceError(f"{path.name} holds more than {MAX_ROWS:,} rows: it was not read.")
    if not log.run_id:
        raise SourceError(f"{path.name} holds no run: it was cut before the first record was written.")
    return log


def log_content(path: Path) -> bytes:
    """The bytes of a regular file; SourceError where it is none, or too large."""
    try:
        return read_file(path, MAX_BYTES)
    except InputError as error:
        raise SourceError(str(error)) from None


def read_head(path: Path) -> Log:
    """Read a `.wandb` file as far as the first record that names its run; errors as in `read_log`."""
    try:
        check_file(path, MAX_BYTES)
    except InputError as error:
        raise SourceError(str(error)) from None
    with path.open("rb") as file:
        head = file.read(_HEAD)
    log = Log()
    for _ in _read(path, head, log, ()):
        if log.run_id:
            return log
    return read_log(path)


def _read(path: Path, data: bytes, log: Log, keys: Collection[str] | None) -> Iterator[None]:
    """Add the records of a file to the log, one at a time."""
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    if data[: len(_MAGIC)] != _MAGIC:
        why = f"it does not start with '{_MAGIC.decode()}'" if data else "it is empty"
        raise SourceError(f"{path.name} is not a W&B run log ({why}).")
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
        _take(log, record, keys)
        yield


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


def _take(log: Log, record: Any, keys: Collection[str] | None) -> None:
    """Add one record to the log."""
    kind = record.WhichOneof("record_type")
    if kind == "run":
        run = record.run
        log.run_id, log.name = run.run_id, run.display_name or run.run_id
        log.sweep_id, log.group = run.sweep_id, run.run_group
        log.entity, log.project = run.entity, run.project
        log.start = log.start if any(log.start) else (run.start_time.seconds, run.start_time.nanos)
        log.resumes = run.resume or run.resumed or run.starting_step > 0
        if run.branch_point.run and math.isfinite(run.branch_point.value):
            log.branch = (run.branch_point.run, run.branch_point.value)
        _update(log.config, run.config)
    elif kind == "config":
        _update(log.config, record.config)
    elif kind == "history":
        texts = {_key(item): item.value_json for item in record.history.item}
        log.keys.update(texts)
        row = {key: _value(text) for key, text in texts.items() if keys is None or key in keys}
        row.setdefault(STEP, record.history.step.num)
        log.rows.append(row)
    elif kind == "exit":
        log.state = "failed" if record.exit.exit_code else "finished"


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _value(text: str) -> Any:
    """The value that a JSON text stands for; the text itself where it is none that can be handled."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _update(config: dict[str, Any], change: Any) -> None:
    for item in change.update:
        *path, key = item.nested_key or [item.key]
        if (path or [key])[0].partition(".")[0] != "_wandb":
            _table(config, path)[key] = _value(item.value_json)
    for item in change.remove:
        *path, key = item.nested_key or [item.key]
        _table(config, path).pop(key, None)


def _table(config: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The table at a path of the config, made where there is none."""
    for name in path:
        if not isinstance(config.get(name), dict):
            config[name] = {}
        config = config[name]
    return config
