"""A run as the loopback server serves it: its rows, exported and live, and its config."""

import base64
import io
import json
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass
class FakeRun:
    """A run as the server holds it: `rows` are one exported part; `parts` and `live` are given apart where it matters.

    `branch_point` (run id, `_step`) is the trace of a fork, or of a run that was rewound, which W&B leaves in the config.
    """

    id: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    parts: list[pl.DataFrame | bytes] = field(default_factory=list)
    live: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    sweep: str | None = None
    group: str | None = None
    state: str = "finished"
    heartbeat: str = "2025-01-01T00:00:00Z"
    summary: dict[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] | None = None
    branch_point: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if self.rows:
            self.parts.insert(0, pl.DataFrame(self.rows, infer_schema_length=None))
        self._files: list[bytes] = []

    def files(self) -> list[bytes]:
        """The parts as Parquet files."""
        for part in self.parts[len(self._files) :]:
            buffer = io.BytesIO()
            if isinstance(part, pl.DataFrame):
                pq.write_table(_plain(part), buffer)
            self._files.append(part if isinstance(part, bytes) else buffer.getvalue())
        return self._files

    def frames(self) -> list[pl.DataFrame]:
        """The parts that are given as frames; those given as a file's bytes may be no Parquet at all."""
        return [part for part in self.parts if isinstance(part, pl.DataFrame)]

    def logged(self) -> list[dict[str, Any]]:
        """Every row, exported or live, without what a row does not hold."""
        rows = [row for part in self.frames() for row in part.iter_rows(named=True)]
        return [{k: v for k, v in row.items() if v is not None} for row in rows] + self.live

    def replace(self, rows: list[dict[str, Any]], heartbeat: str) -> None:
        """Other rows in the place of the exported ones."""
        self.parts, self._files = [pl.DataFrame(rows, infer_schema_length=None)], []
        self.heartbeat = heartbeat

    def history_keys(self) -> dict[str, Any]:
        """What the listing says of the run's keys."""
        names: dict[str, None] = {}
        last, lines = -1, len(self.live)
        for part in self.frames():
            names |= dict.fromkeys(part.columns)
            lines += len(part)
            if "_step" in part.columns and len(part):
                last = max(last, int(part["_step"].max()))
        for row in self.live:
            names |= dict.fromkeys(row)
            last = max(last, int(row["_step"]))
        keys = names if self.keys is None else self.keys
        return {"keys": {k: {"typeCounts": [{"type": "number", "count": lines}]} for k in keys}, "lastStep": last}

    def node(self, project: str) -> dict[str, Any]:
        """The run as a GraphQL node."""
        lines = sum(len(p) for p in self.frames()) + len(self.live)
        internal: dict[str, Any] = {"cli_version": "0.31.0"}
        if self.branch_point:
            internal["branch_point"] = dict(zip(("run_id", "step"), self.branch_point, strict=True))
        config = {k: {"value": v, "desc": None} for k, v in (self.config | {"_wandb": internal}).items()}
        return {
            "id": base64.b64encode(f"Run:{self.id}".encode()).decode(), "projectId": "1", "tags": [], "name": self.id,
            "displayName": f"run {self.id}", "sweepName": self.sweep, "state": self.state, "group": self.group,
            "config": json.dumps(config),
            "jobType": None, "commit": None, "readOnly": False, "createdAt": "2025-01-01T00:00:00Z",
            "heartbeatAt": self.heartbeat, "description": None, "notes": None, "systemMetrics": "{}",
            "summaryMetrics": json.dumps(self.summary), "historyLineCount": lines,
            "user": {"name": "someone", "username": "someone"}, "historyKeys": self.history_keys(),
        }  # fmt: skip


def _plain(part: pl.DataFrame) -> pa.Table:
    """The part with Arrow's plain strings, the only ones that the client's own reader knows."""
    table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))
