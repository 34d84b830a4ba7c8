"""Tables as people read them, and as HTML for the report page."""

import re
from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup, escape

from lib.effects import ALL_TASKS, OF_RANGE, change_texts, gap_name, is_gap, with_shown_verdicts
from lib.formatting import number
from lib.study import Study


def with_names(frame: pl.DataFrame, study: Study) -> pl.DataFrame:
    """A frame whose columns `task` and `metric`, where it has them, hold titles and names instead of keys."""
    titles = {task.key: task.title for task in study.tasks} | {ALL_TASKS: "across tasks"}
    metrics = {metric.key: metric.name for metric in study.metrics}
    if "metric" in frame.columns:
        metrics |= {key: gap_name(key, study) for key in frame["metric"].unique() if is_gap(key)}
    names = {"task": titles, "metric": metrics}
    return frame.with_columns(pl.col(name).replace(names[name]) for name in names if name in frame.columns)


def row_titles(study: Study) -> dict[str, str]:
    """The titles of the columns that say how many rows of each metric a run has, by their names; a key where names are alike."""
    names = [metric.name for metric in study.metrics]
    return {
        f"rows:{metric.key}": f"rows: {metric.name if names.count(metric.name) == 1 else metric.key}"
        for metric in study.metrics
    }


def runs_of_metrics(runs: pl.DataFrame, study: Study) -> pl.DataFrame:
    """The rows of runs.csv with the numbers of rows of the study's metrics alone, by their titles."""
    titles = row_titles(study)
    others = [name for name in runs.columns if name.startswith("rows:") and name not in titles]
    return runs.drop(others).rename(titles, strict=False)


def effects_table(effects: pl.DataFrame, study: Study) -> pl.DataFrame:
    """The rows of effects.csv as people read them: names instead of keys, an interval in one cell, what was compared."""
    changes = [_change(row, study) for row in effects.iter_rows(named=True)]
    pairs = pl.when(pl.col("design") == "fork").then(pl.format("{} fork pairs", "n_arm"))
    runs = pairs.when(pl.col("n_control") > 0).then(pl.format("{} against {}", "n_arm", "n_control"))
    arm = ["arm"] if effects["arm"].n_unique() > 1 else []
    return with_names(with_shown_verdicts(effects), study).select(
        "task",
        "metric",
        *arm,
        runs.otherwise(pl.col("n_arm").cast(pl.String)).alias("runs"),
        "before",
        "after",
        pl.Series("change", [change for change, _ in changes], pl.String),
        pl.Series("95% CI", [interval for _, interval in changes], pl.String),
        pl.col("p_value").alias("p"),
        pl.col("p_holm").alias("p, Holm"),
        "verdict",
        "reasons",
    )


def _change(row: Mapping[str, Any], study: Study) -> tuple[str | None, str | None]:
    """A change and its interval as the claim has them; across tasks what is no ratio is a part of the range."""
    if row["change"] is None:
        return None, None
    metric = study.metric(row["metric"])
    estimate, *ends = change_texts(row, metric)
    is_of_range = row["task"] == ALL_TASKS and metric.scale == "linear"
    return estimate + (OF_RANGE if is_of_range else ""), " to ".join(ends) or None


def html_table(frame: pl.DataFrame) -> Markup:
    """A frame as an HTML table."""
    head = Markup().join(Markup("<th>{}</th>").format(_head(name)) for name in frame.columns)
    rows = Markup().join(Markup("<tr>{}</tr>").format(Markup().join(map(_cell, row))) for row in frame.iter_rows())
    return Markup('<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        head, rows
    )


def _head(name: str) -> Markup:
    """A column's name that may break where the parts of a logged key meet."""
    return Markup("<wbr>").join(re.split(r"(?<=[:/])", name.replace("_", " ")))


def _cell(value: object) -> Markup:
    if value is None:
        return Markup("<td></td>")
    if isinstance(value, float):
        return Markup('<td class="number">{}</td>').format(number(value, 4))
    if isinstance(value, int):
        return Markup('<td class="number">{}</td>').format(f"{value:,}")
    wide = len(str(value)) > 24
    return Markup('<td class="{}">{}</td>').format("text" if wide else "", escape(str(value)))
