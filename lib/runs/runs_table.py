"""One row per run with its warnings, and the points that no curve can show."""

from collections.abc import Collection, Iterable, Iterator

import polars as pl

from lib.formatting import number_order
from lib.runs.arms import Treatment, of_task
from lib.runs.duplicates import counted, replicates, treatments_with_duplicates, uncounted
from lib.runs.model import Manifest, Run
from lib.runs.schema import LARGEST
from lib.study import Study, Task, flat_config, value_text

#: A run that ends before this share of the plan is called short.
SHORT = 0.95
#: What is said of a run that is left out by hand.
LEFT_OUT = "left out by hand"
_FIXED = {
    "task": pl.String,
    "arm": pl.String,
    "run_id": pl.String,
    "seed": pl.String,
    "state": pl.String,
    "last_step": pl.Int64,
    "detach_step": pl.Int64,
    "detach_source": pl.String,
}


def runs_table(study: Study, manifest: Manifest, left_out: Collection[str] = ()) -> pl.DataFrame:
    """One row per run and task: arm, seed, state, steps, detach step and its source, rows by metric, warnings.

    Left-out runs keep their row, and say so. Columns as in `runs.csv`: task, arm, run_id, seed, state, last_step,
    detach_step, detach_source, one `rows:<metric key>` per metric, warnings (joined by `; `).
    """
    runs = {run.id: run for run in manifest.runs}
    keys = [m.key for m in study.metrics]
    rows = []
    for t, count in _counts(study, manifest, left_out):
        run, task = runs[t.run_id], study.task(t.task)
        warnings = [*([count] if count else []), *t.warnings, *run_warnings(study, task, run)]
        fixed = (t.task, t.arm, t.run_id, t.seed, t.state, t.last_step, t.detach_step, t.detach_source)
        rows.append((*fixed, *(run.rows.get(key, 0) for key in keys), "; ".join(warnings)))
    schema = {**_FIXED, **{f"rows:{key}": pl.Int64 for key in keys}, "warnings": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def run_warnings(study: Study, task: Task, run: Run) -> list[str]:
    """What is amiss with one run, a short sentence each."""
    fork = fork_text(run)
    warnings = [*([fork] if fork else []), *run.warnings]
    keys = study.history_keys
    if run.last_step is None:
        warnings.append("no history")
    else:
        if run.state and run.state != "finished":
            warnings.append(f"state {run.state}")
        if run.last_step < SHORT * task.total_steps:
            warnings.append(f"short: ends at {run.last_step:,} of {task.total_steps:,} steps")
        dropped = {drop.metric for drop in run.drops}
        missing = [m.key for m in study.metrics if not run.rows.get(m.key) and m.key not in dropped]
        if missing:
            warnings.append(f"never logged {', '.join(missing)}")
    warnings += [f"{drop.metric}: {drop.count:,} dropped ({drop.reason})" for drop in run.drops if drop.metric in keys]
    return warnings


def count_warned(table: pl.DataFrame, runs: Iterable[Run]) -> int:
    """How many rows of `runs_table` have a warning: that a run is a fork, or left out by hand, is none."""
    forks = {run.id: fork_text(run) for run in runs}
    texts = table.select("run_id", "warnings").iter_rows()
    return sum(bool({*warnings.split("; ")} - {"", LEFT_OUT, forks.get(run_id, "")}) for run_id, warnings in texts)


def fork_text(run: Run) -> str:
    """`fork of a1 at step 500`; empty for a run that is no fork of another."""
    branch = run.branch_point
    return f"fork of {branch.run_id} at step {branch.step:,}" if branch and branch.run_id != run.id else ""


def unusable_points(study: Study, manifest: Manifest) -> pl.DataFrame:
    """Points that no curve can show: columns run_id, metric, reason, count.

    NaN and infinities on any metric, and values that are not positive on a log metric; what is as good as infinite or
    nothing (`LARGEST`) counts as such.
    """
    logged = [m.key for m in study.metrics if m.scale == "log"]
    reason = (
        pl.when(~(pl.col("value").abs() <= LARGEST))
        .then(pl.lit("not finite"))
        .when(pl.col("metric").is_in(logged) & (pl.col("value") < 1 / LARGEST))
        .then(pl.lit("not positive on a log metric"))
    )
    history = manifest.history()
    points = history.lazy().filter(pl.col("metric").is_in([m.key for m in study.metrics]))
    points = points.select("run_id", "metric", reason.alias("reason")).drop_nulls("reason")
    counts = points.group_by("run_id", "metric", "reason").agg(pl.len().alias("count"))
    with history.store_errors():
        return counts.sort("run_id", "metric", "reason").collect(engine="streaming")


def config_differences(manifest: Manifest, task: str, ignore: Collection[str]) -> dict[str, list[str]]:
    """Config keys on which the runs of a task differ, with the values: beyond seed and detach they are confounders.

    Keys of nested tables are joined by dots.

    Parameters
    ----------
    ignore : keys that are meant to differ.
    """
    configs = [flat_config(run.config) for run in manifest.of_task(task)]
    keys = sorted({key for config in configs for key in config} - set(ignore))
    values = {
        key: sorted({value_text(config.get(key, "missing")) for config in configs}, key=number_order) for key in keys
    }
    return {key: texts for key, texts in values.items() if len(texts) > 1}


def _counts(study: Study, manifest: Manifest, left_out: Collection[str]) -> Iterator[tuple[Treatment, str]]:
    """Every run's treatment with what is to be said about counting it, empty where it counts like any other."""
    treatments = treatments_with_duplicates(study, manifest)
    for task in study.tasks:
        of_this_task = of_task(treatments, task.key)
        included = [t for t in of_this_task if t.run_id not in left_out]
        reasons = {run_id: f"not counted: {reason}" for run_id, reason in uncounted(included).items()}
        repeats = {t.run_id: f"seed {t.seed} appears more than once in this arm" for t in replicates(counted(included))}
        texts = dict.fromkeys(left_out, LEFT_OUT) | reasons | repeats
        yield from ((t, texts.get(t.run_id, "")) for t in of_this_task)
