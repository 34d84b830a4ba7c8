"""The runs in a folder or in a bundle, with config, keys and state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from lib.discover.logged_values import note_fall, note_lowest, numbers_of, signal_of
from lib.discover.model import Inspection
from lib.discover.server_runs import DEADLINE, Report
from lib.discover.step_keys import named_counters
from lib.formatting import one_line, plural
from lib.runs import Run, RunPart
from lib.sources import (
    STEP,
    Columns,
    Deadline,
    DeadlineError,
    LocalRun,
    LocalRuns,
    Progress,
    Request,
    SourceError,
    bundled_study,
    fetch,
    json_value,
)
from lib.study import Source, is_folder


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
    StopFetch
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
    except DeadlineError:
        raise SourceError(
            f"{path} was not looked through within {deadline:g} s: name the folder of the wandb run directories."
        ) from None
    notes += local.messages
    for count, local_run in enumerate(local.runs):
        progress(Progress(count, len(local.runs), local_run.files[0].parent.name))
        try:
            until.check()
        except DeadlineError:
            notes.append(f"Only {count:,} of {plural(len(local.runs), 'run')} looked at within {deadline:g} s.")
            break
        try:
            run, values, of_signal = _read(local_run)
        except (SourceError, OSError) as error:
            notes.append(str(error))
            continue
        runs.append(replace(run, last_values=values.last))
        note_lowest(lowest, values.lowest)
        if of_signal:
            parts[run.id] = of_signal
            note_fall(falls, run.id, _whole_steps(of_signal, signal_of(run)))
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
        if signal := signal_of(runs[-1]):
            steps, values = history.series(run.id, signal)
            note_fall(falls, run.id, zip(steps, values, strict=True))
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
        numbers = numbers_of({key: json_value(text) for key, text in row.items() if not key.startswith("_")})
        self.last |= numbers
        note_lowest(self.lowest, numbers)


def _read(local_run: LocalRun) -> tuple[Run, _Values, tuple[RunPart, ...]]:
    """A run, the values that all its files logged, and the rows of its signal by file; none where it logged none."""
    logs = local_run.read(_Values)
    run = local_run.described([log for log, _ in logs])
    of_run = _Values()
    for _, values in logs:
        of_run.last |= values.last
        note_lowest(of_run.lowest, values.lowest)
    signal = signal_of(run)
    return run, of_run, _signal_parts(local_run, [STEP, *named_counters(run.keys), signal]) if signal else ()


def _whole_steps(parts: Sequence[RunPart], signal: str) -> Iterator[Any]:
    """The steps and values of a signal, at whole steps."""
    rows = pl.concat([part.rows for part in parts]).drop_nulls(signal)
    whole = rows.filter(pl.col(STEP).is_finite(), pl.col(STEP) == pl.col(STEP).floor())
    return whole.select(STEP, signal).iter_rows()


def _signal_parts(local_run: LocalRun, keys: Sequence[str]) -> tuple[RunPart, ...]:
    """The rows of these keys, by file."""
    logs = local_run.read(lambda: Columns(keys))
    return tuple(RunPart(columns.frame()[0], log.rewound_to) for log, columns in logs)
