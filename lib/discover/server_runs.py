"""The runs at addresses of a W&B server, with config, keys and state, without their histories."""

from collections.abc import Callable, Sequence

from lib.discover.address import WandbAddress
from lib.discover.find_keys import DETACH_STEP, RATIO, find_keys
from lib.discover.logged_values import note_fall, note_lowest, numbers_of, signal_of
from lib.discover.model import Inspection
from lib.formatting import plural
from lib.runs import Run
from lib.sources import (
    DEFAULT_SERVER,
    STEP,
    Client,
    Deadline,
    HttpClient,
    MemoryBudget,
    Progress,
    RequestError,
    RunPath,
    SourceError,
    StopFetch,
    read_history,
    server_address,
    server_of,
)
from lib.study import Source, Study, config_number

DEADLINE = 45.0
#: Of so many runs the signal is read, to tell what a ratio counts.
SIGNALS = 4

Report = Callable[[Progress], None]


def study_at(source: Source) -> Study:
    """A study without a question, for what takes the server or the runs of a study."""
    return Study(name="look", title="look", source=source, metrics=(), tasks=())


def _source_at(address: WandbAddress) -> Source:
    """The address as a study's source."""
    server = "" if address.server == DEFAULT_SERVER else address.server
    return Source(kind="wandb", entity=address.entity, project=address.project, base_url=server)


def server_at(address: WandbAddress) -> str:
    """The server that a study of the address is read from.

    Raises
    ------
    SourceError
        Where the deployment reads another server than the address names.
    """
    server = server_of(study_at(_source_at(address)))
    if address.server and server != server_address(address.server, "The address"):
        raise SourceError(
            f"This deployment reads {server} (WANDB_BASE_URL), so it cannot open a place on {address.server}."
        )
    return server


# ---- a W&B server ------------------------------------------------------------------------------------------------


def inspect_server(
    addresses: WandbAddress | Sequence[WandbAddress],
    key: str,
    deadline: float = DEADLINE,
    progress: Report = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Inspection:
    """The runs at addresses in one project of a W&B server: of sweeps, of a run's sweep, of a group, or all.

    Parameters
    ----------
    addresses : what `parse_addresses` returns, or one of it.
    key : the user's own key for that server.
    deadline : seconds for all of it.

    Raises
    ------
    Unreachable, SourceError
        One sentence: no answer in time, a key that is not accepted, no such project, sweep, run or group.
    StopFetch
        Where it was cancelled.
    """
    addresses = [addresses] if isinstance(addresses, WandbAddress) else addresses
    project, server, until = addresses[0], server_at(addresses[0]), Deadline(deadline, cancelled)
    progress(Progress(0, 0, f"Asking {server.removeprefix('https://')} for the runs"))
    http = HttpClient(server, key, SIGNALS)
    try:
        client = Client(http, project.entity, project.project, until)
        filters, notes = _filters(client, addresses)
        runs: dict[str, Run] = {}
        for name, value in filters:
            runs |= {run.id: run for run in _listed(client, project, name, value)}
            progress(Progress(0, 0, f"Listed {plural(len(runs), 'run')}"))
        falls = _signal_falls(http, project, _undecided(project, [*runs.values()]), until)
    finally:
        http.close()
    lowest: dict[str, float] = {}
    for run in runs.values():
        note_lowest(lowest, numbers_of(run.last_values))
    return Inspection(
        source=_source_at(project),
        title=" ".join(part for part in (project.project, *(value for _, value in filters)) if part),
        runs=tuple(runs.values()),
        lowest=lowest,
        falls=falls,
        notes=notes,
        group=project.group,
    )


def _filters(client: Client, addresses: Sequence[WandbAddress]) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """What to list, as pairs of a run's field and its value, and what it takes beyond the addresses."""
    filters, notes = list[tuple[str, str]](), list[str]()
    for address in addresses:
        field, value = next(((f, v) for f, v in (("sweep", address.sweep), ("group", address.group)) if v), ("", ""))
        if address.run:
            value = _sweep_of(client, address)
            field = "sweep" if value else ""
            if not value and len(addresses) > 1:
                raise SourceError(
                    f"Run {address.run} is in no sweep, and a study names sweeps: paste the addresses of sweeps only, or "
                    "that of the project."
                )
            names = (
                f"in sweep {value}: all of its runs are shown"
                if value
                else "in no sweep: every run of the project is shown"
            )
            notes.append(f"Run {address.run} is {names}.")
        filters.append((field, value))
    return [*dict.fromkeys(filters)], tuple(notes)


def _sweep_of(client: Client, address: WandbAddress) -> str:
    """The sweep of a run, "" where it is in none."""
    runs = client.runs({"name": address.run})
    if not runs:
        raise SourceError(f"There is no run '{address.run}' in {address.entity}/{address.project}: check the address.")
    return runs[0].sweep_id


def _listed(client: Client, project: WandbAddress, field: str, value: str) -> list[Run]:
    """The runs whose field has the value; all where none is named."""
    runs = client.runs({field: value} if field else {})
    if field and not runs and not (field == "sweep" and client.has_sweep(value)):
        where = f"{project.entity}/{project.project} on {server_at(project)}"
        raise SourceError(f"There is no {field} '{value}' in {where}: check the address.")
    return runs


def _undecided(project: WandbAddress, runs: list[Run]) -> list[Run]:
    """The runs with a ratio at which elapsed and remaining differ, and no step that tells which it is."""
    keys = find_keys(Inspection(_source_at(project), "", tuple(runs)))
    ratio, step = keys[RATIO].value, keys[DETACH_STEP].value
    has_no_step = [run for run in runs if not config_number(run.config, step)]
    return [run for run in has_no_step if config_number(run.config, ratio) not in (None, 0, 0.5)]


def _signal_falls(
    http: HttpClient, project: WandbAddress, runs: list[Run], deadline: Deadline
) -> dict[str, tuple[int | None, int]]:
    """The fall of the signal in the first few of these runs; a run that fails is left out."""
    falls: dict[str, tuple[int | None, int]] = {}
    try:
        for run, signal in [(run, signal) for run in runs if (signal := signal_of(run))][:SIGNALS]:
            path = RunPath(project.entity, project.project, run.id)
            with read_history(http, MemoryBudget(), path, [signal], deadline, run.last_step) as download:
                frame = download.decode().frame
            if signal in frame.columns:
                rows = frame.select(STEP, signal).drop_nulls().sort(STEP)
                note_fall(falls, run.id, rows.iter_rows())
    except (RequestError, StopFetch):
        pass  # The page then asks what the ratio counts.
    return falls
