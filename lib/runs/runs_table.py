"""One row per run with its warnings, and the points that no curve can show."""

from collections import Counter
from collections.abc import Collection, Sequence

import polars as pl

from lib.runs.detach import Treatment, treatments
from lib.runs.model import Manifest, Run
from lib.study import Study, Task

#: A run that ends before this share of the plan is called short.
SHORT = 0.95
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
    treated = treatments(study, manifest)
    runs = {run.id: run for run in manifest.runs}
    twice = _duplicate_seeds([t for t in treated if t.run_id not in left_out])
    keys = [m.key for m in study.metrics]
    rows = []
    for t in treated:
        run, task = runs[t.run_id], study.task(t.task)
        warnings = [*t.warnings, *run_warnings(study, task, run)]
        if (t.task, t.arm, t.seed) in twice and t.run_id not in left_out:
            warnings.append(f"seed {t.seed} appears more than once in this arm")
        if t.run_id in left_out:
            warnings.insert(0, "left out")
        fixed = (t.task, t.arm, t.run_id, t.seed, t.state, t.last_step, t.detach_step, t.detach_source)
        rows.append((*fixed, *(run.rows.get(key, 0) for key in keys), "; ".join(warnings)))
    schema = {**_FIXED, **{f"rows:{key}": pl.Int64 for key in keys}, "warnings": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def run_warnings(study: Study, task: Task, run: Run) -> list[str]:
    """What is amiss with one run, a short sentence each."""
    warnings = list(run.warnings)
    if run.last_step is None:
        return [*warnings, "no history"]
    if run.state and run.state != "finished":
        warnings.append(f"state {run.state}")
    if run.last_step < SHORT * task.total_steps:
        warnings.append(f"short: ends at {run.last_step:,} of {task.total_steps:,} steps")
    missing = [m.key for m in study.metrics if not run.rows.get(m.key)]
    if missing:
        warnings.append(f"never logged {', '.join(missing)}")
    keys = study.history_keys
    warnings += [f"{drop.metric}: {drop.count:,} dropped ({drop.reason})" for drop in run.drops if drop.metric in keys]
    return warnings


def never_logged(study: Study, manifest: Manifest) -> list[str]:
    """Metrics of the study that no run logged, a sentence each."""
    silent = [m.key for m in study.metrics if not any(run.rows.get(m.key) for run in manifest.runs)]
    return [f"No run logged '{key}': check the metric's key." for key in silent]


def unusable_points(study: Study, manifest: Manifest) -> pl.DataFrame:
    """Points that no curve can show: columns run_id, metric, reason, count.

    NaN and infinities on any metric, and values that are not positive on a log metric.
    """
    logged = [m.key for m in study.metrics if m.scale == "log"]
    reason = (
        pl.when(~pl.col("value").is_finite())
        .then(pl.lit("not finite"))
        .when(pl.col("metric").is_in(logged) & (pl.col("value") <= 0))
        .then(pl.lit("not positive on a log metric"))
    )
    return (
        manifest.history()
        .lazy()
        .filter(pl.col("metric").is_in([m.key for m in study.metrics]))
        .select("run_id", "metric", reason.alias("reason"))
        .drop_nulls("reason")
        .group_by("run_id", "metric", "reason")
        .agg(pl.len().alias("count"))
        .sort("run_id", "metric", "reason")
        .collect()
    )


def config_differences(manifest: Manifest, task: str, ignore: Collection[str]) -> dict[str, list[str]]:
    """Config keys on which the runs of a task differ, with the values: beyond seed and detach they are confounders.

    Parameters
    ----------
    ignore : keys that are meant to differ.
    """
    runs = manifest.of_task(task)
    keys = sorted({key for run in runs for key in run.config} - set(ignore))
    values = {key: sorted({str(run.config.get(key, "missing")) for run in runs}) for key in keys}
    return {key: texts for key, texts in values.items() if len(texts) > 1}


def _duplicate_seeds(treated: Sequence[Treatment]) -> set[tuple[str, str, str]]:
    seen = Counter((t.task, t.arm, t.seed) for t in treated)
    return {place for place, count in seen.items() if count > 1}
