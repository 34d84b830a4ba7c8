"""The runs of a proposed study with their arms, as a report of it has them."""

from dataclasses import dataclass, field, replace

import polars as pl

from lib.discover.find_keys import number_of
from lib.discover.model import Inspection
from lib.formatting import listing
from lib.runs import HISTORY, History, Manifest, Run, join_parts, normalise, treatments_of
from lib.sources import tasks_of
from lib.study import UNKNOWN, Study

_COLUMNS = ("task", "arm", "seed", "run", "state", "detach step", "detach from", "last step", "warnings")


def preview(study: Study, inspection: Inspection) -> pl.DataFrame:
    """The runs of a study with their arms and detach steps: one row per run and task.

    Where only a signal says when a run was detached, it counts if its rows were seen. On a server they are not: such runs
    are unknown until they are fetched.
    """
    runs = [replace(run, tasks=tasks_of(study, run), last_step=_last_step(study, run)) for run in inspection.runs]
    listing = _Listing(study.name, {}, "", "", tuple(run for run in runs if run.tasks))
    unsigned = replace(study, tasks=tuple(replace(t, detach=replace(t.detach, signal=None)) for t in study.tasks))
    treatments = treatments_of(unsigned, listing)
    if any(t.arm == UNKNOWN for t in treatments):
        signals = {run.id: rows for run in listing.runs if (rows := _signal_rows(study, inspection, run)) is not None}
        treatments = treatments_of(study, replace(listing, signals=History(signals))) if signals else treatments
    cells = [
        (t.task, t.arm, t.seed, t.run_id, t.state, t.detach_step, t.detach_source, t.last_step, "; ".join(t.warnings))
        for t in treatments
    ]
    types = dict.fromkeys(_COLUMNS, pl.String) | {"detach step": pl.Int64, "last step": pl.Int64}
    return pl.DataFrame(cells, schema=types, orient="row")


@dataclass(frozen=True)
class _Listing(Manifest):
    """Runs that are listed, not fetched: of their histories only the rows of the signal are there."""

    signals: History = field(default_factory=lambda: History({}))

    def history(self, _: object = None) -> History:
        return self.signals


def _last_step(study: Study, run: Run) -> int | None:
    """The last step of a run by the study's step key; None where it was not seen."""
    if "_step" in study.step_key or run.step_key:
        return run.last_step
    ends = [end for key in study.step_key if (end := number_of(run.last_values.get(key))) is not None]
    return int(max(ends)) if ends else None


def _signal_rows(study: Study, inspection: Inspection, run: Run) -> pl.DataFrame | None:
    """The rows of a run's signal as its history holds them; None where none were seen."""
    parts = inspection.signal_parts.get(run.id, ())
    key = next((task.detach.signal.key for task in study.tasks if task.detach.signal), "")
    if not any(key in part.rows.columns for part in parts):
        return None
    rows, _ = join_parts(parts, [key], study.step_key)
    points, _ = normalise(rows, [key], study.step_key)
    frame = next((part.frame for part in points if part.metric == key), HISTORY.to_frame())
    return frame.with_columns(run_id=pl.lit(run.id), metric=pl.lit(key)).select(HISTORY.names())


def arms(preview: pl.DataFrame) -> pl.DataFrame:
    """The preview by task and arm: runs, their seeds, and the detach steps."""
    steps = pl.col("detach step").drop_nulls().unique().sort()
    return preview.group_by("task", "arm", maintain_order=True).agg(
        pl.len().alias("runs"),
        pl.col("seed").unique(maintain_order=True).str.join(", ").alias("seeds"),
        steps.map_batches(_steps_text, pl.String, returns_scalar=True).alias("detach step"),
    )


def _steps_text(steps: pl.Series) -> str:
    return listing(f"{step:,}" for step in steps)
