"""The requests of the W&B source: ranges, redirects, retries and the deadline; memory and threads."""

import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.sources import Deadline, HttpClient, MemoryBudget, RequestError, SourceError, StopFetch
from lib.sources.cloud import http
from lib.sources.cloud.limits import DeadlineError, all_results, in_background, within
from tests.support.cloud_kit import PLACE, bring, study, walk
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = pytest.mark.server

CONTENT = bytes(range(256)) * 1000


class _Handler(BaseHTTPRequestHandler):
    """/file serves ranges; /onward redirects there, /around to itself, /away to `server.location`; /odd names no range;
    /short serves a hundred bytes and says so; /cut closes in the middle, as often as `server.cuts` says; /slow sends a
    byte every 0.2 s; a post is answered with the error `server.message`, or a redirect where that is empty."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Authorization"), self.client_address[1]))
        first, last = (int(n) for n in self.headers["Range"].removeprefix("bytes=").split("-"))
        if self.path == "/short":
            last = first + 99
        body = CONTENT[first : last + 1]
        location = {"/onward": "/file", "/around": "/around", "/away": self.server.location}.get(self.path)
        self.send_response(302 if location else 206)
        if location:
            self.send_header("Location", location)
            body = b"moved"
        elif self.path != "/odd":
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/cut" and self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(body[:1000])
            self.close_connection = True
        elif self.path == "/slow":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)
        else:
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers.get("Authorization"), self.client_address[1]))
        message = self.server.message
        body = json.dumps({"errors": [{"message": message}]}).encode() if message else b""
        self.send_response(200 if message else 302)
        if not message:
            self.send_header("Location", "/file")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    """A server whose clients may leave in the middle of an answer, as one that is stopped does."""

    daemon_threads = True
    requests: list
    message, location, cuts = "", "", 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def server():
    with _Server(("127.0.0.1", 0), _Handler) as started:
        started.requests = []
        threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture
def client(server):
    client = HttpClient(server.url, KEY, 4)
    yield client
    client.close()


def read(client: HttpClient, path: str, deadline: float = 20.0) -> bytes:
    answer = client.read(path, "bytes=1000-100999", Deadline(deadline))
    assert (answer.start, answer.size, answer.whole) == (1000, len(CONTENT), None)
    return answer.data


def test_a_range_arrives_over_one_connection_and_without_the_key(server, client):
    for path in ("/file", "/file"):
        assert read(client, path) == CONTENT[1000:101_000]
    assert server.requests == [("/file", None, server.requests[0][2])] * 2


def test_a_redirect_is_followed_without_the_key(server, client):
    assert read(client, "/onward") == CONTENT[1000:101_000]
    assert [request[:2] for request in server.requests] == [("/onward", None), ("/file", None)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/around", "redirected us too often"),
        ("/odd", "which part"),
        ("/short", "another part"),
        ("file:///etc/passwd", "no web address"),
        ("http://[::1", "no web address"),
        ("http://localhost:0/file", "no web address"),
    ],
)
def test_endless_redirects_wrong_ranges_and_odd_addresses_are_refused(client, path, message):
    with pytest.raises(RequestError, match=message):
        read(client, path)


def test_a_download_that_breaks_off_is_tried_again(server, client):
    server.cuts = 2
    assert read(client, "/cut") == CONTENT[1000:101_000]
    assert len(server.requests) == 3


def test_a_download_that_always_breaks_off_fails(server, client, monkeypatch):
    monkeypatch.setattr(http, "PAUSES", (0.01, 0.01))
    server.cuts = 99
    with pytest.raises(RequestError, match="3 times"):
        read(client, "/cut")


def test_a_byte_at_a_time_ends_at_the_deadline(client):
    start = time.monotonic()
    with pytest.raises(DeadlineError, match="longer than 1 s"):
        read(client, "/slow", deadline=1.0)
    assert time.monotonic() - start < 3


def test_a_server_that_wants_to_be_left_alone_for_years_ends_at_the_deadline():
    with WandbServer() as server:
        server.faults = [Fault("status", "Runs", times=99, status=429, headers={"Retry-After": "99999999"})]
        start = time.monotonic()
        with pytest.raises(SourceError, match="did not answer within 1 s"):
            bring(study(server), deadline=1.0)
        assert time.monotonic() - start < 4


@pytest.mark.parametrize(
    ("span", "bounds"),
    [("bytes=5-9", (5, 9)), ("bytes=5-200", (5, 99)), ("bytes=-10", (90, 99)), ("bytes=-200", (0, 99))],
)
def test_what_a_range_asks_for_ends_with_the_file(span, bounds):
    assert http._bounds(span, 100) == bounds


def test_the_key_follows_no_redirect(server, client):
    with pytest.raises(RequestError, match="answered 302"):
        client.graphql("query A($b: String) { c }", {}, Deadline(20.0))
    assert [path for path, *_ in server.requests] == ["/graphql"]


def test_neither_a_client_nor_what_it_holds_shows_the_key():
    client = HttpClient("https://api.wandb.ai", KEY, 1)
    login = base64.b64encode(f"api:{KEY}".encode()).decode()
    texts = [repr(vars(client)), *(repr(value) for value in vars(client).values())]
    texts += [repr(vars(value)) for value in vars(client).values() if hasattr(value, "__dict__")]
    assert [text for text in texts if KEY in text or login in text] == []


@pytest.mark.parametrize("secret", [KEY, base64.b64encode(f"api:{KEY}".encode()).decode()])
def test_an_error_of_the_server_shows_no_part_of_the_key_even_where_it_is_cut(server, client, secret):
    for before in range(200 - len(secret), 201):
        server.message = "." * before + secret + "." * 100
        with pytest.raises(RequestError) as failed:
            client.graphql("query A($b: String) { c }", {}, Deadline(20.0))
        assert set(str(failed.value).removeprefix("the server said: ")) <= set(".…")


def test_a_proxy_of_the_environment_is_asked_for_whole_addresses(server, client, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    assert read(client, "http://bucket.example.com/file")
    assert server.requests[-1][0] == "http://bucket.example.com/file"


def test_a_server_may_take_a_third_of_the_deadline_to_answer():
    assert Deadline(60.0).timeout == (10.0, 20.0)
    assert Deadline(6.0).timeout == (2.0, 2.0)


def test_a_project_that_is_not_there_is_said():
    with WandbServer() as server, pytest.raises(SourceError, match="There is no project"):
        bring(study(server))


@pytest.mark.parametrize(
    "page",
    [
        [],
        None,
        "text",
        {"edges": None},
        {"edges": [None], "pageInfo": {}},
        {"edges": [{"node": {"name": 3}}], "pageInfo": {}},
        {"edges": [{"node": {"name": "a", "config": "[" * 100_000}}], "pageInfo": {}},
    ],
)
def test_a_listing_of_the_wrong_shape_is_one_sentence(monkeypatch, page):
    monkeypatch.setattr("tests.support.wandb_server._Handler._page", lambda *_: {"runs": page})
    with WandbServer() as server:
        server.add(PLACE, walk("a"))
        with pytest.raises(SourceError, match="could not list the runs of team/walks"):
            bring(study(server))


def test_a_listing_that_repeats_its_cursor_ends(monkeypatch):
    node = walk("a").node(PLACE)
    page = {"runs": {"edges": [{"node": node, "cursor": "1"}], "pageInfo": {"hasNextPage": True}}}
    monkeypatch.setattr("tests.support.wandb_server._Handler._page", lambda *_: page)
    with WandbServer() as server:
        server.add(PLACE, walk("a"))
        with pytest.raises(SourceError, match="repeats a page"):
            bring(study(server))


# ---- memory and threads ------------------------------------------------------------------------------------------


def test_no_more_memory_is_reserved_than_there_is():
    budget, reserved, most = MemoryBudget(100), [], []
    lock = threading.Lock()

    def take(size: int) -> None:
        with budget.reserve(size, Deadline(20.0)):
            with lock:
                reserved.append(min(size, 100))
                most.append(sum(reserved))
            time.sleep(0.005)
            with lock:
                reserved.remove(min(size, 100))

    for future in [in_background(lambda n=n: take(n)) for n in [10, 20, 30, 90, 200, 5, 0, 60] * 5]:
        future.result(60)
    assert reserved == [] and max(most) == 100


def test_waiting_for_memory_can_be_stopped_and_does_not_count_for_the_deadline():
    budget, stop, deadline = MemoryBudget(10), threading.Event(), Deadline(0.5)
    with budget.reserve(10, Deadline(20.0)):
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(StopFetch), budget.reserve(1, Deadline(20.0, stop.is_set)):
            pass
        waiting = in_background(lambda: budget.reserve(1, deadline).__enter__())
        time.sleep(1.0)
        assert not waiting.done()
    waiting.result(10)
    deadline.check()


def test_a_call_is_left_behind_at_the_deadline():
    release = threading.Event()
    with pytest.raises(DeadlineError):
        within(Deadline(0.2), release.wait)
    release.set()
    assert within(Deadline(5.0), lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(Deadline(5.0), lambda: 1 / 0)


def test_calls_together_give_their_results_in_order_or_the_first_error():
    assert all_results([]) == []
    assert all_results([lambda n=n: (time.sleep(0.001 * (9 - n)), n)[1] for n in range(9)]) == list(range(9))

    def fail() -> None:
        raise RequestError("no")

    with pytest.raises(RequestError, match="no"):
        all_results([lambda: None, fail, lambda: None])
