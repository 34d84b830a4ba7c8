"""Edit a study: common fields as a form, everything as text."""

from dataclasses import replace

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.app.widgets.markdown import escaped
from lib.app.widgets.metric_form import metric_rows
from lib.app.widgets.study import open_buttons, open_with
from lib.discover import Suggestion
from lib.study import Metric, Study, Task, task_messages, with_edits


def form(study: Study) -> None:
    """The study's title, metrics and tasks to change; it is opened as the visitor's own."""
    panel = st.expander("Edit this study", icon=":material/edit:", key=widget_keys.EDIT_FORM, on_change="rerun")
    if not panel.open:
        return
    with panel:
        # Keys carry the study, so that another one brings its own values.
        prefix = f"edit_{study.name}"
        title = st.text_input("Title", study.title, key=f"{prefix}_title").strip()
        if not title:
            st.error("Give the study a title.")
        hypothesis = st.text_input("Hypothesis", study.hypothesis, key=f"{prefix}_hypothesis").strip()
        metrics, metrics_are_valid = _metrics(study, prefix)
        tasks, tasks_are_valid = _tasks(study, prefix)
        changed = with_edits(study, title or study.title, hypothesis, metrics, tasks)
        missing = "" if title and metrics_are_valid and tasks_are_valid else "Mend what is marked above first."
        if open_buttons(changed, "Open as changed", "edit", missing):
            open_with(lambda: studies.open_study(changed))


def _metrics(study: Study, prefix: str) -> tuple[tuple[Metric, ...], bool]:
    """The metrics as changed, and whether they can be used."""
    metrics = {metric.key: metric for metric in study.metrics}
    kept = st.multiselect("Metrics", list(metrics), default=list(metrics), key=f"{prefix}_metrics")
    if not kept:
        st.error("Keep at least one metric.")
    rows = [Suggestion(replace(metrics[key], label=metrics[key].name), "", assumed=False) for key in kept]
    changed, is_valid = metric_rows(rows, {}, prefix)
    return changed, is_valid and bool(kept)


def _tasks(study: Study, prefix: str) -> tuple[list[Task], bool]:
    """The tasks as changed, and whether they can be used."""
    tasks, is_valid = list[Task](), True
    for task in study.tasks:
        with st.container(border=True):
            st.caption(escaped(f"Task {task.key}"))
            changed, messages = _task(task, [other.title for other in tasks], f"{prefix}_{task.key}")
        tasks.append(changed)
        is_valid = is_valid and not messages
    return tasks, is_valid


def _task(task: Task, other_titles: list[str], prefix: str) -> tuple[Task, dict[str, str]]:
    """The task as changed, and what is wrong with it by field."""
    left, total, right, window = st.columns(4)
    title = left.text_input("Name shown", task.title, key=f"{prefix}_name").strip()
    steps = total.number_input("Total steps", 1, None, task.total_steps, step=1000, key=f"{prefix}_total")
    detach = right.number_input(
        "Detach step",
        1,
        None,
        task.detach.step,
        step=1000,
        key=f"{prefix}_step",
        placeholder="from config" if task.detach.ratio_key else "none",
        help="Typed; what a run's config says comes first.",
    )
    smoothing = window.number_input(
        "Smoothing steps", 1, None, task.smoothing_steps, step=1000, key=f"{prefix}_smoothing", placeholder="1%"
    )
    changed = replace(
        task,
        display_name="" if title == task.key else title,
        total_steps=steps,
        smoothing_steps=smoothing,
        detach=replace(task.detach, step=detach),
    )
    messages = task_messages(changed, other_titles)
    for field, column in {"display_name": left, "detach_step": right, "smoothing_steps": window}.items():
        if field in messages:
            column.error(escaped(messages[field]))
    return changed, messages
