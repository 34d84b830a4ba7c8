"""What the W&B source's requests and its memory rest on, each by itself."""

import base64
import json
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.sources import Failed, Room, SourceError, Stopped, Watch, Wire
from lib.sources.cloud.http import Piece, _bounds
from lib.sources.cloud.limits import Desk, together
from tests.support.cloud_kit import PLACE, bring, study, walk
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = pytest.mark.server

CONTENT = bytes(range(256)) * 1000


class _Onward(BaseHTTPRequestHandler):
    """/file serves ranges, /onward sends there, /around to itself, and so does what is posted; /odd says no range,
    /short serves a hundred bytes and says so; a post is answered with what the server `said`, if anything."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.client_address[1]))
        first, last = (int(n) for n in self.headers["Range"].removeprefix("bytes=").split("-"))
        if self.path == "/short":
            last = first + 99
        body = CONTENT[first : last + 1]
        where = {"/onward": "/file", "/around": "/around"}.get(self.path)
        self.send_response(302 if where else 206)
        if where:
            self.send_header("Location", where)
            body = b"moved"
        elif self.path in {"/file", "/short"}:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.client_address[1]))
        said = json.dumps({"errors": [{"message": self.server.said}]}).encode() if self.server.said else b""
        self.send_response(200 if said else 302)
        if not said:
            self.send_header("Location", "/file")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


class _Quiet(ThreadingHTTPServer):
    """A server whose clients may leave in the middle of an answer, as one that is stopped does."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def wire():
    server = _Quiet(("127.0.0.1", 0), _Onward)
    server.seen, server.said = [], ""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    made = Wire(f"http://127.0.0.1:{server.server_port}", KEY, 4)
    made.seen, made.server = server.seen, server
    yield made
    made.close()
    server.shutdown()
    server.server_close()


def watch(cancelled=lambda: False) -> Watch:
    return Watch(20.0, cancelled)


def read(wire: Wire, path: str) -> tuple[bytes, Piece]:
    found = bytearray(100_000)

    def sink(at: int, data: bytes) -> None:
        found[at - 1000 : at - 1000 + len(data)] = data

    return found, wire.read(path, watch(), "bytes=1000-100999", sink)


def test_a_range_arrives_where_it_belongs_over_one_connection_and_without_the_key(wire):
    for path in ("/file", "/file", "/onward"):
        found, piece = read(wire, path)
        assert found == CONTENT[1000:101_000] and piece == Piece(len(CONTENT))
    assert [path for path, _, _ in wire.seen] == ["/file", "/file", "/onward", "/file"]
    assert {key for _, key, _ in wire.seen} == {None}
    assert len({port for _, _, port in wire.seen}) == 1


def test_circles_and_answers_that_say_no_range_are_refused(wire):
    with pytest.raises(Failed, match="in circles"):
        read(wire, "/around")
    with pytest.raises(Failed, match="which part"):
        read(wire, "/odd")
    with pytest.raises(Failed, match="another part"):
        read(wire, "/short")
    with pytest.raises(Failed, match="no web address"):
        read(wire, "file:///etc/passwd")


@pytest.mark.parametrize(
    ("span", "bounds"),
    [("bytes=5-9", (5, 9)), ("bytes=5-200", (5, 99)), ("bytes=-10", (90, 99)), ("bytes=-200", (0, 99))],
)
def test_what_a_range_asks_for_ends_with_the_file(span, bounds):
    assert _bounds(span, 100) == bounds


def test_the_key_follows_no_redirect(wire):
    with pytest.raises(Failed, match="answered 302"):
        wire.graphql("query A($b: String) { c }", {}, watch())
    assert [path for path, _, _ in wire.seen] == ["/graphql"]


@pytest.mark.parametrize("secret", [KEY, base64.b64encode(f"api:{KEY}".encode()).decode()])
def test_what_a_server_says_holds_no_part_of_the_key_even_where_it_is_cut(wire, secret):
    for before in range(200 - len(secret), 201):
        wire.server.said = "." * before + secret + "." * 100
        with pytest.raises(Failed) as failed:
            wire.graphql("query A($b: String) { c }", {}, watch())
        assert set(str(failed.value).removeprefix("the server said: ")) <= set(".…")


def test_a_proxy_of_the_environment_is_asked_for_whole_addresses(wire, monkeypatch):
    monkeypatch.setenv("http_proxy", wire._base)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Failed, match="which part"):
        read(wire, "http://bucket.example.com/file?signature=1")
    assert wire.seen[-1][0] == "http://bucket.example.com/file?signature=1"


def test_runs_that_could_not_be_listed_early_are_listed_by_the_client():
    with WandbServer() as server:
        server.add(PLACE, walk("a"), walk("b"))
        server.faults = [Fault("status", "Runs", status=400)]
        manifest = bring(study(server))
        assert [run.id for run in manifest.runs] == ["a", "b"]
        assert server.count("Runs") == 2
        server.faults = []
        assert bring(study(server)).runs[0].url == manifest.runs[0].url == f"{server.url}/team/walks/runs/a"


def test_a_server_may_take_a_third_of_the_deadline_to_answer(wire, monkeypatch):
    given = []

    def urlopen(pool, *args, **kwargs):
        given.append(kwargs["timeout"])
        raise Failed("enough")

    monkeypatch.setattr("urllib3.connectionpool.HTTPConnectionPool.urlopen", urlopen)
    with pytest.raises(Failed, match="enough"):
        wire.read("/file", Watch(60.0, lambda: False), "bytes=0-9", lambda at, data: None)
    (timeout,) = given
    assert (timeout.total, timeout.connect_timeout, timeout.read_timeout) == (None, 10.0, 20.0)


def test_a_client_that_lists_in_another_way_is_not_passed_over(monkeypatch):
    monkeypatch.setattr("lib.sources.cloud.client._Early.execute_graphql", lambda early: None)
    with WandbServer() as server:
        server.add(PLACE, walk("a"))
        with pytest.raises(TypeError, match="positional argument"):
            bring(study(server))


def test_a_project_that_is_not_there_is_said_by_the_client():
    with WandbServer() as server, pytest.raises(SourceError, match="There is no project"):
        bring(study(server))


# ---- memory ------------------------------------------------------------------------------------------------------


def test_room_is_given_for_so_many_bytes_or_so_few_runs():
    room, held, most = Room(100, runs=2), [], [0, 0]
    lock = threading.Lock()

    def take(size: int) -> None:
        with room.take(size, watch()) as buffer:
            assert len(buffer) == size
            with lock:
                held.append(size)
                most[0] = max(most[0], sum(held))
                most[1] = max(most[1], len(held))
            time.sleep(0.005)
            with lock:
                held.remove(size)

    sizes = [10, 20, 30, 90, 200, 5, 0, 60] * 5
    threads = [threading.Thread(target=take, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not held and room._taken == []
    # Two runs may hold what they need, whatever that is.
    assert most[0] <= 400 and most[1] > 2
    assert sum(map(len, room._free)) <= 100


def test_who_stops_waits_for_no_room():
    room, stop = Room(10, runs=1), threading.Event()
    with room.take(10, watch()):
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(Stopped), room.take(1, watch(stop.is_set)):
            pass
    with room.take(10, watch()) as buffer:
        assert len(buffer) == 10


@contextmanager
def open_desk(places: int):
    desk = Desk(places)
    try:
        yield desk
    finally:
        desk.close()


def test_a_desk_does_so_many_things_at_once_and_hands_on_what_they_raise():
    busy, most = [], [0]

    def work(number: int) -> int:
        busy.append(number)
        most[0] = max(most[0], len(busy))
        time.sleep(0.01)
        busy.remove(number)
        return number * number

    with open_desk(2) as desk:
        found: dict[int, int] = {}
        calls = [lambda n=n: found.update({n: desk.do(lambda: work(n))}) for n in range(8)]
        threads = [threading.Thread(target=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == {n: n * n for n in range(8)} and most[0] <= 2
        with pytest.raises(ZeroDivisionError):
            desk.do(lambda: 1 / 0)
    with pytest.raises(Stopped):
        desk.do(lambda: 1)


def test_calls_together_give_their_results_in_order_or_the_first_error():
    assert together([]) == []
    assert together([lambda n=n: (time.sleep(0.001 * (9 - n)), n)[1] for n in range(9)]) == list(range(9))

    def fail() -> None:
        raise Failed("no")

    with pytest.raises(Failed, match="no"):
        together([lambda: None, fail, lambda: None])
