"""Servers that answer wrongly, slowly or for ever."""

import itertools
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.hardening.cases import WrongNumbers
from benchmarks.hardening.files import points_of, said, use
from benchmarks.hardening.mutations import ODD_VALUES, damaged, damaged_tree
from lib.discover import inspect_server, parse_addresses, propose
from lib.sources import Request, fetch
from lib.study import Study, parse_study
from tests.support.wandb_server import KEY, FakeRun, WandbServer, _Handler

OPERATIONS = ("Runs", "RunParquetHistory", "HistoryPage", "GetSweep", "Run")
_SHAPES = (
    [],
    None,
    "text",
    {"errors": "x"},
    {"errors": []},
    {"data": []},
    {"data": None},
    {"data": {"project": []}},
    3,
)
#: Seconds that a fetch from a slow server may take.
DEADLINE = 2.0


def rows_of(seed: int) -> list[dict[str, float]]:
    """What a run of this seed logged: a reward and a loss at 101 steps."""
    return [{"_step": s, "_timestamp": 1e9 + s, "reward": s + seed / 10, "loss": 2.0 - s / 200} for s in range(101)]


class _HostileHandler(_Handler):
    """Answers one operation with something else."""

    server: "HostileServer"

    def _send(self, op: str, run: str, status: int, body: bytes, *more: Any, **other: Any) -> None:
        rng = self.server.rng
        if op == self.server.operation and (run in ("", "r1")):
            status, body = self.server.answer(rng, status, body)
        elif op == "GET" and self.server.operation == "GET" and run == "r1":
            body = damaged(body, rng)
        super()._send(op, run, status, body, *more, **other)


class HostileServer(WandbServer):
    """A server of three runs of which one operation answers wrongly, for the run `r1` where it is about one."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.RequestHandlerClass = _HostileHandler
        self.rng, self.operation = rng, rng.choice((*OPERATIONS, "GET"))
        for seed in (1, 2, 3):
            rows = rows_of(seed)
            config = {"task": "walk", "seed": seed, "ratio": 0.5 * (seed % 2)}
            run = FakeRun(
                f"r{seed}",
                rows=rows[:80],
                live=rows[80:],
                config=config,
                sweep="s1",
                state=rng.choice(("finished", "running")),
            )
            self.add("team/walks", run)

    @staticmethod
    def answer(rng: random.Random, status: int, body: bytes) -> tuple[int, bytes]:
        """Another answer than the right one."""
        way = rng.randrange(8)
        if way < 4:
            return status, json.dumps(damaged_tree(json.loads(body), rng, rng.choice((1, 1, 2, 5)))).encode()
        if way == 4:
            return status, json.dumps(rng.choice(_SHAPES)).encode()
        if way == 5:
            return rng.choice((200, 204, 301, 304, 400, 404, 418)), body
        if way == 6:
            return status, damaged(body, rng)
        return status, json.dumps(rng.choice(ODD_VALUES)).encode() if rng.random() < 0.5 else b"[" * 100_000


def study_of(url: str) -> Study:
    """A study of the server's runs."""
    text = f'[study]\nname = "h"\ntitle = "H"\n[source]\nkind = "wandb"\nentity = "team"\nproject = "walks"\nbase_url = "{url}"\n'
    text += '[[metrics]]\nkey = "reward"\nfamily = "reward"\nexpect = "increase"\n'
    text += '[[metrics]]\nkey = "loss"\nfamily = "loss"\nexpect = "decrease"\n'
    return parse_study(
        text + '[[tasks]]\nname = "walk"\nsweep_id = "s1"\ntotal_steps = 100\ndetach = { ratio_key = "ratio" }\n'
    )


def hostile_answer(seed: int, folder: Path) -> str:
    """A fetch, or a look at an address, of a server one of whose answers is wrong."""
    os.environ["DETACH_STORE"] = str(folder / "store")
    rng = random.Random(seed)
    with HostileServer(rng) as server:
        if rng.random() < 0.25:
            address = parse_addresses(f"{server.url}/team/walks/sweeps/s1")
            propose(inspect_server(address, KEY, 4 * DEADLINE))
            return ""
        study = study_of(server.url)
        manifest = fetch(study, Request(key=KEY, deadline=4 * DEADLINE))
        use(study, manifest)
        if server.operation in ("RunParquetHistory", "HistoryPage", "GET"):
            for whole in ("r2", "r3"):
                count = len(points_of(manifest, whole))
                if count != 202:
                    raise WrongNumbers(f"run {whole}, answered rightly, has {count} points of 202: {said(manifest)}")
        return said(manifest)


# ---- slow and endless --------------------------------------------------------------------------------------------


class _Script(BaseHTTPRequestHandler):
    """Answers every request by the server's behaviour."""

    protocol_version = "HTTP/1.1"
    server: "ScriptServer"

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.server.behaviour(self, body)

    def do_GET(self) -> None:
        self.server.behaviour(self, None)

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, chunks: Iterator[bytes], pause: float, length: int = 10**9) -> None:
        """An answer that comes little by little."""
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        for chunk in chunks:
            if self.server.is_over.wait(pause):
                return
            try:
                self.wfile.write(chunk)
                self.wfile.flush()
            except OSError:
                return


class ScriptServer(ThreadingHTTPServer):
    """A loopback server of one behaviour."""

    daemon_threads = True

    def __init__(self, behaviour: Callable[[_Script, Any], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Script)
        self.behaviour, self.is_over = behaviour, threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.counter = itertools.count()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


@contextmanager
def running(behaviour: Callable[[_Script, Any], None]) -> Iterator[ScriptServer]:
    """The server, in a thread."""
    server = ScriptServer(behaviour)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()


def _node(name: str) -> dict[str, Any]:
    config = json.dumps({"task": {"value": "walk"}, "seed": {"value": 1}, "ratio": {"value": 0.5}})
    keys = {"keys": {"reward": {}, "loss": {}}, "lastStep": 100}
    return {
        "name": name,
        "state": "running",
        "sweepName": "s1",
        "config": config,
        "summaryMetrics": "{}",
        "historyKeys": keys,
        "historyLineCount": 101,
    }


def listing(names: list[str], cursor: str, more: bool) -> bytes:
    edges = [{"node": _node(name), "cursor": cursor} for name in names]
    page = {"edges": edges, "pageInfo": {"hasNextPage": more, "endCursor": cursor}}
    return json.dumps({"data": {"project": {"runs": page, "run": None, "sweep": {"id": "x"}}}}).encode()


def of_run(**fields: Any) -> bytes:
    return json.dumps({"data": {"project": {"run": fields}}}).encode()


def listed(answer: Callable[[_Script, Any], None]) -> Callable[[_Script, Any], None]:
    """The listing is right; everything after it is answered so."""

    def behaviour(handler: _Script, body: Any) -> None:
        if body and "query Runs" in body.get("query", ""):
            handler.reply(listing(["r1"], "1", False))
        else:
            answer(handler, body)

    return behaviour


def _exports(url_of: Callable[[_Script], list[str]], get: Callable[[_Script], None]) -> Callable[[_Script, Any], None]:
    def answer(handler: _Script, body: Any) -> None:
        if body is None:
            get(handler)
        else:
            handler.reply(of_run(parquetHistory={"parquetUrls": url_of(handler), "liveData": []}))

    return listed(answer)


def _own(handler: _Script) -> list[str]:
    return [f"{handler.server.url}/file.parquet"]


def _zeros(size: int = 1) -> Iterator[bytes]:
    return itertools.repeat(b"0" * size)


def _endless_rows(handler: _Script, body: Any) -> None:
    if "parquetHistory" in body["query"]:
        handler.reply(of_run(parquetHistory={"parquetUrls": [], "liveData": [{"_step": s} for s in range(101)]}))
    else:
        low = int(body["variables"].get("minStep") or 0)
        handler.reply(of_run(history=[json.dumps({"_step": low, "reward": 1.0})] * 50))


def _endless_pages(handler: _Script, _body: Any) -> None:
    number = next(handler.server.counter)
    handler.reply(listing([f"r{number}-{i}" for i in range(200)], str(number), True))


def _gzip_bomb(handler: _Script) -> None:
    import gzip

    handler.reply(gzip.compress(bytes(300 << 20)), Content_Encoding="gzip")


def _redirect(handler: _Script) -> None:
    handler.reply(b"", 302, Location=f"/{next(handler.server.counter)}")


#: By name, how a server keeps one waiting or never ends.
BEHAVIOURS: dict[str, Callable[[_Script, Any], None]] = {
    "silent": lambda handler, _: handler.server.is_over.wait() and None,
    "listing a byte a second": lambda handler, _: handler.drip(_zeros(), 0.3),
    "listing endless and fast": lambda handler, _: handler.drip(_zeros(1 << 20), 0.0, 10**15),
    "pages without end": _endless_pages,
    "one cursor repeated": lambda handler, _: handler.reply(listing(["r1"], "same", True)),
    "empty pages without end": lambda handler, _: handler.reply(listing([], str(next(handler.server.counter)), True)),
    "retry after years": lambda handler, _: handler.reply(b"", 429, Retry_After="999999999"),
    "retry after nonsense": lambda handler, _: handler.reply(b"", 503, Retry_After="9" * 400),
    "retry after a date": lambda handler, _: handler.reply(b"", 503, Retry_After="Fri, 31 Dec 2199 23:59:59 GMT"),
    "always 500": lambda handler, _: handler.reply(b"", 500),
    "redirect to itself": lambda handler, _: handler.reply(b"", 302, Location=f"{handler.server.url}/again"),
    "export silent": _exports(_own, lambda handler: handler.server.is_over.wait() and None),
    "export a byte a second": _exports(_own, lambda handler: handler.drip(_zeros(), 0.3)),
    "export endless and fast": _exports(_own, lambda handler: handler.drip(_zeros(1 << 20), 0.0, 10**15)),
    "export redirects for ever": _exports(_own, _redirect),
    "export retries for ever": _exports(_own, lambda handler: handler.reply(b"", 429, Retry_After="999999999")),
    "export a gzip bomb": _exports(_own, _gzip_bomb),
    "a thousand exports": _exports(lambda handler: _own(handler) * 1000, lambda handler: handler.drip(_zeros(), 0.3)),
    "rows without end": listed(_endless_rows),
    "rows a byte a second": listed(lambda handler, _: handler.drip(_zeros(), 0.3)),
}  # fmt: skip


def slow_server(seed: int, folder: Path) -> str:
    """A fetch (even seeds) or a look at an address (odd ones): it ends within its deadline and says why."""
    os.environ["DETACH_STORE"] = str(folder / "store")
    names = list(BEHAVIOURS)
    behaviour = BEHAVIOURS[names[seed // 2 % len(names)]]
    with running(behaviour) as server:
        start = time.monotonic()
        try:
            if seed % 2:
                inspect_server(parse_addresses(f"{server.url}/team/walks/sweeps/s1"), KEY, DEADLINE)
                return ""
            manifest = fetch(study_of(server.url), Request(key=KEY, deadline=DEADLINE))
            if not manifest.problems:
                raise WrongNumbers(f"{names[seed // 2 % len(names)]}: the fetch says that nothing is missing")
            return said(manifest)
        finally:
            if (seconds := time.monotonic() - start) > 2 * DEADLINE + 5:
                raise WrongNumbers(f"{names[seed // 2 % len(names)]} took {seconds:.1f} s")
