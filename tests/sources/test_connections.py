"""Which addresses a server can make us ask: none on this machine or inside a private network where it is public."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.sources import Deadline, HttpClient, RequestError, SourceError
from lib.sources.cloud import http
from lib.sources.cloud.connections import HostAddresses, _is_public
from lib.sources.cloud.limits import DeadlineError
from tests.support.cloud_kit import PLACE, bring, points, study, walk
from tests.support.internet import PUBLIC, Internet
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.server

INSIDE = "the server named an export inside a private network"


@pytest.fixture
def internet(monkeypatch):
    return Internet(monkeypatch)


class _Handler(BaseHTTPRequestHandler):
    """/away redirects to `server.location`; anything else is four bytes."""

    server: "_Server"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.server.requests.append((self.headers["Host"], self.path))
        self.send_response(302 if self.path == "/away" else 206)
        if self.path == "/away":
            self.send_header("Location", self.server.location)
        self.send_header("Content-Range", "bytes 0-3/4")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"data")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    location = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str]] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as started:
        yield started


def read(client: HttpClient, url: str) -> bytes:
    return bytes(client.read(url, "bytes=0-3", Deadline(20.0)).data)


@pytest.fixture
def client_of(server, internet) -> Iterator[Callable[[str], HttpClient]]:
    clients: list[HttpClient] = []

    def make(host: str) -> HttpClient:
        clients.append(HttpClient(f"http://{host}:{server.server_port}", KEY, 4))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "localhost", "0.0.0.0", "0",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]", "[fd00::1]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]", "[ff02::1]",
        "169.254.169.254", "2852039166", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "intranet.example", "both.example", "user@127.0.0.1", "public.example@127.0.0.1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["http://{host}:{port}/file", "//{host}:{port}/file", "https://{host}:{port}/file"])
def test_a_public_server_cannot_make_us_ask_a_private_address(server, internet, client_of, host, form):
    internet.names = {
        "public.example": [PUBLIC],
        "intranet.example": ["10.1.2.3"],
        "both.example": [f"{PUBLIC} 127.0.0.1"],
    }
    server.location = form.format(host=host, port=server.server_port)
    client = client_of("public.example")
    for url in ("/away", server.location):
        with pytest.raises(RequestError, match=f"^{INSIDE}$"):
            read(client, url)
    assert internet.asked == [(PUBLIC, server.server_port)]
    assert [path for _, path in server.requests] == ["/away"]


@pytest.mark.parametrize(
    "location",
    [
        "http://public.example\\@127.0.0.1:{port}/file", "http://127.0.0.1:{port}\\@public.example/file",
        "http://127.0.0.1:{port}#@public.example/file", "http://public.example@@127.0.0.1:{port}/file",
        "http://127.0.0.1%2f.public.example:{port}/file", "http://%31%32%37.0.0.1:{port}/file", "\\\\127.0.0.1:{port}/file",
        "http:127.0.0.1:{port}/file", "http:///127.0.0.1:{port}/file", "http://127\uff0e0\uff0e0\uff0e1:{port}/file",
        "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{port}/file", "http://127.0.0.1:{port}:80/file",
    ],
)  # fmt: skip
def test_an_address_that_two_libraries_read_differently_leads_nowhere_inside(
    server, internet, client_of, monkeypatch, location
):
    monkeypatch.setattr(http, "PAUSES", ())
    internet.names = {"public.example": [PUBLIC]}
    with suppress(RequestError):
        read(client_of("public.example"), location.format(port=server.server_port))
    assert {address for address, _ in internet.asked} <= {PUBLIC}


def test_open_ports_inside_cannot_be_told_from_closed_ones(server, internet, client_of):
    internet.names = {"public.example": [PUBLIC]}
    client = client_of("public.example")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = server.server_port, closed.getsockname()[1]
        for port in ports:
            start = time.monotonic()
            with pytest.raises(RequestError, match=f"^{INSIDE}$"):
                read(client, f"http://127.0.0.1:{port}/file")
            assert time.monotonic() - start < 1.0
    assert internet.asked == []


def test_a_name_that_is_looked_up_to_another_address_later_is_asked_where_it_was_checked(server, internet, client_of):
    internet.names = {"public.example": [PUBLIC, "127.0.0.1"], "bucket.example": [PUBLIC, "127.0.0.1", "10.0.0.1"]}
    client = client_of("public.example")
    for _ in range(3):
        assert read(client, "/file") == read(client, f"http://bucket.example:{server.server_port}/file") == b"data"
    assert {address for address, _ in internet.asked} == {PUBLIC}
    assert [host.partition(":")[0] for host, _ in server.requests] == ["public.example", "bucket.example"] * 3


def test_a_server_that_is_private_only_at_first_stays_private(server, internet, client_of):
    internet.names = {"rebinding.example": ["127.0.0.1", PUBLIC]}
    client = client_of("rebinding.example")
    assert read(client, "/file") == read(client, "/file") == b"data"
    assert {address for address, _ in internet.asked} == {"127.0.0.1"}


def test_a_server_with_public_and_private_addresses_is_asked_at_none(server, internet, client_of):
    internet.names = {"both.example": [f"127.0.0.1 {PUBLIC}"]}
    with pytest.raises(RequestError, match=INSIDE):
        client_of("both.example").graphql("query A($b: String) { c }", {}, Deadline(20.0))
    assert internet.asked == []


def test_the_next_address_of_a_host_is_asked_where_the_first_does_not_answer(server, internet, client_of):
    internet.names = {"lab.example": ["127.0.0.2 127.0.0.1"]}
    assert read(client_of("lab.example"), "/file") == b"data"
    assert internet.asked == [("127.0.0.2", server.server_port), ("127.0.0.1", server.server_port)]


def test_no_address_inside_is_asked_of_a_proxy_and_none_of_this_machine(server, internet, client_of, monkeypatch):
    internet.names = {"public.example": [PUBLIC]}
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "")
    client = client_of("public.example")
    with pytest.raises(RequestError, match=INSIDE):
        read(client, "http://169.254.169.254/file")
    assert server.requests == []
    # A proxy may find a host that this machine cannot look up.
    assert read(client, "http://elsewhere.example/file") == b"data"
    assert [path for _, path in server.requests] == ["http://elsewhere.example/file"]
    # A key over plain http stays on this machine.
    assert read(client_of("localhost"), "/file") == read(client_of("127.0.0.1"), "/file") == b"data"
    assert [path for _, path in server.requests[1:]] == ["/file", "/file"]


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..example"])
def test_what_is_no_name_of_a_host_has_no_address(host):
    with pytest.raises(OSError, match="no name of a host"):
        HostAddresses("http://127.0.0.1").of(host)


def test_a_connection_over_tls_is_for_the_name_and_not_for_the_address(internet):
    """The server sees the name in the greeting (SNI), whatever address the connection goes to."""
    internet.names = {"public.example": [PUBLIC]}
    names: list[str | None] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = lambda _socket, name, _context: names.append(name)

        def greet() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                context.wrap_socket(connection, server_side=True)

        threading.Thread(target=greet, daemon=True).start()
        client = HttpClient(f"https://public.example:{listener.getsockname()[1]}", KEY, 4)
        with pytest.raises((RequestError, DeadlineError)):
            client.graphql("query A($b: String) { c }", {}, Deadline(1.0))
        client.close()
    assert names == ["public.example"]


@pytest.mark.parametrize(
    ("address", "is_public"),
    [("8.8.8.8", True), ("2606:4700::1", True), ("::ffff:8.8.8.8", True), ("64:ff9b::8.8.8.8", True),
     ("64:ff9b::10.0.0.1", False), ("64:ff9b:1::1", False), ("fec0::1", False), ("2001:db8::1", False),
     ("fe80::1%eth0", False)],
)  # fmt: skip
def test_addresses_of_the_internet(address, is_public):
    assert _is_public(address) == is_public


def test_a_study_of_a_public_server_is_fetched_but_for_what_is_inside(internet, monkeypatch):
    with WandbServer() as server, WandbServer() as inside:
        url = f"http://public.example:{server.server_port}"
        internet.names = {"public.example": [PUBLIC], "localhost": ["127.0.0.1"]}
        server.add(PLACE, walk("a"), walk("b"))
        server.files_url = url
        assert points(bring(study(url)), "a")[9] == 18.0
        server.files_url = inside.url
        manifest = bring(study(url), refresh=True)
        assert [f"({INSIDE})" in problem.message for problem in manifest.problems] == [True, True]
        assert inside.hits == []
        internet.names["public.example"] = [f"{PUBLIC} ::1"]
        with pytest.raises(SourceError, match=INSIDE):
            bring(study(url))
