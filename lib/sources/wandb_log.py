"""The `.wandb` log format: blocks, records, checksums."""

import json
import math
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import polars as pl

from lib.runs import TIMESTAMP, raw_frame
from lib.sources.request import SourceError
from lib.study import InputError, as_number, check_file

STEP = "_step"
_HEADER = 7
#: Places of damage told of one by one.
_MOST = 3
_MAGIC = b":W&B"
_BLOCK = 32 * 1024
#: The most bytes of a file and rows of a run.
MAX_BYTES, MAX_ROWS = 512 << 20, 10_000_000
#: Rows that stand as dictionaries before they become columns.
_CHUNK = 10_000
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Rows(Protocol):
    """Takes the history rows of a log one by one, as JSON texts by key."""

    def add(self, row: Mapping[str, str]) -> None:
        """Take the next row."""


class Columns:
    """The history rows of a log as one Float64 column per key that is asked for; no other value is decoded."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._rows: list[dict[str, Any]] = []
        self._frames: list[pl.DataFrame] = []
        self._bad: Counter[str] = Counter()

    def add(self, row: Mapping[str, str]) -> None:
        """Take the next row."""
        self._rows.append({key: json_value(row[key]) for key in self._keys if key in row})
        if len(self._rows) == _CHUNK:
            self._close_chunk()

    def frame(self) -> tuple[pl.DataFrame, dict[str, int]]:
        """The rows as `raw_frame` gives them, and by key what was no number."""
        self._close_chunk()
        return pl.concat(self._frames), dict(self._bad)

    def _close_chunk(self) -> None:
        frame, bad = raw_frame(self._rows, self._keys)
        self._frames.append(frame)
        self._bad.update(bad)
        self._rows = []


@dataclass
class Log:
    """What one `.wandb` file says of its run and of its history, and what could not be read.

    `start` is the time at which the file was begun, in seconds and nanoseconds; `resumes` whether it says that it goes on
    with a run; `branch` the run and the `_step` that it branches from; `keys` every key that was logged; `first_time` and
    `first_step` the first number under `_timestamp` and `_step`, infinity where there is none; `last_step` the greatest
    whole `_step`.
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
    row_count: int = 0
    first_time: float = inf
    first_step: float = inf
    last_step: int | None = None
    damages: list[str] = field(default_factory=list)

    @property
    def damage(self) -> str:
        """What was not whole, in a sentence or three, and how many more."""
        more = len(self.damages) - _MOST
        return " ".join(self.damages[:_MOST]) + (f" And {more} more." if more > 0 else "")

    @property
    def rewound_to(self) -> float | None:
        """The `_step` to which the file takes its own run back, None where it does not."""
        return self.branch[1] if self.branch and self.branch[0] == self.run_id else None


def read_log(path: Path, rows: Rows, check: Callable[[], None] = lambda: None) -> Log:
    """Read what is whole in a `.wandb` file, its history into `rows`; `Log.damages` says what was not.

    `check` is called at every record: what it raises ends the reading.

    Raises
    ------
    SourceError
        Where the file is not a W&B log at all, or holds no run or too much.
    """
    log = Log()
    for _ in _read(path, log, rows):
        check()
        if log.row_count > MAX_ROWS:
            raise SourceError(f"{path.name} holds more than {MAX_ROWS:,} rows: it was not read.")
    return _of_run(path, log)


def read_head(path: Path) -> Log:
    """Read a `.wandb` file as far as the first record that names its run; errors as in `read_log`."""
    log = Log()
    for _ in _read(path, log, Columns(())):
        if log.run_id:
            break
    return _of_run(path, log)


def _of_run(path: Path, log: Log) -> Log:
    if not log.run_id:
        raise SourceError(f"{path.name} holds no run: it was cut before the first record was written.")
    return log


def check_log(path: Path) -> None:
    """See that a path names a regular file that is not too large; SourceError where it does not."""
    try:
        check_file(path, MAX_BYTES)
    except InputError as error:
        raise SourceError(str(error)) from None


def _read(path: Path, log: Log, rows: Rows) -> Iterator[None]:
    """Add the records of a file to the log and its rows, one at a time."""
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    check_log(path)
    with path.open("rb") as file:
        _check_header(path, file)
        for message, damage in _records(file):
            if damage:
                log.damages.append(f"{path.name}: {damage}")
            if message is None:
                continue
            try:
                record = Record.FromString(message)
            except DecodeError:
                log.damages.append(
                    f"{path.name}: A record of {len(message)} bytes could not be decoded and was left out."
                )
                continue
            _take(log, record, rows)
            yield


def _check_header(path: Path, file: BinaryIO) -> None:
    head = file.read(len(_MAGIC))
    if head != _MAGIC:
        why = f"it does not start with '{_MAGIC.decode()}'" if head else "it is empty"
        raise SourceError(f"{path.name} is not a W&B run log ({why}).")
    file.seek(0)


def _blocks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The blocks of a file and where each begins; one that is not whole is the last, though the file may still grow."""
    for start in count(0, _BLOCK):
        if start >= MAX_BYTES:
            raise SourceError(f"{Path(file.name).name} grew beyond {MAX_BYTES >> 20} MB while it was read.")
        block = file.read(_BLOCK)
        yield start, block
        if len(block) < _BLOCK:
            return


def _records(file: BinaryIO) -> Iterator[tuple[bytes | None, str]]:
    """Whole messages of the log in order; where something is cut or damaged, None and a sentence about it."""
    # The message begun so far; a first part may be empty, when only the record's header still fitted in its block.
    parts: bytes | None = None
    for start, block in _blocks(file):
        place, size = 0 if start else _HEADER, len(block)
        # What is shorter than a header at the end of a block is filling.
        while place < size and place <= _BLOCK - _HEADER:
            if place + _HEADER > size:
                yield None, f"The file ends inside a record: its last {size - place} bytes were left out."
                return
            checksum, length, kind = struct.unpack_from("<IHB", block, place)
            first, end = place + _HEADER, place + _HEADER + length
            if size < end <= _BLOCK:
                lost = size - place + len(parts or b"")
                yield None, f"The file ends inside a record: its last {lost} bytes were left out."
                return
            body = block[first:end]
            if end > _BLOCK or zlib.crc32(body, zlib.crc32(bytes([kind]))) != checksum:
                # Lengths after a damaged record cannot be trusted, but the next block starts afresh.
                yield (
                    None,
                    f"Damaged at byte {start + place:,}: the {size - place} bytes to the end of that block were left out.",
                )
                parts = None
                break
            place = end
            if kind in (_FULL, _FIRST):
                if parts is not None:
                    lost = len(parts)
                    yield None, f"A record before byte {start + first:,} has no end: its {lost} bytes were left out."
                parts = b""
            elif parts is None:
                continue  # The tail of a message whose head was damaged.
            parts += body
            if kind in (_FULL, _LAST):
                yield parts, ""
                parts = None
    if parts is not None:
        yield None, f"The file ends inside a record: its last {len(parts)} bytes were left out."


def _take(log: Log, record: Any, rows: Rows) -> None:
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
        _take_row(log, record.history, rows)
    elif kind == "exit":
        log.state = "failed" if record.exit.exit_code else "finished"


def _take_row(log: Log, history: Any, rows: Rows) -> None:
    row = {item.key or ".".join(item.nested_key): item.value_json for item in history.item}
    log.keys.update(row)
    row.setdefault(STEP, str(history.step.num))
    log.row_count += 1
    if log.first_time == inf:
        log.first_time = _number(row.get(TIMESTAMP, ""))
    step = json_value(row[STEP])
    if log.first_step == inf:
        log.first_step = _number(row[STEP])
    if isinstance(step, int) and step < 2**53:
        log.last_step = step if log.last_step is None else max(log.last_step, step)
    rows.add(row)


def _number(text: str) -> float:
    """A JSON text as a number, infinity where it is none."""
    number = as_number(json_value(text))
    return inf if number is None else number


def json_value(text: str) -> Any:
    """The value that a JSON text stands for; the text itself where it is none that can be handled."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _update(config: dict[str, Any], change: Any) -> None:
    for item in change.update:
        *path, key = item.nested_key or [item.key]
        if (path or [key])[0].partition(".")[0] != "_wandb":
            _table(config, path)[key] = json_value(item.value_json)
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
