"""Updates of runs on the workers of a cluster. The key stays here: a worker gets the signed URLs of a run's exports."""

from collections.abc import Sequence
from concurrent.futures import wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NoReturn

from lib.runs import Run
from lib.sources.cloud.forks import Ancestors, fork_point
from lib.sources.cloud.history import Checkpoint, Download, RunExports, RunPath, list_exports, read_exports
from lib.sources.cloud.http import FileClient, HttpClient
from lib.sources.cloud.limits import Deadline, MemoryBudget, RefusalError, RequestError
from lib.sources.cloud.run import RunStore, RunUpdate
from lib.workers import Cluster, cancellation

_TICK = 0.05
#: Connections of one worker.
_CONNECTIONS = 32


@dataclass(frozen=True)
class RemoteUpdate:
    """Brings one run's file up to date on a worker, where it can be read without the key.

    A fork, a run from which another was forked, and a run some of whose rows are in no export are read here.
    """

    update: RunUpdate
    client: HttpClient
    path: RunPath
    cluster: Cluster

    def __call__(self) -> tuple[Run, str]:
        """As `RunUpdate`; the deadline counts where the run is read, and not while it waits for a worker.

        Raises
        ------
        RequestError, StopFetch, StoreError
        ClusterError
            Where the cluster cannot be used any more.
        WorkerError
            Where the workers that took the run died.
        """
        update = self.update
        if run := update.stored_if_current():
            return run
        if fork_point(update.run) or update.ancestors.has_fork(update.run):
            return update.updated()
        # Signed URLs expire, while the run waits for a worker too: new ones may be good.
        for _ in range(2):
            exports = list_exports(self.client, self.path, update.deadline)
            if exports.live:
                return update.updated()
            result = self._result(exports)
            if not result.is_refused:
                break
        if result.run is None:
            raise RequestError(result.failure)
        return result.run, result.missing

    def _result(self, exports: RunExports) -> "_Result":
        update = self.update
        job = _Job(self.client.server, update.store, update.run, exports, update.deadline.seconds)
        future = self.cluster.submit(_update, job)
        try:
            with update.deadline.pause():
                while not wait([future], _TICK).done:
                    update.deadline.check_cancelled()
            return future.result()
        finally:
            future.cancel()


# ---- on a worker -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """A run to bring up to date; `deadline` is in seconds."""

    server: str
    store: RunStore
    run: Run
    exports: RunExports
    deadline: float


@dataclass(frozen=True)
class _Result:
    """The run as it is stored and which of its rows are missing, or why it could not be brought up to date."""

    run: Run | None = None
    missing: str = ""
    failure: str = ""
    is_refused: bool = False


def _update(job: _Job) -> _Result:
    """Bring one run's file up to date from its exports."""
    deadline = Deadline(job.deadline, cancellation())
    client = _client(job.server)

    def read_rows(columns: Sequence[str], since: Checkpoint | None) -> AbstractContextManager[Download]:
        return read_exports(client, _budget(), job.exports, columns, deadline, since)

    ancestors = Ancestors((), _no_key, _no_key, job.store.folder)
    try:
        run, missing = RunUpdate(job.store, job.run, deadline, ancestors, read_rows)()
    except RequestError as error:
        return _Result(failure=str(error), is_refused=isinstance(error, RefusalError))
    return _Result(run, missing)


def _no_key(*_: object) -> NoReturn:
    raise RequestError("a worker has no key")


@cache
def _budget() -> MemoryBudget:
    """The memory of this worker's runs."""
    return MemoryBudget()


@lru_cache(maxsize=1)
def _client(server: str) -> FileClient:
    """The connections that this worker keeps from run to run."""
    return FileClient(server, _CONNECTIONS)
