"""Requests to a W&B server and to its signed URLs: patient with bursts of errors, never with silence, easy to stop."""

import base64
import json
import logging
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

#: Seconds before each further try of a request that failed; a server that says how long wins.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)
_CHUNK, _READ = 1 << 16, (1 << 17) - (1 << 12)
_CONNECT = 10.0
_TRIES_IN_DEADLINE = 3
_REDIRECTS = 5

T = TypeVar("T")


class _NoQuery(logging.Filter):
    """Cuts what follows the ? of an address from debug records: in a signed URL that is the secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_NoQuery())


class Failed(Exception):
    """A request that failed for good; the message holds no address and no key."""


class Refused(Failed):
    """The server answered that this may not be read, or is not there."""


class Stopped(Exception):
    """The user stopped the fetch."""


@dataclass
class Watch:
    """How long a run has made no progress, and whether anybody still waits for it."""

    deadline: float
    cancelled: Callable[[], bool]
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Something arrived."""
        self.last = time.monotonic()
        if self.cancelled():
            raise Stopped

    def check(self) -> None:
        """Raise `Stopped` or `Failed` where there is no sense in going on."""
        if self.cancelled():
            raise Stopped
        if time.monotonic() - self.last > self.deadline:
            raise Failed(f"nothing arrived for {self.deadline:g} s")

    def pause(self, seconds: float) -> None:
        """Wait, no longer than there is sense in it."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.1))

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to wait for a connection and between two bytes, so that one silent answer leaves time for others."""
        slice_ = max(0.1, self.deadline / _TRIES_IN_DEADLINE)
        return min(_CONNECT, slice_), slice_


#: Takes bytes of a remote file as they arrive, and where in the file they are.
Sink = Callable[[int, bytes], None]


@dataclass(frozen=True)
class Piece:
    """What a read found: the size of the remote file, and the `whole` of it where the server serves no ranges."""

    total: int
    whole: IO[bytes] | None = None


class _Hosts:
    """Connections by host, through the proxies and with the certificates that `requests` finds for the user.

    The requests themselves are urllib3's: `requests` takes longer over one than the server does.
    """

    def __init__(self, connections: int) -> None:
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=connections))
        self._held: dict[str, tuple[Any, bool]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    @contextmanager
    def ask(
        self, method: str, url: str, headers: Mapping[str, str], timeout: tuple[float, float], body: bytes | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """One request; the body of its answer is still to be read, and what is left unread closes the connection."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Failed("the server named an export that is no web address")
        pool, absolute = self._pool(f"{parts.scheme}://{parts.netloc}")
        response = pool.urlopen(
            method,
            url if absolute else parts._replace(scheme="", netloc="", fragment="").geturl() or "/",
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
        )
        try:
            yield response
        except BaseException:
            response.close()
            raise
        finally:
            response.release_conn()

    def _pool(self, host: str) -> tuple[Any, bool]:
        """The connections to a host, and whether they want whole addresses, as a proxy does."""
        with self._lock:
            if host not in self._held:
                found = self._session.merge_environment_settings(host, {}, None, None, None)
                adapter = self._session.get_adapter(host)
                plain = requests.Request("GET", host).prepare()
                pool = adapter.get_connection_with_tls_context(  # type: ignore[attr-defined]
                    plain, found["verify"], found["proxies"], found["cert"]
                )
                absolute = adapter.request_url(plain, found["proxies"]).startswith("http")  # type: ignore[attr-defined]
                self._held[host] = pool, absolute
            return self._held[host]


class _Again(Exception):
    """A failure that may pass, and how many seconds the server wants to be left alone."""

    def __init__(self, said: str, after: float = 0.0) -> None:
        super().__init__(said)
        self.after = after


def _patiently(ask: Callable[[], T], watch: Watch) -> T:
    """Ask again, with growing pauses, until there is an answer or no sense in asking."""
    for pause in (*PAUSES, None):
        watch.check()
        try:
            return ask()
        except _Again as error:
            said, after = str(error), error.after
        except urllib3.exceptions.TimeoutError:
            said, after = "the server did not answer", 0.0
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # The text of these names the address: a signed URL is a secret.
            said, after = _KINDS.get(type(error).__name__, "the connection broke"), 0.0
        if pause is None:
            break
        watch.pause(max(pause, after))
    raise Failed(f"{said}, {len(PAUSES) + 1} times")


_KINDS = {
    "IncompleteRead": "the download broke off",
    "SSLError": "the connection is not safe (TLS)",
    "ProxyError": "the proxy refused the connection",
}


def _accept(response: urllib3.BaseHTTPResponse) -> None:
    status = response.status
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        raise _Again(f"the server answered {status}", min(float(after), 30.0) if after.isdigit() else 0.0)
    if status in {401, 403, 404, 410}:
        raise Refused(f"the server refused it ({status})")
    if status != 200:
        raise Failed(f"the server answered {status}")


def _chunks(response: urllib3.BaseHTTPResponse, watch: Watch) -> Iterator[bytes]:
    """The body, each part of it a sign of life."""
    for chunk in response.stream(_CHUNK, decode_content=True):
        watch.beat()
        yield chunk


def _poured(response: urllib3.BaseHTTPResponse, watch: Watch, span: str, sink: Sink) -> Piece:
    """Hand on what was asked for as it arrives."""
    sent = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
    if sent is None:
        raise Failed("the server does not say which part of the file it sent")
    at, last, total = (int(number) for number in sent.groups())
    if (at, last) != _bounds(span, total):
        # Some proxies cap what one answer holds; the rest would be whatever the buffer held before.
        raise Failed("the server sent another part of the file than it was asked for")
    while at <= last:
        # Whatever is there, at once: that is the sign of life.
        chunk = response.read1(_READ)
        if not chunk:
            raise _Again("the download broke off")
        watch.beat()
        sink(at, chunk)
        at += len(chunk)
    # Nothing is left, and only now is the connection free for another.
    response.drain_conn()
    return Piece(total)


class Wire:
    """Connections of one fetch. The key goes to the server itself alone, never to a signed URL or after a redirect."""

    def __init__(self, server: str, key: str, connections: int) -> None:
        self._base, self._key = server, key
        self._hosts = _Hosts(connections)
        self._login = f"Basic {base64.b64encode(f'api:{key}'.encode()).decode()}"

    def close(self) -> None:
        """Give the connections back."""
        self._hosts.close()

    def graphql(self, query: str, variables: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
        """The `data` of a query's answer.

        Raises
        ------
        Failed, Stopped
        """

        # `query Name($variable: …) { … }`: some servers route by the name, as the client gives it.
        name = query.partition("(")[0].split()[-1]
        body = json.dumps({"operationName": name, "query": query, "variables": variables}).encode()
        headers = {
            "Authorization": self._login,
            "Content-Type": "application/json",
            "Accept-Encoding": "gzip, deflate",
        }

        def ask() -> dict[str, Any]:
            with self._hosts.ask("POST", f"{self._base}/graphql", headers, watch.timeout, body) as response:
                _accept(response)
                answer = b"".join(_chunks(response, watch))
            try:
                tree = json.loads(answer)
            except ValueError:
                raise _Again("the answer was no JSON") from None
            if tree.get("errors") and not tree.get("data"):
                said = str((tree["errors"][0] or {}).get("message", ""))
                # Before it is cut: half a key is still a secret.
                for secret in (self._login.removeprefix("Basic "), self._key):
                    said = said.replace(secret, "…")
                raise Failed(f"the server said: {said[:200]}")
            return tree.get("data") or {}

        return _patiently(ask, watch)

    def read(self, url: str, watch: Watch, span: str, sink: Sink) -> Piece:
        """Read a range of a file behind a signed URL, as the `Range` header writes it, into the sink.

        Where the server serves no ranges the whole file is brought, and nothing of it goes to the sink. What broke
        off is read from its beginning again.
        """

        def ask() -> Piece:
            with self._followed(urljoin(f"{self._base}/", url), span, watch) as response:
                if response.status == 206:
                    return _poured(response, watch, span, sink)
                _accept(response)
                # The file has no name, so that nothing is left of it whatever happens.
                whole = tempfile.TemporaryFile()  # noqa: SIM115
                for chunk in _chunks(response, watch):
                    whole.write(chunk)
                return Piece(whole.tell(), whole)

        return _patiently(ask, watch)

    @contextmanager
    def _followed(self, address: str, span: str, watch: Watch) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer for a range of a file, wherever the server sends us for it."""
        headers = {"Range": span, "Accept-Encoding": "identity"}
        for _ in range(_REDIRECTS):
            with self._hosts.ask("GET", address, headers, watch.timeout) as response:
                onward = response.get_redirect_location()
                if not onward:
                    yield response
                    return
                response.drain_conn()
                address = urljoin(address, onward)
        raise Failed("the server sent us in circles")


def _bounds(span: str, total: int) -> tuple[int, int]:
    """The first and the last byte that a `Range` header asks for of a file of so many bytes."""
    first, _, last = span.removeprefix("bytes=").partition("-")
    return (int(first), min(int(last), total - 1)) if first else (max(0, total - int(last)), total - 1)
