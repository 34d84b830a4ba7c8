"""Parts of the Detach effect page."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.app.session import cached_effects, cached_results, widget_keys
from lib.app.session.current import Current
from lib.app.session.downloads import event_view
from lib.app.widgets import charts
from lib.app.widgets.markdown import escaped
from lib.app.widgets.place import FIELD, place
from lib.app.widgets.tables import numbers
from lib.app.widgets.verdicts import COLORS
from lib.charts import quadrant_reward
from lib.curves import Axis
from lib.effects import (
    ALL_TASKS,
    Check,
    TaskAnalysis,
    claim,
    encoder_table,
    shared_reasons,
    shown_verdict,
    visible_effects,
    with_shown_verdicts,
)
from lib.effects import checklist as conditions
from lib.formatting import listing, plural
from lib.report import JUMP, PAIRS, PRETENDED, SEEDS, Figure, with_names
from lib.runs import arms_of
from lib.study import Evidence, Metric, Study, Task

#: Claims of a task that are said without a click, and claims that one chart draws.
_SENTENCES, _CLAIMS = 10, 40
_SINCE: dict[str, Axis] = {"steps": "since", "% of training": "since_percent"}


def claims(current: Current, effects: pl.DataFrame) -> None:
    """The sentence of every claim, with a tab per task: that of the task to look at is open, else the first."""
    study = current.study
    # Across tasks first, as on the Overview.
    tasks = sorted(effects["task"].unique(maintain_order=True), key=lambda task: task != ALL_TASKS)
    titles = ["Across tasks" if task == ALL_TASKS else study.task(task).title for task in tasks]
    # Before the task's picker is drawn for the first time, its value is in the address alone.
    chosen = st.session_state.get(widget_keys.TASK, st.query_params.get(widget_keys.TASK))
    with st.container():
        if shared := shared_reasons(effects.to_dicts()):
            st.caption(escaped(f"Of every claim: {'; '.join(shared)}."))
    tabs = st.tabs([*map(escaped, titles)], default=escaped(chosen) if chosen in titles else None)
    # The metric that is looked at comes first: a link to its claim lands where that is in view.
    looked_at = st.session_state.get(widget_keys.EFFECT_METRIC, st.query_params.get(widget_keys.EFFECT_METRIC))
    for tab, task in zip(tabs, tasks, strict=True):
        rows = effects.filter(pl.col("task") == task).to_dicts()
        rows.sort(key=lambda row: study.metric(row["metric"]).name != looked_at)
        _sentences(tab, rows[:_SENTENCES], current, shared)
        if more := rows[_SENTENCES:]:
            _sentences(tab.expander(plural(len(more), "more claim")), more, current, shared)


def _sentences(
    container: DeltaGenerator, rows: Sequence[Mapping[str, Any]], current: Current, shared: Sequence[str]
) -> None:
    for row in rows:
        verdict = shown_verdict(row)
        container.markdown(
            f":{COLORS[verdict]}-badge[{verdict}] {escaped(claim(row, current.study, current.treatments, shared))}"
        )


def forest(current: Current, evidence: Evidence | None, metric: Metric) -> None:
    """Every claim of the study on one axis; where they are too many for one, those of the metric that is looked at."""
    is_whole = cached_results.effects(current, evidence).height <= _CLAIMS
    if figure := cached_effects.claims_figure(current, evidence, "" if is_whole else metric.key):
        _draw(figure)


def _draw(figure: Figure) -> None:
    charts.render_chart(figure.page_chart, figure.name)
    st.caption(escaped(figure.caption))


def quadrant(current: Current, evidence: Evidence | None) -> None:
    """The hypothesis in one picture: the change of a reward against that of a loss, a point per seed and task.

    The study that is shown has metrics of both families.
    """
    study = current.visible_study
    rewards, losses = study.family("reward"), study.family("loss")
    st.subheader("Reward against loss", anchor=False)
    with st.container(horizontal=True):
        reward = metric_picker(rewards, "Reward", widget_keys.QUADRANT_REWARD, first=quadrant_reward(rewards))
        loss = metric_picker(losses, "Loss", widget_keys.QUADRANT_LOSS, first=losses[0])
    figure = cached_effects.quadrant_figure(current, evidence, reward.key, loss.key)
    if figure is None:
        st.caption("No run has a change in percent of both metrics.")
    else:
        _draw(figure)


def metric_picker(metrics: tuple[Metric, ...], label: str, key: str, first: Metric) -> Metric:
    """One of these metrics, kept in the URL."""
    names = [metric.name for metric in metrics]
    name = place(key, FIELD).selectbox(label, names, index=names.index(first.name), key=key, bind="query-params")
    return metrics[names.index(name)]


def evidence_of_task(current: Current, task: Task, evidence: Evidence | None) -> Metric:
    """What stands behind one task's effects: the checklist, every seed, pair differences, local fits, placebo.

    Returns
    -------
    The metric that is looked at.
    """
    task_analysis = cached_results.analysis(current, evidence).task(task.key)
    checklist(task_analysis)
    encoder(task_analysis, current.visible_study)
    st.subheader(SEEDS, anchor=False)
    metrics = current.visible_study.metrics
    metric = metric_picker(metrics, "Metric", widget_keys.EFFECT_METRIC, first=metrics[0])
    _evidence_of_metric(current, task_analysis, metric, evidence)
    return metric


def _evidence_of_metric(
    current: Current, task_analysis: TaskAnalysis, metric: Metric, evidence: Evidence | None
) -> None:
    task = task_analysis.task
    runs = task_analysis.per_run.filter(pl.col("metric") == metric.key)
    if runs.is_empty():
        st.caption(escaped(f"No run of {task.title} counts for {metric.name}: the checklist says why."))
        return
    figures = cached_effects.metric_figures(current, task.key, metric.key, evidence)
    halves = st.grid(2, min_column_width=520)  # below, the table shows half of its columns
    with halves.cell():
        _draw(figures[SEEDS])
    with halves.cell():
        numbers(_run_columns(task_analysis, runs), f"Every run's {metric.name} before and after the detach")
    if PAIRS in figures:
        st.subheader(PAIRS, anchor=False)
        _draw(figures[PAIRS])
    if JUMP not in figures:
        st.caption(escaped(f"No local fit of {metric.name}: fewer than five points on a side of the detach."))
        return
    halves = st.grid(2, min_column_width=320)
    with halves.cell():
        st.subheader(JUMP, anchor=False)
        _draw(figures[JUMP])
    with halves.cell():
        st.subheader(PRETENDED, anchor=False)
        for figure in figures.values():
            if figure.name.startswith(PRETENDED):
                _draw(figure)


def _run_columns(task: TaskAnalysis, runs: pl.DataFrame) -> pl.DataFrame:
    """What is shown of every run; without a control arm what its claim rests on is called a jump."""
    columns = ["seed", "arm", "before", "after", "change", "effect", "effect_pct", "detach_step", "pair"]
    table = runs.select(*columns, "run_id", "rows_before", "rows_after")
    is_jump = {c.design for c in task.comparisons} <= {"jump", "none"}
    return table.rename({"effect": "jump", "effect_pct": "jump_pct"}) if is_jump else table


def _mark(check: Check) -> str:
    if check.passed:
        return ":green[:material/check_circle:]"
    return ":red[:material/cancel:]" if check.needed else ":orange[:material/warning:]"


def checklist(task: TaskAnalysis) -> None:
    """Can I claim this? Every condition with pass or fail and what would mend it."""
    st.subheader("Can I claim this?", anchor=False)
    lines = [
        f"{_mark(check)} **{check.name}**: {escaped(check.text)}"
        + (f" *{escaped(check.remedy)}*" if check.remedy else "")
        for check in conditions(task)
    ]
    st.markdown("  \n".join(lines))
    st.page_link("pages/plan.py", label="How many more seeds would show it?", icon=":material/event_upcoming:", help="")


def encoder(task: TaskAnalysis, visible: Study) -> None:
    """Whether the encoder overfits once it is frozen, and what freezing it saved: a line for each."""
    rows = visible_effects(encoder_table([task]), visible)
    st.subheader("What the encoder did", anchor=False)
    st.caption("Does the frozen encoder overfit, and what did freezing it save? Described, without verdicts.")
    has_arms = rows["arm"].n_unique() > 1
    lines = [
        f"**{escaped(row['name'])}**{escaped(' (' + row['arm'] + ')') if has_arms else ''}: {escaped(row['text'])}."
        + (f" :small[:gray[{escaped(row['note'])}]]" if row["note"] else "")
        for row in rows.iter_rows(named=True)
    ]
    st.markdown("  \n".join(lines))


def event_time(current: Current) -> None:
    """Every task on one axis that counts from the detach."""
    study = current.visible_study
    st.subheader("Event time", anchor=False)
    with st.container(horizontal=True):
        metric = metric_picker(study.metrics, "Metric", widget_keys.EVENT_METRIC, first=study.metrics[0])
        unit = st.segmented_control(
            "Since the detach in", list(_SINCE), default="% of training", required=True, key=widget_keys.EVENT_UNIT
        )
    figure = cached_effects.event_figure(current.with_view(event_view(current.view, _SINCE[unit])), metric.key)
    if figure is None:
        arms = current.view.arms or arms_of(current.treatments)
        st.caption(escaped(f"No run of {listing(arms, 'or')} has a curve of {metric.name} around a detach."))
    else:
        _draw(figure)


def effect_table(study: Study, effects: pl.DataFrame) -> None:
    """The claims as a table, four significant digits; the export has them all."""
    numbers(
        with_names(with_shown_verdicts(effects), study), "The change of every metric, task and arm, with its verdict"
    )
