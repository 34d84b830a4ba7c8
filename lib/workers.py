"""Where the work on runs is done when one process is not enough: the workers of a Dask cluster, behind an `Executor`."""

import math
import pickle
import platform
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lib.formatting import listing
from lib.runs import put
from lib.study import InputError
from lib.versions import versions

if TYPE_CHECKING:
    from distributed import Client

#: Seconds until a scheduler must have answered, and in which a client says goodbye.
_CONNECT, _CLOSE = 10.0, 2.0
#: Seconds after which the number of workers, and a worker whether it is still wanted, is asked for again.
_LOOK = 1.0

_GONE = "The cluster's scheduler went away: start it again, then repeat this."

T = TypeVar("T")


class ClusterError(InputError):
    """A cluster that cannot be used, or not any more: no call has a result from now on."""


class WorkerError(Exception):
    """One call that came to nothing on a worker; others may go on. The message holds nothing of the call."""


class Cluster(Executor):
    """The workers of a Dask cluster.

    A call is sent as bytes that nothing shows: neither the name of its task nor a log holds its arguments. The calls of a
    worker that dies are made again, a few times at most. An `InputError` comes back as it was raised, and whatever else a
    call raises as a `WorkerError` that names its type.
    """

    def __init__(self, client: "Client", token: "_Token") -> None:
        self._client, self._token = client, token
        self._executor = client.get_executor(pure=False)
        self._size, self._looked = 0, -math.inf

    @property
    def size(self) -> int:
        """Calls that the cluster's workers make at the same time; it may grow when there are calls."""
        # Each look asks the scheduler.
        if time.monotonic() > self._looked + _LOOK:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._size, self._looked = sum(worker["nthreads"] for worker in workers.values()), time.monotonic()
        return self._size

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> "Future[T]":
        """The result to come of a call on a worker; what it needs and returns can be pickled.

        Raises
        ------
        ClusterError
            As its result does: where the scheduler has gone, or a worker is not what it must be.
        """
        call = _Call(self._token, versions(), pickle.dumps((function, arguments, named)))
        self._check_scheduler()
        inner = self._executor.submit(_result_of, call)
        # What was sent when the connection was already lost would have no result ever.
        self._check_scheduler()
        future: Future[T] = Future()
        inner.add_done_callback(partial(self._hand_on, future))
        future.add_done_callback(partial(_cancel, weakref.ref(inner)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the cluster go; calls that are under way come to nothing."""
        with suppress(Exception):  # It may have gone already, in whatever way.
            self._client.close(timeout=_CLOSE)

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise ClusterError(_GONE)

    def _hand_on(self, future: "Future[Any]", inner: "Future[Result]") -> None:
        """Give a future the result of Dask's own."""
        try:
            result = inner.result()
        except BaseException as error:  # noqa: BLE001 - handed on to the thread that waits
            result = Result(error=self._error(error))
        result.hand_on(future)

    def _error(self, error: BaseException) -> Exception:
        """What an error of Dask's own means."""
        if isinstance(error, CancelledError):
            return ClusterError(_GONE)
        if type(error).__name__ == "KilledWorker":
            return WorkerError("the workers that took it died, several times")
        return ClusterError(
            f"The cluster takes no call ({type(error).__name__}): start its scheduler and its workers in this project's "
            "folder, with its environment."
        )


def _cancel(inner: "weakref.ref[Future[Result]]", outer: "Future[Any]") -> None:
    """Cancel Dask's own future with the one that was handed out; each holding the other would keep all results."""
    if outer.cancelled() and (running := inner()) is not None:
        running.cancel()


@contextmanager
def open_cluster(address: str, store: Path) -> Iterator[Cluster]:
    """The workers of the scheduler at an address (`tcp://host:8786`), which share the folder of the store.

    Raises
    ------
    ClusterError
        Where Dask is not installed, the scheduler does not answer, or has other versions; one sentence.
    """
    client = _client(address)
    with _token_in(store) as token:
        cluster = Cluster(client, token)
        try:
            _check_scheduler_versions(client)
            yield cluster
        finally:
            cluster.shutdown()


def _client(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError(
            "A cluster takes Dask, which is not installed: pip install -r requirements-cluster.txt."
        ) from None
    _silence()

    class ClusterClient(Client):
        """A client that waits for nothing more once it could not connect."""

        def start(self, **options: Any) -> None:
            """Connect."""
            try:
                super().start(**options)
            except BaseException:
                self.status = "closed"
                self._loop_runner.stop()
                raise

    try:
        return ClusterClient(address, timeout=_CONNECT, set_as_default=False)
    except OSError:
        raise ClusterError("The cluster's scheduler does not answer: check that it runs, and its address.") from None
    except Exception:  # noqa: BLE001 - whatever is wrong with the address
        raise ClusterError("That is no address of a scheduler: write it as tcp://host:8786.") from None


@cache
def _silence() -> None:
    """Let Dask say nothing of its own here: what goes wrong is said in a sentence."""
    import logging
    import warnings

    from distributed.versions import VersionMismatchWarning

    warnings.simplefilter("ignore", VersionMismatchWarning)
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _check_scheduler_versions(client: "Client") -> None:
    try:
        packages = client.get_versions()["scheduler"]["packages"]  # type: ignore[index]
    except Exception:  # noqa: BLE001 - it went away
        raise ClusterError(_GONE) from None
    own = versions()
    differing = [name for name in ("dask", "distributed") if packages[name] != own[name]]
    if differing:
        raise ClusterError(_difference("The cluster's scheduler", {name: packages[name] for name in differing}))


# ---- on a worker -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Token:
    """A file of the store with a secret text, by which a worker knows the store."""

    path: Path
    text: str = field(repr=False)


@contextmanager
def _token_in(store: Path) -> Iterator[_Token]:
    token = _Token(store / f".cluster-{secrets.token_hex(8)}", secrets.token_hex(16))
    put(token.path, token.text.encode())
    try:
        yield token
    finally:
        token.path.unlink(missing_ok=True)


@dataclass(frozen=True, repr=False)
class _Call:
    """A call as bytes; its `repr`, which Dask logs, shows nothing of it: the URL of an export is a secret."""

    token: _Token
    versions: dict[str, str]
    content: bytes


@dataclass(frozen=True, repr=False)
class Result:
    """What a call returned, or why it did not."""

    value: Any = None
    error: Exception | None = None

    def hand_on(self, future: "Future[Any]") -> None:
        """Give the result to a future."""
        with suppress(InvalidStateError):  # Nobody waits for it any more.
            if self.error is None:
                future.set_result(self.value)
            else:
                future.set_exception(self.error)


def result_of(content: bytes) -> Result:
    """The result of a call (function, arguments, named arguments) that was pickled in another process; raises nothing."""
    try:
        function, arguments, named = pickle.loads(content)  # noqa: S301 - from the process that started this one's work
        return Result(function(*arguments, **named))
    except (InputError, WorkerError) as error:
        return Result(error=error)
    except Exception as error:  # noqa: BLE001 - its text may hold what no log may
        return Result(error=WorkerError(f"it failed on a worker: {type(error).__name__}"))


def _result_of(call: _Call) -> Result:
    """The result of a call, made on a worker of a cluster. It raises nothing: Dask would log it."""
    if message := _mismatch(call):
        return Result(error=ClusterError(message))
    _present.token = call.token
    return result_of(call.content)


#: The call that a thread of this worker makes.
_present = threading.local()


def cancellation() -> Callable[[], bool]:
    """What says, in any thread of this worker, whether nobody waits for the present call any more.

    A process of this machine is ended where its work is not wanted any more.
    """
    if not hasattr(_present, "token"):
        return lambda: False
    path: Path = _present.token.path
    is_gone, last_look = False, time.monotonic()

    def is_cancelled() -> bool:
        nonlocal is_gone, last_look
        # Each look asks a file server.
        if not is_gone and (now := time.monotonic()) > last_look + _LOOK:
            is_gone, last_look = not path.exists(), now
        return is_gone

    return is_cancelled


def _mismatch(call: _Call) -> str:
    """Why this worker cannot make the call as it would be made where it comes from, or nothing."""
    own, worker = versions(), f"A worker on {platform.node() or 'a machine without a name'}"
    if differing := {name: own.get(name, "") for name in call.versions if own.get(name) != call.versions[name]}:
        return _difference(worker, differing, call.versions)
    try:
        is_same = call.token.path.read_text() == call.token.text
    except OSError:
        is_same = False
    return (
        "" if is_same else f"{worker} does not see this store: name a folder that all machines share in DETACH_STORE."
    )


def _difference(where: str, differing: dict[str, str], here: dict[str, str] | None = None) -> str:
    own = here or versions()
    parts = [f"{name} {text or 'not at all'} (here {own[name]})" for name, text in differing.items()]
    return f"{where} has {listing(parts)}: start the cluster from this project's environment."
