"""The `wandb` client: who the user is, which runs there are. Nothing here touches histories."""

import atexit
import json
import os
import shutil
import socket
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from lib.runs import Run
from lib.sources.cloud.http import Failed, Stopped, Watch, Wire
from lib.sources.request import SourceError, Unreachable
from lib.study import Study

PER_PAGE = 200
DEFAULT_SERVER = "https://api.wandb.ai"
NO_KEY = (
    "There is no W&B key for {server}: set WANDB_API_KEY, run `wandb login`, or enter a key on the Study page "
    "(it is kept for the session only)."
)
KEY_OF_ANOTHER_SERVER = (
    "There is no W&B key for {server}, which only the study names: WANDB_API_KEY is not sent to it. "
    "If you trust this server, set WANDB_BASE_URL={server} or run `wandb login --host={server}`."
)

T = TypeVar("T")


def server_of(study: Study) -> str:
    """The server that the study's runs are on: WANDB_BASE_URL, else what the study names, else W&B's own.

    Raises
    ------
    SourceError
        Where that is no web address.
    """
    named = os.environ.get("WANDB_BASE_URL") or study.source.base_url or DEFAULT_SERVER
    parts = urlsplit(named)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SourceError(f"'{named}' is not the address of a W&B server: it must start with https:// (or http://).")
    return named.rstrip("/")


def _environment_server() -> str:
    """The server that WANDB_API_KEY belongs to."""
    return (os.environ.get("WANDB_BASE_URL") or DEFAULT_SERVER).rstrip("/")


def no_key_message(server: str) -> str:
    """Why there is no key for this server, and what to do."""
    withheld = bool(os.environ.get("WANDB_API_KEY")) and server != _environment_server()
    return (KEY_OF_ANOTHER_SERVER if withheld else NO_KEY).format(server=server)


def resolve_key(server: str) -> str | None:
    """The user's own key for a server: WANDB_API_KEY, else their W&B login (netrc, as the client reads it).

    WANDB_API_KEY belongs to the server of WANDB_BASE_URL, or to W&B's own where that is not set. A server that only a
    study file names does not get it: a stranger's study file could otherwise collect the key.
    """
    key = os.environ.get("WANDB_API_KEY")
    if key and server == _environment_server():
        return key.strip()
    _quiet()
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib.wbauth import read_netrc_auth

    try:
        return read_netrc_auth(host=server)
    except AuthenticationError:
        raise SourceError(f"The W&B login stored for {server} is not a key: run `wandb login` again.") from None


class _Early:
    """What the client's pages of runs ask through, before the client itself has seen to its login."""

    def __init__(self, wire: Wire, watch: Watch) -> None:
        self._wire, self._watch = wire, watch
        self.app_url = ""

    def execute_graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        return self._wire.graphql(query, variables, self._watch)


def _login(server: str, key: str, entity: str, deadline: float) -> Any:
    import wandb

    return wandb.Api(api_key=key, overrides={"base_url": server, "entity": entity}, timeout=max(1, round(deadline)))


def _listed(run: Any) -> Run:
    """The run as the listing describes it: without what is known of its history only once that is read."""
    facts = run._attrs
    history = facts.get("historyKeys") or {}
    stamp = [run.state, facts.get("historyLineCount"), history.get("lastStep"), facts.get("heartbeatAt")]
    last_step = int(history.get("lastStep") or -1)
    return Run(
        id=run.id,
        name=run.name or run.id,
        state=run.state or "",
        config={k: v for k, v in run.config.items() if k != "_wandb"},
        sweep_id=run.sweep_name or "",
        group=facts.get("group") or "",
        url=run.url,
        created_at=facts.get("createdAt") or "",
        last_step=last_step if last_step >= 0 else None,
        keys=tuple(sorted(history.get("keys") or ())),
        stamp=json.dumps(stamp),
        last_values={k: float(v) for k, v in run.summary_metrics.items() if type(v) in (int, float)},
    )


def _status(error: BaseException | None) -> int:
    """The status that the server answered, as the client keeps it in the error's causes."""
    while error is not None:
        if status := getattr(getattr(error, "response", None), "http_status", 0):
            return int(status)
        error = error.__cause__ or error.__context__
    return 0


def _knock(server: str, watch: Watch) -> None:
    """See that somebody listens: the client itself would go on trying for a long time."""
    parts = urlsplit(server)
    if parts.scheme in urllib.request.getproxies():
        return
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        _aside(lambda: socket.create_connection((parts.hostname, port), min(10.0, watch.deadline)).close(), watch)
    except OSError as error:
        raise Unreachable(
            f"{server} cannot be reached ({error.strerror or 'no answer'}): check the network and WANDB_BASE_URL."
        ) from None


def _aside(ask: Callable[[], T], watch: Watch) -> T:
    """The result of a call made in a thread of its own, which is left behind when the fetch is stopped."""
    return _Aside(ask).result(watch)


_quiet_lock = threading.Lock()
_home: list[Path] = []


def _quiet() -> None:
    """Give the client a folder of this process for whatever it writes, and let it say nothing."""
    with _quiet_lock:
        if _home:
            return
        home = Path(tempfile.mkdtemp(prefix="wandb-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        folders = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR")
        os.environ.update(dict.fromkeys(folders, str(home)))
        os.environ.update(WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
        _home.append(home)


class _Aside(Generic[T]):
    """A call in a thread of its own."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask, self._done, self._kept = ask, threading.Event(), dict[str, Any]()
        _quiet()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            self._kept["result"] = self._ask()
        except BaseException as error:  # noqa: BLE001 - handed on to the thread that asked
            self._kept["error"] = error
        self._done.set()

    def result(self, watch: Watch) -> T:
        """What the call returned or raised; Stopped once nobody waits for it."""
        while not self._done.wait(0.05):
            if watch.cancelled():
                raise Stopped
        if "error" in self._kept:
            raise self._kept["error"]
        result: T = self._kept["result"]
        return result


class Client:
    """The client logged in to one server with one key, each call bounded by the watch's deadline.

    The runs that pass one of the filters `early` are asked for over the `wire` while the client still sees to its
    login; where the server does not answer that, the client asks for them again.
    """

    def __init__(
        self,
        server: str,
        key: str,
        entity: str,
        project: str,
        watch: Watch,
        wire: Wire | None = None,
        early: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._server, self._entity, self._project, self._watch = server, entity, project, watch
        _knock(server, watch)
        # Here, before there are threads: two that import the client at once get half of it each.
        import wandb.apis.public  # noqa: F401

        self._early = {json.dumps(wanted): _Aside(partial(self._pages, wire, wanted)) for wanted in early if wire}
        self._api = self._call(lambda: _login(server, key, entity, watch.deadline))

    def runs(self, wanted: dict[str, Any]) -> list[Run]:
        """Every run of the project that passes the filter (in W&B's own language), oldest first."""

        def ask() -> list[Run]:
            found = self._api.runs(f"{self._entity}/{self._project}", filters=wanted, per_page=PER_PAGE, lazy=False)
            runs = []
            for run in found:
                self._watch.beat()
                runs.append(_listed(run))
            return runs

        early = self._came_early(wanted)
        return self._call(ask) if early is None else early

    def _pages(self, wire: Wire, wanted: dict[str, Any]) -> tuple[_Early, list[Any]]:
        from wandb.apis.public import Runs

        early = _Early(wire, self._watch)
        asked: Any = Runs(early, self._entity, self._project, wanted, "+created_at", PER_PAGE, False, lazy=False)  # type: ignore[arg-type]
        return early, list(asked)

    def _came_early(self, wanted: dict[str, Any]) -> list[Run] | None:
        asked = self._early.pop(json.dumps(wanted), None)
        if asked is None:
            return None
        from wandb.errors import Error
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError

        try:
            early, runs = asked.result(self._watch)
            early.app_url = self._api._service_api.app_url
            return [_listed(run) for run in runs]
        except (Failed, Error, WandbApiFailedError, ValueError):
            # Whatever the server has against it, the client tells it better.
            return None

    def has_sweep(self, sweep: str) -> bool:
        """Whether the project has the sweep."""
        from wandb.errors import CommError

        def ask() -> bool:
            try:
                self._api.sweep(f"{self._entity}/{self._project}/{sweep}")
            except (CommError, ValueError) as error:
                if "Could not find sweep" in str(error):
                    return False
                raise
            return True

        return self._call(ask)

    def _call(self, ask: Callable[[], T]) -> T:
        """Let the client work in a thread that may be left behind: its calls cannot be interrupted."""
        from wandb.errors import Error
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError

        try:
            return _aside(ask, self._watch)
        except (Error, WandbApiFailedError, ValueError) as error:
            raise self._sentence(error) from None

    def _sentence(self, error: Exception) -> SourceError:
        said, status = str(error), _status(error)
        place = f"{self._entity}/{self._project}"
        if "Could not find project" in said or status == 404:
            return SourceError(
                f"There is no project {place} on {self._server} that this key can see: check its entity and name in "
                "[source], or use the key of somebody who may see it."
            )
        if status in {401, 403} or "characters" in said or "not logged in" in said:
            return SourceError(
                f"{self._server} does not accept this key: check WANDB_API_KEY or your W&B login, "
                "or enter another key on the Study page."
            )
        if "did not respond in time" in said or "not running" in said:
            return Unreachable(f"{self._server} did not answer within {self._watch.deadline:g} s: try again later.")
        return SourceError(f"{self._server} could not list the runs of {place}: it answered {status or 'an error'}.")
