"""Requests to a W&B server and to its signed URLs: patient with bursts of errors, never with silence, easy to stop."""

import logging
import mmap
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

#: Seconds before each further try of a request that failed; a server that says how long wins.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)
_CHUNK, _READ = 1 << 16, 1 << 20
_CONNECT = 10.0
_TRIES_IN_DEADLINE = 3

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


@dataclass(frozen=True)
class Piece:
    """Bytes of a remote file: those asked for, or the `whole` file where the server serves no ranges."""

    data: bytes | mmap.mmap
    total: int
    whole: IO[bytes] | None = None


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps `requests` from looking for a login of the host in the user's netrc."""
    return request


class Wire:
    """Connections of one fetch. The key goes to the server itself alone, never to a signed URL or after a redirect."""

    def __init__(self, server: str, key: str, connections: int) -> None:
        self._base = server
        self._key = key
        self._server, self._bucket = requests.Session(), requests.Session()
        self._server.auth, self._bucket.auth = HTTPBasicAuth("api", key), _no_login
        for session in (self._server, self._bucket):
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=connections))

    def close(self) -> None:
        """Give the connections back."""
        self._server.close()
        self._bucket.close()

    def graphql(self, query: str, variables: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
        """The `data` of a query's answer.

        Raises
        ------
        Failed, Stopped
        """

        # `query Name($variable: …) { … }`: some servers route by the name, as the client gives it.
        name = query.partition("(")[0].split()[-1]

        def ask() -> dict[str, Any]:
            with self._server.post(
                f"{self._base}/graphql",
                json={"operationName": name, "query": query, "variables": variables},
                timeout=watch.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                _accept(response)
                body = b"".join(_chunks(response, watch))
                try:
                    tree = requests.models.complexjson.loads(body)
                except ValueError:
                    raise _Again("the answer was no JSON") from None
            if tree.get("errors") and not tree.get("data"):
                said = str((tree["errors"][0] or {}).get("message", ""))[:200].replace(self._key, "…")
                raise Failed(f"the server said: {said}")
            return tree.get("data") or {}

        return _patiently(ask, watch)

    def read(self, url: str, span: str, watch: Watch) -> Piece:
        """A range of a file behind a signed URL, as the `Range` header writes it."""

        def ask() -> Piece:
            address = urljoin(self._base + "/", url)
            if urlsplit(address).scheme not in {"http", "https"}:
                raise Failed("the server named an export that is no web address")
            headers = {"Range": span, "Accept-Encoding": "identity"}
            with self._bucket.get(address, headers=headers, timeout=watch.timeout, stream=True) as response:
                if response.status_code == 206:
                    total = int(response.headers["Content-Range"].rpartition("/")[2])
                    return Piece(_mapped(response, watch), total)
                _accept(response)
                # The file has no name, so that nothing is left of it whatever happens.
                whole = tempfile.TemporaryFile()  # noqa: SIM115
                for chunk in _chunks(response, watch):
                    whole.write(chunk)
                return Piece(b"", whole.tell(), whole)

        return _patiently(ask, watch)


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
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            said, after = "the server did not answer", 0.0
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # The text of these names the address: a signed URL is a secret.
            said, after = _KINDS.get(type(error).__name__, "the connection broke"), 0.0
        if pause is None:
            break
        watch.pause(max(pause, after))
    raise Failed(f"{said}, {len(PAUSES) + 1} times")


_KINDS = {
    "ChunkedEncodingError": "the download broke off",
    "IncompleteRead": "the download broke off",
    "SSLError": "the connection is not safe (TLS)",
    "ProxyError": "the proxy refused the connection",
    "TooManyRedirects": "the server sent us in circles",
}


def _accept(response: requests.Response) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        raise _Again(f"the server answered {status}", min(float(after), 30.0) if after.isdigit() else 0.0)
    if status in {401, 403, 404, 410}:
        raise Refused(f"the server refused it ({status})")
    if status != 200:
        raise Failed(f"the server answered {status}")


def _chunks(response: requests.Response, watch: Watch) -> Iterator[bytes]:
    """The body, each part of it a sign of life."""
    for chunk in response.iter_content(_CHUNK):
        watch.beat()
        yield chunk


def _mapped(response: requests.Response, watch: Watch) -> mmap.mmap:
    """The body in memory of its own, which goes back to the system at once: the heaps of threads keep what they got."""
    size = int(response.headers["Content-Length"])
    room = mmap.mmap(-1, max(1, size))
    while room.tell() < size:
        # Whatever is there, at once: that is the sign of life.
        chunk = response.raw.read1(_READ)
        if not chunk:
            raise _Again("the download broke off")
        watch.beat()
        room.write(chunk)
    return room
