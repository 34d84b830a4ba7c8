"""The runs at an address, in a folder or in a bundle, with config, keys and state, without their histories."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from lib.discover import key_names
from lib.discover.address import Inspection, WandbAddress
from lib.runs import Run
from lib.sources import (
    DEFAULT_SERVER,
    STEP,
    Client,
    Deadline,
    Failed,
    HttpClient,
    Log,
    MemoryBudget,
    Request,
    RunPath,
    SourceError,
    Stopped,
    bundled_study,
    fetch,
    log_files,
    read_history,
    read_log,
    server_of,
)
from lib.study import Source, Study, as_number

DEADLINE = 45.0
#: Of so many runs the signal is read, to tell what a ratio counts.
SIGNALS = 4


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
    if address.server and server != address.server:
        raise SourceError(
            f"This deployment reads {server} (WANDB_BASE_URL), so it cannot open a place on {address.server}."
        )
    return server


# ---- a W&B server ------------------------------------------------------------------------------------------------


def inspect_server(address: WandbAddress, key: str, deadline: float = DEADLINE) -> Inspection:
    """The runs at an address on a W&B server: of a sweep, of a run's sweep, or of the whole project.

    Parameters
    ----------
    key : the user's own key for that server.
    deadline : seconds for all of it.

    Raises
    ------
    Unreachable, SourceError
        One sentence: no answer in time, a key that is not accepted, no such project, sweep or run.
    """
    server, until = server_at(address), Deadline(deadline)
    project, sweep, notes = f"{address.entity}/{address.project}", address.sweep, tuple[str, ...]()
    http = HttpClient(server, key, SIGNALS)
    try:
        client = Client(http, address.entity, address.project, until)
        if address.run:
            sweep, notes = _sweep_of(client, address.run, project)
        runs = client.runs({"sweep": sweep} if sweep else {})
        if sweep and not runs and not client.has_sweep(sweep):
            raise SourceError(f"There is no sweep '{sweep}' in {project} on {server}: check the address.")
        falls = _signal_falls(http, address, runs, until)
    finally:
        http.close()
    lowest: dict[str, float] = {}
    for run in runs:
        _lower(lowest, run.last_values.items())
    return Inspection(
        source=_source_at(address),
        title=" ".join(part for part in (address.project, sweep) if part),
        runs=tuple(replace(run, last_values={}) for run in runs),
        lowest=lowest,
        falls=falls,
        notes=notes,
    )


def _sweep_of(client: Client, run_id: str, project: str) -> tuple[str, tuple[str, ...]]:
    runs = client.runs({"name": run_id})
    if not runs:
        raise SourceError(f"There is no run '{run_id}' in {project}: check the address.")
    if runs[0].sweep_id:
        return runs[0].sweep_id, (f"Run {run_id} is in sweep {runs[0].sweep_id}: all of its runs are shown.",)
    return "", (f"Run {run_id} is in no sweep: every run of the project is shown.",)


def _signal_falls(
    http: HttpClient, address: WandbAddress, runs: list[Run], deadline: Deadline
) -> dict[str, tuple[int | None, int]]:
    """The fall of the signal in the few runs where it tells what their ratio counts; a run that fails is left out."""
    falls: dict[str, tuple[int | None, int]] = {}
    undecided = [(run, signal) for run in runs if (signal := _signal_of(run)) and _undecided(run.config)]
    try:
        for run, signal in undecided[:SIGNALS]:
            path = RunPath(address.entity, address.project, run.id)
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


def _undecided(config: dict[str, Any]) -> bool:
    """Whether a run has a ratio at which elapsed and remaining differ, and no step that tells which it is."""
    if any(config.get(key) for key in key_names.DETACH_STEP):
        return False
    values = [as_number(config.get(key)) for key in key_names.RATIO]
    return any(value and value != 0.5 for value in values)


# ---- here --------------------------------------------------------------------------------------------------------


def inspect_folder(path: Path, deadline: float = DEADLINE) -> Inspection:
    """The runs in a folder of wandb run directories; a file that cannot be read is a note.

    Raises
    ------
    SourceError
        Where there is no such folder or no run in it.
    """
    if not path.is_dir():
        raise SourceError(f"{path} is not a folder: name one that holds wandb run directories.")
    until, notes, runs = time.monotonic() + deadline, [], []
    lowest: dict[str, float] = {}
    falls: dict[str, tuple[int | None, int]] = {}
    groups = log_files(path)
    for done, group in enumerate(groups):
        if time.monotonic() > until:
            notes.append(f"Only {done} of {len(groups)} runs were looked at within {deadline:g} s.")
            break
        try:
            log = Log()
            for file in group:
                read_log(file, log)
        except (SourceError, OSError) as error:
            notes.append(str(error))
            continue
        runs.append(log.run)
        for row in log.rows:
            _lower(lowest, row.items())
        if signal := _signal_of(log.run):
            _note_fall(falls, log.run_id, ((row[STEP], row[signal]) for row in log.rows if signal in row))
    if not runs:
        raise SourceError(
            notes[0] if notes else f"{path} holds no .wandb file: name a folder with wandb run directories."
        )
    source = Source(kind="offline", path=str(path.resolve()))
    return Inspection(source, path.resolve().name, tuple(runs), lowest, whole=True, falls=falls, notes=tuple(notes))


def inspect_bundle(path: Path) -> Inspection:
    """The runs of a bundle, with the keys whose histories it holds.

    Raises
    ------
    SourceError, StudyError
        Where the path is no bundle of ours.
    """
    study = bundled_study(path)
    manifest = fetch(study, Request())
    points = manifest.history().lazy().filter(pl.col("metric").is_not_null(), pl.col("value").is_finite())
    lowest = dict(points.group_by("metric").agg(pl.col("value").min()).collect().iter_rows())
    falls: dict[str, tuple[int | None, int]] = {}
    runs = []
    for run in manifest.runs:
        runs.append(replace(run, keys=tuple(sorted(run.rows)), tasks=()))
        if signal := _signal_of(runs[-1]):
            rows = manifest.history([run]).lazy().filter(pl.col("metric") == signal).sort("step")
            _note_fall(falls, run.id, rows.select("step", "value").collect().iter_rows())
    notes = tuple(problem.message for problem in manifest.problems)
    return Inspection(study.source, study.title, tuple(runs), lowest, whole=True, falls=falls, notes=notes)


def _lower(lowest: dict[str, float], values: Any) -> None:
    """Note the values that are lower than those seen before."""
    for key, value in values:
        number = None if isinstance(value, bool) else as_number(value)
        if number is not None and not key.startswith("_") and number < lowest.get(key, float("inf")):
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
