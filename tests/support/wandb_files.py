"""Writes `.wandb` files as the client does, so that tests can damage, cut and resume runs at will."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

from lib.sources import json_value, read_log
from lib.sources.wandb_log import Log

REAL = Path(__file__).parents[1] / "data" / "wandb"
#: Small runs of the real client: resumed, rewound, forked, and of one id in two projects.
LINEAGE = Path(__file__).parents[1] / "data" / "lineage"
HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def chunk(kind: int, body: bytes) -> bytes:
    return struct.pack("<IHB", zlib.crc32(bytes([kind]) + body), len(body), kind) + body


def log_bytes(messages: Sequence[bytes]) -> bytes:
    """The messages as a LevelDB log, split where a block ends; a block's last 6 bytes at most are zeros."""
    data = bytearray(HEADER)
    for message in messages:
        first = True
        while True:
            room = BLOCK - len(data) % BLOCK
            if room < 7:
                data += bytes(room)
                continue
            body, message = message[: room - 7], message[room - 7 :]
            kind = (FULL if not message else FIRST) if first else (LAST if not message else MIDDLE)
            data += chunk(kind, body)
            first = False
            if not message:
                break
    return bytes(data)


def log_of_blocks(head: bytes, message: bytes, blocks: int) -> bytes:
    """A log that begins with one message and then holds another again and again, in so many whole blocks."""
    row = chunk(FULL, message)
    count = (BLOCK - 20) // len(row)
    first = log_bytes([head])
    block = row * count + _filler(BLOCK - count * len(row))
    return first + _filler(BLOCK - len(first)) + block * blocks


def _filler(size: int) -> bytes:
    """A record of so many bytes, at least 20, that says nothing: the text of a field that no reader knows."""
    # The length of the text takes three bytes, however small it is.
    length = size - 7 - 5
    return chunk(
        FULL, b"\xc2\x3e" + bytes([length % 128 | 128, length // 128 % 128 | 128, length >> 14]) + bytes(length)
    )


def run_message(
    run_id: str = "r1",
    config: dict[str, Any] | None = None,
    start: int = 0,
    branch: tuple[str, float] | None = None,
    **fields: str | bool,
) -> bytes:
    """A run's first record; `start` in seconds, `branch` the run and the `_step` that it branches from."""
    record = Record()
    record.run.run_id = run_id
    record.run.start_time.seconds = start
    if branch:
        record.run.branch_point.run, record.run.branch_point.value = branch
    for name, value in fields.items():
        setattr(record.run, name, value)
    for key, value in (config or {}).items():
        record.run.config.update.add(key=key, value_json=json.dumps(value))
    return record.SerializeToString()


def row_message(row: dict[str, Any], num: int = 0) -> bytes:
    record = Record()
    for key, value in row.items():
        record.history.item.add(key=key, value_json=json.dumps(value))
    record.history.step.num = num
    return record.SerializeToString()


def exit_message(code: int = 0) -> bytes:
    record = Record()
    record.exit.exit_code = code
    return record.SerializeToString()


class RowList:
    """The rows of a log with every value decoded."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, row: Mapping[str, str]) -> None:
        self.rows.append({key: json_value(text) for key, text in row.items()})


def read_rows(path: Path) -> tuple[Log, list[dict[str, Any]]]:
    """A log and all of its rows."""
    kept = RowList()
    return read_log(path, kept), kept.rows


def write_run(folder: Path, messages: Sequence[bytes], run_id: str = "r1", stamp: str = "20260101_000000") -> Path:
    """A run directory below `folder` with one file of these messages."""
    path = folder / f"offline-run-{stamp}-{run_id}" / f"run-{run_id}.wandb"
    path.parent.mkdir(parents=True)
    path.write_bytes(log_bytes(messages))
    return path


def written(tmp_path, data: bytes, name: str = "run-r1.wandb"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
