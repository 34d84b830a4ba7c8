"""A W&B server on the loopback interface: projects, runs, exports and faults, for the real client and for the tests.

    with WandbServer() as server:
        server.add("team/project", FakeRun("r1", rows=[{"_step": 1, "loss": 0.5}], config={"task": "walk"}, sweep="s1"))
        ... fetch with base_url=server.url and any key of server.keys ...
        server.count("RunParquetHistory")

Exported rows are Parquet parts behind signed URLs on another host name (`localhost`), as W&B keeps them in a bucket;
live rows come as JSON pages. A `Fault` makes the next matching requests fail.
"""

import base64
import io
import json
import re
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.fake_run import FakeRun

KEY = "a" * 40


@dataclass
class Fault:
    """The next `times` requests of this operation (and run) fail.

    `kind` is status, reset, truncate, silence, refuse (403) or delete (the run goes before it is asked about).
    """

    kind: str
    op: str = ""
    run: str = ""
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """One request that was served."""

    op: str
    run: str
    status: int
    sent: int
    span: str = ""


class WandbServer(ThreadingHTTPServer):
    """The server; a context manager that runs it in threads of this process."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, latency: float = 0.0, ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.latency, self.ranges = latency, ranges
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files_url = f"http://localhost:{self.server_port}"
        self.keys = {KEY}
        self.projects: dict[str, dict[str, FakeRun]] = {}
        self.sweeps: dict[str, set[str]] = {}
        self.private: dict[str, set[str]] = {}
        self.faults: list[Fault] = []
        self.hits: list[Hit] = []
        self.leaks: list[str] = []
        self.signature = secrets.token_hex(16)
        self.released = threading.Event()
        self.page_cap: int | None = None
        self.range_cap: int | None = None
        self.asked: dict[str, list[dict[str, Any]]] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> "WandbServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news here."""

    def add(self, project: str, *runs: FakeRun) -> None:
        """Put runs into a project, their sweeps with them."""
        project_runs = self.projects.setdefault(project, {})
        sweeps = self.sweeps.setdefault(project, set())
        for run in runs:
            project_runs[run.id] = run
            sweeps |= {run.sweep} if run.sweep else set()

    def count(self, *ops: str) -> int:
        """How many requests of these operations were served; of all, where none is named."""
        with self.lock:
            return sum(1 for hit in self.hits if not ops or hit.op in ops)

    def counters(self) -> dict[str, int]:
        """Requests by operation."""
        with self.lock:
            return dict(Counter(hit.op for hit in self.hits))

    def sent(self, *ops: str) -> int:
        """Bytes of the bodies sent."""
        with self.lock:
            return sum(hit.sent for hit in self.hits if not ops or hit.op in ops)

    def forget(self) -> None:
        """Start the log anew."""
        with self.lock:
            self.hits.clear()

    def fault(self, op: str, run: str) -> Fault | None:
        """The fault that is planned for this request, used up."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.op in ("", op) and fault.run in ("", run):
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    server: WandbServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """The log is `hits`."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        match = re.search(r"(?:query|mutation)\s+(\w+)", body.get("query", ""))
        op = match.group(1) if match else ""
        variables = body.get("variables") or {}
        run = variables.get("runName") or variables.get("run") or ""
        if self._fails(op, run):
            return
        key = self._key()
        if key not in self.server.keys:
            self._send(op, run, 401, b'{"errors":[{"message":"user is not logged in"}]}')
            return
        self.server.asked.setdefault(op, []).append(variables)
        data = self._answer(op, variables, key)
        self._send(op, run, 200, json.dumps(data).encode())

    def do_HEAD(self) -> None:
        self._file("HEAD")

    def do_GET(self) -> None:
        self._file("GET")

    def _key(self) -> str:
        header = self.headers.get("Authorization", "")
        return base64.b64decode(header[6:]).decode().partition(":")[2] if header.startswith("Basic ") else ""

    def _file(self, op: str) -> None:
        parts = urlsplit(self.path)
        match = re.fullmatch(r"/files/([^/]+/[^/]+)/([^/]+)/(\d+)\.parquet", parts.path)
        run = match.group(2) if match else ""
        if self.headers.get("Authorization"):
            self.server.leaks.append(self.path)
        if self._fails(op, run):
            return
        runs = self.server.projects.get(match.group(1), {}).get(run) if match else None
        if runs is None:
            self._send(op, run, 404, b"")
            return
        if parse_qs(parts.query).get("signature") != [self.server.signature]:
            self._send(op, run, 403, b"signature")
            return
        body, status, extra, span = runs.files()[int(match.group(3))], 200, {}, ""
        if self.server.ranges:
            extra["Accept-Ranges"] = "bytes"
            span = self.headers.get("Range", "")
        if expected := re.fullmatch(r"bytes=(\d*)-(\d*)", span):
            first, last = expected.groups()
            start = int(first) if first else max(0, len(body) - int(last))
            stop = min(int(last) + 1 if first and last else len(body), len(body))
            if first and self.server.range_cap:
                stop = min(stop, start + self.server.range_cap)
            status, extra["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{len(body)}"
            body = body[start:stop]
        self._send(op, run, status, body, extra, span)

    def _fails(self, op: str, run: str) -> bool:
        """Wait the latency, then do what the plan of faults says."""
        if self.server.latency:
            time.sleep(self.server.latency)
        fault = self.server.fault(op, run)
        self.cut = fault is not None and fault.kind == "truncate"
        if fault is not None and fault.kind == "delete":
            for runs in self.server.projects.values():
                runs.pop(run, None)
            return False
        if fault is None or self.cut:
            return False
        self.close_connection = True
        status = {"status": fault.status, "refuse": 403}.get(fault.kind, 0)
        if status:
            self._send(op, run, status, b'{"errors":[{"message":"a planned fault"}]}', fault.headers)
            return True
        with self.server.lock:
            self.server.hits.append(Hit(op, run, 0, 0))
        if fault.kind == "silence":
            self.server.released.wait()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.rfile, self.wfile = io.BytesIO(), io.BytesIO()
        return True

    def _send(
        self, op: str, run: str, status: int, body: bytes, extra: dict[str, str] | None = None, span: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (extra or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.cut:
            body, self.close_connection = body[: len(body) // 2], True
        if op == "HEAD":
            body = b""
        with self.server.lock:
            self.server.hits.append(Hit(op, run, status, len(body), span))
        self.wfile.write(body)

    cut = False

    def _answer(self, op: str, variables: dict[str, Any], key: str) -> dict[str, Any]:
        if op in {"Viewer", "GetDefaultEntity"}:
            viewer = {"id": "u1", "entity": "me", "username": "me", "email": "me@example.com", "admin": False,
                      "flags": "{}", "teams": {"edges": []}, "name": "me", "apiKeys": {"edges": []}}  # fmt: skip
            return {"data": {"viewer": viewer, "serverInfo": {}}}
        project = f"{variables.get('entity')}/{variables.get('project')}"
        runs = self.server.projects.get(project)
        allowed = self.server.private.get(project)
        if runs is None or (allowed is not None and key not in allowed):
            return {"data": {"project": None}}
        if op in {"GetSweep", "GetSweepLegacy"}:
            return {"data": {"project": {"sweep": self._sweep(project, variables["name"])}}}
        if op == "Runs":
            return {"data": {"project": self._page(project, runs, variables)}}
        if op in {"Run", "RunHistoryKeys"}:
            project_runs = runs.get(variables["name"])
            return {"data": {"project": {"run": project_runs and project_runs.node(project)}}}
        project_runs = runs.get(variables.get("runName") or variables.get("run") or "")
        if project_runs is None:
            return {"data": {"project": {"run": None}}}
        if op == "RunParquetHistory":
            where = f"{self.server.files_url}/files/{project}/{project_runs.id}"
            urls = [f"{where}/{i}.parquet?signature={self.server.signature}" for i in range(len(project_runs.files()))]
            live = [{"_step": row["_step"]} for row in project_runs.live]
            return {"data": {"project": {"run": {"parquetHistory": {"parquetUrls": urls, "liveData": live}}}}}
        if op == "HistoryPage":
            low, high = variables["minStep"], variables["maxStep"]
            rows = [json.dumps(r) for r in project_runs.logged() if low <= r.get("_step", -1) < high]
            return {"data": {"project": {"run": {"history": rows[: self.server.page_cap or variables["pageSize"]]}}}}
        return {"data": None, "errors": [{"message": f"Cannot answer {op or 'this'}"}]}

    def _sweep(self, project: str, name: str) -> dict[str, Any] | None:
        if name not in self.server.sweeps.get(project, set()):
            return None
        return {"__typename": "Sweep", "id": "U3dlZXA=", "name": name, "displayName": name, "method": "grid",
                "state": "FINISHED", "description": "", "bestLoss": None, "config": "method: grid\nparameters: {}\n",
                "createdAt": "2025-01-01T00:00:00Z", "updatedAt": None, "runCount": 0, "runCountExpected": None}  # fmt: skip

    def _page(self, project: str, runs: dict[str, FakeRun], variables: dict[str, Any]) -> dict[str, Any]:
        expected = json.loads(variables.get("filters") or "{}")
        matches = [run for run in runs.values() if _matches(run, expected)]
        start = int(variables.get("cursor") or 0)
        stop = start + int(variables.get("perPage") or 50)
        edges = [{"node": r.node(project), "cursor": str(start + i + 1)} for i, r in enumerate(matches[start:stop])]
        info = {"endCursor": str(stop), "hasNextPage": stop < len(matches)}
        return {
            "internalId": "1",
            "runCount": len(matches),
            "readOnly": False,
            "runs": {"edges": edges, "pageInfo": info},
        }


_COMPARE = {
    "$eq": lambda a, b: a == b, "$ne": lambda a, b: a != b, "$in": lambda a, b: a in b,
    "$nin": lambda a, b: a not in b, "$gt": lambda a, b: a is not None and a > b,
    "$gte": lambda a, b: a is not None and a >= b, "$lt": lambda a, b: a is not None and a < b,
    "$lte": lambda a, b: a is not None and a <= b, "$exists": lambda a, b: (a is not None) == b,
    "$regex": lambda a, b: re.search(b, str(a)) is not None,
}  # fmt: skip


def _matches(run: FakeRun, expected: dict[str, Any]) -> bool:
    """Whether the run passes a filter in MongoDB's language, as far as the tests speak it."""
    for name, rule in expected.items():
        if name == "$and" and not all(_matches(run, part) for part in rule):
            return False
        if name == "$or" and not any(_matches(run, part) for part in rule):
            return False
        if name == "$nor" and any(_matches(run, part) for part in rule):
            return False
        if not name.startswith("$"):
            value = _field(run, name)
            rules = rule if isinstance(rule, dict) else {"$eq": rule}
            if not all(_COMPARE[how](value, than) for how, than in rules.items()):
                return False
    return True


def _field(run: FakeRun, name: str) -> Any:
    if name.startswith("config."):
        return run.config.get(name.removeprefix("config.").removesuffix(".value"))
    if name.startswith("summary_metrics."):
        return run.summary.get(name.removeprefix("summary_metrics."))
    plain = {"sweep": run.sweep, "group": run.group, "state": run.state, "name": run.id}
    return plain.get(name, f"run {run.id}" if name in {"displayName", "display_name"} else None)
