"""A project on a W&B server: its runs and sweeps. Histories are read elsewhere."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from lib.runs import BranchPoint, Run
from lib.sources.cloud.answers import MAX_RUNS, Node, Runs, Sweep, answer_of
from lib.sources.cloud.http import HttpClient
from lib.sources.cloud.limits import Deadline, DeadlineError, RefusalError, RequestError, within
from lib.sources.request import KeyRefused, SourceError, Unreachable
from lib.study import as_number

PER_PAGE = 200
#: The names and fields of W&B's own client (wandb.apis.public.runs), which servers of every age answer.
_RUNS = """query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $order: String,
    $filters: JSONString) {
  project(name: $project, entityName: $entity) {
    runs(filters: $filters, after: $cursor, first: $perPage, order: $order) {
      edges {
        node {
          name displayName sweepName state group config summaryMetrics createdAt heartbeatAt historyLineCount historyKeys
        }
        cursor
      }
      pageInfo { hasNextPage }
    }
  }
}"""
_SWEEP = """query GetSweep($name: String!, $project: String, $entity: String) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $name) { id } }
}"""


def check_port_open(http: HttpClient, deadline: Deadline) -> None:
    """See that somebody listens, so that a wrong address is told at once and not after the retries of a request."""
    parts = urlsplit(http.server)
    if parts.scheme in getproxies():
        return
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]

    def connect() -> None:
        error: OSError | None = None
        for address in http.addresses.of(parts.hostname or ""):
            try:
                return socket.create_connection((address, port), deadline.timeout[0]).close()
            except OSError as failure:
                error = failure
        raise error or OSError()

    try:
        within(deadline, connect)
    except OSError as error:
        raise Unreachable(
            f"{http.server} cannot be reached ({error.strerror or 'no answer'}): check the network and WANDB_BASE_URL."
        ) from None


class Client:
    """One project on a server, as one key sees it; all that is asked must be answered within the deadline.

    Raises
    ------
    Unreachable, SourceError, StopFetch
        One sentence: no answer, a key that is not accepted, no such project.
    """

    def __init__(self, http: HttpClient, entity: str, project: str, deadline: Deadline) -> None:
        self._http, self._entity, self._project, self._deadline = http, entity, project, deadline
        with self._sentences():
            check_port_open(http, deadline)

    def runs(self, filters: Mapping[str, Any]) -> list[Run]:
        """Every run of the project that passes the filter (in W&B's own language), oldest first."""
        variables = {"order": "+created_at", "filters": json.dumps(filters), "perPage": PER_PAGE}
        runs, cursor, more = dict[str, Run](), "", True
        with self._sentences():
            while more:
                page = answer_of(Runs, self._query(_RUNS, {**variables, "cursor": cursor or None})).runs
                runs |= {edge.node.name: self._run(edge.node) for edge in page.edges}
                last = page.edges[-1].cursor if page.edges else ""
                more = bool(page.pageInfo.hasNextPage and page.edges)
                if more and last == cursor:
                    raise RequestError("the server repeats a page of its runs")
                if len(runs) > MAX_RUNS:
                    raise RequestError(f"it lists more than {MAX_RUNS:,}: name sweeps or a group")
                cursor = last
        return list(runs.values())

    def has_sweep(self, sweep: str) -> bool:
        """Whether the project has the sweep."""
        with self._sentences():
            return answer_of(Sweep, self._query(_SWEEP, {"name": sweep})).sweep is not None

    def _query(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What a query says of the project."""
        names = {"entity": self._entity, "project": self._project}
        project = self._http.graphql(query, {**names, **variables}, self._deadline).get("project")
        if not isinstance(project, dict):
            raise RefusalError(404)
        return project

    def _run(self, node: Node) -> Run:
        """The run as the listing describes it: `last_step` and `keys` are the server's, no history is read."""
        keys = (node.historyKeys.keys or {}) if node.historyKeys else {}
        last_step = node.historyKeys.lastStep if node.historyKeys else None
        stamp = [node.state, node.historyLineCount, last_step, node.heartbeatAt]
        path = "/".join(quote(part, safe="") for part in (self._entity, self._project, "runs", node.name))
        config = {key: _value(entry) for key, entry in node.config.items()}
        return Run(
            id=node.name,
            name=node.displayName or node.name,
            state=node.state or "",
            config={key: value for key, value in config.items() if key not in {"_wandb", "wandb_version"}},
            sweep_id=node.sweepName or "",
            group=node.group or "",
            url=f"{_pages(self._http.server)}/{path}",
            created_at=node.createdAt or "",
            last_step=last_step if last_step is not None and last_step >= 0 else None,
            keys=tuple(sorted(keys)),
            branch_point=_branch_point(config.get("_wandb")),
            stamp=json.dumps(stamp),
            last_values={key: n for key, v in node.summaryMetrics.items() if (n := as_number(v)) is not None},
        )

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """What is wrong, as a sentence."""
        server, project = self._http.server, f"{self._entity}/{self._project}"
        try:
            yield
        except DeadlineError:
            message = f"{server} did not answer within {self._deadline.seconds:g} s: try again later."
            raise Unreachable(message) from None
        except RequestError as error:
            status = error.status if isinstance(error, RefusalError) else 0
            if status == 404:
                message = (
                    f"There is no project {project} on {server} that this key can see: check its entity and name in "
                    "[source], or use the key of somebody who may see it."
                )
            elif status in {401, 403}:
                raise KeyRefused(
                    f"{server} does not accept this key: check WANDB_API_KEY or your W&B login, "
                    "or enter another key in the app."
                ) from None
            else:
                message = f"{server} could not list the runs of {project}: {error}."
            raise SourceError(message) from None


def _value(entry: Any) -> Any:
    """The value of a config key, which W&B wraps."""
    return entry["value"] if isinstance(entry, dict) and "value" in entry else entry


def _branch_point(internal: Any) -> BranchPoint | None:
    """Where a run was forked or rewound, of what the W&B client noted in its config."""
    point = _value(internal.get("branch_point")) if isinstance(internal, dict) else None
    if not isinstance(point, dict):
        return None
    run_id, step = point.get("run_id"), as_number(point.get("step"))
    if not isinstance(run_id, str) or not run_id or step is None or not step.is_integer():
        return None
    return BranchPoint(run_id, int(step))


def _pages(server: str) -> str:
    """Where the pages of a server are for people."""
    if "://api.wandb.ai" in server:
        return server.replace("://api.", "://")
    return server.replace("://api.", "://app.")
