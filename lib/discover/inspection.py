"""The runs at an address, in a folder or in a bundle, with config, keys and state, without their histories."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from lib.discover import key_names
from lib.discover.address import WandbAddress
from lib.discover.find_keys import DETACH_STEP, RATIO, find_keys
from lib.discover.model import Inspection
from lib.discover.step_keys import named_counters
from lib.formatting import one_line, plural
from lib.runs import Run, RunPart
from lib.sources import (
    DEFAULT_SERVER,
    STEP,
    Client,
    Columns,
    Deadline,
    Expired,
    Failed,
    HttpClient,
    LocalRun,
    LocalRuns,
    MemoryBudget,
    Progress,
    Request,
    RunPath,
    SourceError,
    Stopped,
    bundled_study,
    fetch,
    json_value,
    read_history,
    server_address,
    server_of,
)
from lib.study import Source, Study, as_number, config_number, is_folder

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
    Stopped
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
        _lower(lowest, _numbers(run.last_values))
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
            taken = (
                f"in sweep {value}: all of its runs are shown"
                if value
                else "in no sweep: every run of the project is shown"
            )
            notes.append(f"Run {address.run} is {taken}.")
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
        for run, signal in [(run, signal) for run in runs if (signal := _signal_of(run))][:SIGNALS]:
            path = RunPath(project.entity, project.project, run.id)
            with read_history(http, MemoryBudget(), path, [signal], deadline, run.last_step) as download:
                frame = download.decode().frame
            if signal in frame.columns:
                rows = frame.select(STEP, signal).drop_nulls().sort(STEP)
                _note_fall(falls, run.id, rows.iter_rows())
    except (Failed, Stopped):
        pass  # The page then asks what the ratio counts.
    return falls


def _signal_of(run: Run) -> str:
    return next((key for key in run.keys if key_names.SIGNAL.search(key)), "")


# ---- here --------------------------------------------------------------------------------------------------------


def inspect_folder(
    path: Path,
    deadline: float = DEADLINE,
    progress: Report = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Inspection:
    """The runs in a folder of wandb run directories; a file that cannot be read is a note.

    Raises
    ------
    SourceError
        Where there is no such folder or no run in it, or it has too many folders to look through in time.
    Stopped
        Where it was cancelled.
    """
    if not is_folder(path):
        raise SourceError(f"{one_line(str(path))} is not a folder: name one that holds wandb run directories.")
    until, notes, runs = Deadline(deadline, cancelled), [], []
    progress(Progress(0, 0, "Looking for .wandb files"))
    lowest: dict[str, float] = {}
    falls: dict[str, tuple[int | None, int]] = {}
    parts: dict[str, tuple[RunPart, ...]] = {}
    try:
        local = LocalRuns(path, until.check)
    except Expired:
        raise SourceError(
            f"{path} was not looked through within {deadline:g} s: name the folder of the wandb run directories."
        ) from None
    notes += local.messages
    for done, local_run in enumerate(local.runs):
        progress(Progress(done, len(local.runs), local_run.files[0].parent.name))
        try:
            until.check()
        except Expired:
            notes.append(f"Only {done:,} of {plural(len(local.runs), 'run')} looked at within {deadline:g} s.")
            break
        try:
            logs = local_run.read(_Values)
            run = local_run.described([log for log, _ in logs])
            if signal := _signal_of(run):
                parts[run.id] = _signal_parts(local_run, [STEP, *named_counters(run.keys), signal])
        except (SourceError, OSError) as error:
            notes.append(str(error))
            continue
        last_values: dict[str, float] = {}
        for _, values in logs:
            last_values |= values.last
            _lower(lowest, values.lowest)
        runs.append(replace(run, last_values=last_values))
        if signal:
            steps = pl.concat([part.rows for part in parts[run.id]])
            whole = steps.drop_nulls(signal).filter(pl.col(STEP).is_finite(), pl.col(STEP) == pl.col(STEP).floor())
            _note_fall(falls, run.id, whole.select(STEP, signal).iter_rows())
    if not runs:
        raise SourceError(
            notes[0] if notes else f"{path} holds no .wandb file: name a folder with wandb run directories."
        )
    source = Source(kind="offline", path=str(path.resolve()))
    return Inspection(
        source,
        path.resolve().name,
        tuple(runs),
        lowest,
        whole=True,
        falls=falls,
        notes=tuple(notes),
        signal_parts=parts,
    )


def inspect_bundle(path: Path) -> Inspection:
    """The runs of a bundle, with the keys whose histories it holds.

    Raises
    ------
    SourceError, StudyError
        Where the path is no bundle of ours.
    """
    study = bundled_study(path)
    manifest = fetch(study, Request())
    history = manifest.history()
    points = history.lazy().filter(pl.col("metric").is_not_null(), pl.col("value").is_finite())
    with history.store_errors():
        lowest = dict(points.group_by("metric").agg(pl.col("value").min()).collect().iter_rows())
    falls: dict[str, tuple[int | None, int]] = {}
    parts: dict[str, tuple[RunPart, ...]] = {}
    runs = []
    for run in manifest.runs:
        runs.append(replace(run, keys=tuple(sorted(run.rows)), tasks=()))
        if signal := _signal_of(runs[-1]):
            steps, values = history.series(run.id, signal)
            _note_fall(falls, run.id, zip(steps, values, strict=True))
            rows = pl.DataFrame(
                {run.step_key[0]: steps, signal: values}, schema_overrides={run.step_key[0]: pl.Float64}
            )
            parts[run.id] = (RunPart(rows),)
    notes = tuple(problem.message for problem in manifest.problems)
    return Inspection(
        study.source,
        study.title,
        tuple(runs),
        lowest,
        whole=True,
        falls=falls,
        notes=notes,
        signal_parts=parts,
    )


class _Values:
    """The last and the lowest number logged under each key, W&B's own left out."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self.lowest: dict[str, float] = {}

    def add(self, row: Mapping[str, str]) -> None:
        """Take the next row of JSON texts."""
        numbers = _numbers({key: json_value(text) for key, text in row.items() if not key.startswith("_")})
        self.last |= numbers
        _lower(self.lowest, numbers)


def _signal_parts(local_run: LocalRun, keys: Sequence[str]) -> tuple[RunPart, ...]:
    """The rows of these keys, by file."""
    logs = local_run.read(lambda: Columns(keys))
    return tuple(RunPart(columns.frame()[0], log.rewound_to) for log, columns in logs)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a logged row by key, W&B's own left out."""
    values = ((key, None if isinstance(value, bool) else as_number(value)) for key, value in row.items())
    return {key: number for key, number in values if number is not None and not key.startswith("_")}


def _lower(lowest: dict[str, float], numbers: Mapping[str, float]) -> None:
    """Note the values that are lower than those seen before."""
    for key, number in numbers.items():
        if number < lowest.get(key, float("inf")):
            lowest[key] = number


def _note_fall(falls: dict[str, tuple[int | None, int]], run_id: str, rows: Iterator[Any]) -> None:
    """Note the last step at which a signal was above 0 and the first one at 0 after it, where it ends at 0."""
    above: int | None = None
    at: int | None = None
    for step, value in rows:
        number = as_number(value)
        if number is None:
            continue
        if number > 0:
            above, at = int(step), None
        elif at is None:
            at = int(step)
    if at is not None:
        falls[run_id] = (above, at)
