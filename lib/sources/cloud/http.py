"""Requests to a W&B server and to the signed URLs of its exports: retries within one deadline, safe redirects."""

import base64
import json
import logging
import mmap
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from lib.sources.cloud.connections import HostAddresses, PinnedAdapter
from lib.sources.cloud.limits import Deadline, RefusalError, RequestError, within
from lib.sources.cloud.server_address import is_private_line

#: Seconds before each further try of a request that failed; a server that says how long wins.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)
_LONGEST_PAUSE = 30.0
_CHUNK, _TICK = 1 << 18, 0.05
#: The most bytes, unpacked, of an answer of JSON, of a file that comes whole, and of a part of one.
_LONGEST_ANSWER, _LARGEST_FILE, _LONGEST_RANGE = 64 << 20, 512 << 20, 256 << 20
#: An answer of JSON beyond this is read while no other such one is.
_LONG_ANSWER = 4 << 20
_REDIRECTS = 4

_FAILURES = (
    ((requests.Timeout, urllib3.exceptions.TimeoutError), "the server did not answer"),
    (requests.exceptions.SSLError, "the connection is not safe (TLS)"),
    (requests.exceptions.ProxyError, "the proxy refused the connection"),
)

T = TypeVar("T")


class _NoQuery(logging.Filter):
    """Cuts what follows the ? of an address from debug records: in a signed URL that is the secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_NoQuery())


@dataclass(frozen=True)
class FileRange:
    """Bytes of a remote file from `start` on and the size of the file; `whole` is all of it where there are no ranges."""

    start: int
    data: memoryview
    size: int
    whole: IO[bytes] | None = None


class _Retry(Exception):
    """A failure that may pass, and for how many seconds the server wants to be left alone."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class _Login:
    """A key and what stands for it in a request: neither `repr` nor `vars` shows them."""

    __slots__ = ("_key", "_text")

    def __init__(self, key: str) -> None:
        self._key, self._text = key, base64.b64encode(f"api:{key}".encode()).decode()

    @property
    def header(self) -> str:
        """The value of an `Authorization` header."""
        return f"Basic {self._text}"

    def cut_from(self, message: str) -> str:
        """The message without the key. It is shortened afterwards: half a key is still a secret."""
        return message.replace(self._text, "…").replace(self._key, "…")


class FileClient:
    """Connections to the signed URLs that a W&B server names; there is no key that could go there."""

    def __init__(self, server: str, connections: int) -> None:
        self.server = server
        self._session = requests.Session()
        # No login of ~/.netrc goes anywhere; the proxies and certificates of the environment come by `_environment`.
        self._session.trust_env = False
        self._environment = cache(_environment)
        self.addresses = HostAddresses(server)
        self._check_host = cache(self.addresses.check)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, PinnedAdapter(self.addresses, pool_connections=4, pool_maxsize=connections))

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def read(self, url: str, span: str, deadline: Deadline) -> FileRange:
        """Read a range of a file behind a signed URL; `span` is written as in the `Range` header.

        Where the server serves no ranges the whole file is downloaded to a temporary file.

        Raises
        ------
        RequestError, StopFetch
        """

        def ask() -> FileRange:
            with self._redirected(url, span, deadline) as response:
                if response.status_code == 206:
                    return _range(response, span, deadline)
                _accept(response)
                # The file has no name, so that nothing is left of it whatever happens.
                whole = tempfile.TemporaryFile()  # noqa: SIM115
                for chunk in _chunks(response, deadline, _LARGEST_FILE):
                    whole.write(chunk)
                return FileRange(0, memoryview(b""), whole.tell(), whole)

        return _retried(ask, deadline)

    @contextmanager
    def _redirected(self, url: str, span: str, deadline: Deadline) -> Iterator[requests.Response]:
        """The answer for a range of a file, after a few redirects at most."""
        headers, base = {"Range": span, "Accept-Encoding": "identity"}, f"{self.server}/"
        for _ in range(_REDIRECTS + 1):
            base = self._allowed(base, url)
            with self._answer("GET", base, headers, deadline) as response:
                if not response.is_redirect:
                    yield response
                    return
                url = response.headers["Location"]
        raise RequestError("the server redirected us too often")

    def _allowed(self, base: str, url: str) -> str:
        """The whole address, refused where it is none of the web, or inside a private network though the server is public."""
        try:
            address = urljoin(base, url)
            parts = urlsplit(address)
            host = parts.hostname if parts.port != 0 else None
        except ValueError:
            raise RequestError("the server named an export that is no web address") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise RequestError("the server named an export that is no web address")
        self._check_host(host)
        return address

    @contextmanager
    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline, body: bytes | None = None
    ) -> Iterator[requests.Response]:
        """The answer to one request, its body still to be read; what is left unread closes the connection."""
        parts = urlsplit(url)
        response = self._session.request(
            method,
            url,
            headers=headers,
            data=body,
            timeout=deadline.timeout,
            allow_redirects=False,
            **self._environment(f"{parts.scheme}://{parts.netloc}") | {"stream": True},
        )
        with response:
            yield response


class HttpClient(FileClient):
    """Connections of one fetch. The key goes to the server itself alone, never to a signed URL or after a redirect."""

    def __init__(self, server: str, key: str, connections: int) -> None:
        super().__init__(server, connections)
        self._login = _Login(key)
        self._long_answer = threading.Lock()

    def graphql(self, query: str, variables: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The `data` of a query's answer.

        Raises
        ------
        RequestError, StopFetch
        """
        # `query Name($variable: …) { … }`: some servers route by the name, as the client of W&B sends it.
        name = query.partition("(")[0].split()[-1]
        body = json.dumps({"operationName": name, "query": query, "variables": variables}).encode()
        headers = {"Authorization": self._login.header, "Content-Type": "application/json"}

        def ask() -> dict[str, Any]:
            with ExitStack() as stack:
                response = stack.enter_context(self._answer("POST", f"{self.server}/graphql", headers, deadline, body))
                _accept(response)
                answer = _tree(self._text(response, deadline, stack))
            if not isinstance(answer, dict) or not isinstance(answer.get("data") or {}, dict):
                raise RequestError("its answer is not one of a W&B server")
            if answer.get("errors") and not answer.get("data"):
                raise RequestError(f"the server said: {self._login.cut_from(_message(answer['errors']))[:200]}")
            return answer.get("data") or {}

        return _retried(ask, deadline)

    def _text(self, response: requests.Response, deadline: Deadline, stack: ExitStack) -> bytes:
        """The body of an answer; of long ones, which take memory, one at a time until the stack unwinds."""
        text = bytearray()
        for chunk in _chunks(response, deadline, _LONGEST_ANSWER):
            if len(text) <= _LONG_ANSWER < len(text) + len(chunk):
                while not self._long_answer.acquire(timeout=_TICK):
                    deadline.check()
                stack.callback(self._long_answer.release)
            text += chunk
        return bytes(text)


def _environment(host: str) -> dict[str, Any]:
    """The proxies and certificates that `requests` finds for the user; what is for this machine goes to no proxy."""
    settings = dict(requests.Session().merge_environment_settings(host, {}, None, None, None))
    return settings | {"proxies": {}} if host.startswith("http://") and is_private_line(host) else settings


def _retried(ask: Callable[[], T], deadline: Deadline) -> T:
    """Ask, each time in a thread that can be left behind, with growing pauses until there is an answer."""
    for pause in (*PAUSES, None):
        deadline.check()
        try:
            return within(deadline, ask)
        except _Retry as error:
            message, least = str(error), error.pause
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # The text of these names the address: a signed URL is a secret.
            message, least = (
                next((text for kind, text in _FAILURES if isinstance(error, kind)), "the connection broke"),
                0.0,
            )
        if pause is not None:
            deadline.sleep(max(pause, least))
    raise RequestError(f"{message}, {len(PAUSES) + 1} times")


def _accept(response: requests.Response) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        pause = response.headers.get("Retry-After", "")
        raise _Retry(f"the server answered {status}", min(float(pause), _LONGEST_PAUSE) if pause.isdecimal() else 0.0)
    if status in {401, 403, 404, 410}:
        raise RefusalError(status)
    if status != 200:
        raise RequestError(f"the server answered {status}")


def _tree(text: bytes) -> Any:
    """The value of an answer of JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Retry("the answer was no JSON") from None


def _message(errors: Any) -> str:
    """The text of the first error of a GraphQL answer."""
    first = errors[0] if isinstance(errors, list) and errors else errors
    text = str(first.get("message", "") if isinstance(first, dict) else first)
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _chunks(response: requests.Response, deadline: Deadline, limit: int) -> Iterator[bytes]:
    """The body as it arrives: a server that sends a byte a second is left at the deadline, one without end at a limit."""
    size = 0
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        deadline.check()
        size += len(chunk)
        if size > limit:
            raise RequestError(f"the server's answer is larger than {limit >> 20} MB")
        yield chunk


def _range(response: requests.Response, span: str, deadline: Deadline) -> FileRange:
    """The range that was asked for, whole."""
    answered = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", response.headers.get("Content-Range", ""))
    if answered is None:
        raise RequestError("the server does not say which part of the file it sent")
    start, last, size = (int(number) for number in answered.groups())
    if (start, last) != _bounds(span, size):
        # Some proxies cap what one answer holds.
        raise RequestError("the server sent another part of the file than it was asked for")
    if last + 1 - start > _LONGEST_RANGE:
        raise RequestError(f"an export needs more than {_LONGEST_RANGE >> 20} MB at a time")
    # Memory of its own, which goes back to the system: the heaps of many threads would keep what they once got.
    data, filled = memoryview(mmap.mmap(-1, last + 1 - start)), 0
    for chunk in _chunks(response, deadline, _LONGEST_RANGE + _CHUNK):
        data[filled : filled + len(chunk)] = chunk[: len(data) - filled]
        filled += len(chunk)
        if filled >= len(data):
            break
    if filled < len(data):
        raise _Retry("the download broke off")
    return FileRange(start, data, size)


def _bounds(span: str, size: int) -> tuple[int, int]:
    """The first and the last byte that a `Range` header asks for of a file of so many bytes."""
    first, _, last = span.removeprefix("bytes=").partition("-")
    return (int(first), min(int(last), size - 1)) if first else (max(0, size - int(last)), size - 1)
