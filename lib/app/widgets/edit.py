"""Edit a study: common fields as a form, everything as text."""

from dataclasses import replace

import streamlit as st

from lib.app import session
from lib.app.session import keys
from lib.app.widgets import new_study
from lib.app.widgets.study import edit, open_with
from lib.discover import Suggestion
from lib.study import Metric, Study, Task, edited, task_complaints


def form(study: Study) -> None:
    """The study's title, metrics and tasks to change; it is opened as the visitor's own."""
    panel = st.expander("Edit this study", icon=":material/edit:", key=keys.EDIT_FORM, on_change="rerun")
    if not panel.open:
        return
    with panel:
        # Keys carry the study, so that another one brings its own values.
        prefix = f"edit_{study.name}"
        title = st.text_input("Title", study.title, key=f"{prefix}_title").strip()
        if not title:
            st.error("Give the study a title.")
        hypothesis = st.text_input("Hypothesis", study.hypothesis, key=f"{prefix}_hypothesis").strip()
        metrics, sound = _metrics(study, prefix)
        tasks, fit = _tasks(study, prefix)
        changed = edited(study, title or study.title, hypothesis, metrics, tasks)
        _buttons(study, changed, ready=bool(title) and sound and fit)


def _metrics(study: Study, prefix: str) -> tuple[tuple[Metric, ...], bool]:
    """The metrics as changed, and whether they can be used."""
    names = {metric.key: metric for metric in study.metrics}
    kept = st.multiselect("Metrics", list(names), default=list(names), key=f"{prefix}_metrics")
    if not kept:
        st.error("Keep at least one metric.")
    rows = [Suggestion(replace(names[key], label=names[key].name), "", assumed=False) for key in kept]
    metrics, sound = new_study.metric_rows(rows, {}, prefix)
    return metrics, sound and bool(kept)


def _tasks(study: Study, prefix: str) -> tuple[list[Task], bool]:
    """The tasks as changed, and whether they can be used."""
    tasks, sound = list[Task](), True
    for task in study.tasks:
        with st.container(border=True):
            st.caption(f"Task {task.key}")
            changed, complaints = _task(task, [one.title for one in tasks], f"{prefix}_{task.key}")
        tasks.append(changed)
        sound = sound and not complaints
    return tasks, sound


def _task(task: Task, others: list[str], key: str) -> tuple[Task, dict[str, str]]:
    name, total, step, window = st.columns(4)
    shown = name.text_input("Name shown", task.title, key=f"{key}_name").strip()
    steps = total.number_input("Total steps", 1, None, task.total_steps, step=1000, key=f"{key}_total")
    detach = step.number_input(
        "Detach step",
        1,
        None,
        task.detach.step,
        step=1000,
        key=f"{key}_step",
        placeholder="from config" if task.detach.ratio_key else "none",
        help="Typed; what a run's config says comes first.",
    )
    smoothing = window.number_input(
        "Smoothing steps", 1, None, task.smoothing_steps, step=1000, key=f"{key}_smoothing", placeholder="1%"
    )
    changed = replace(
        task,
        display_name="" if shown == task.key else shown,
        total_steps=int(steps),
        smoothing_steps=int(smoothing) if smoothing else None,
        detach=replace(task.detach, step=int(detach) if detach else None),
    )
    complaints = task_complaints(changed, others)
    for field, place in {"display_name": name, "detach_step": step, "smoothing_steps": window}.items():
        if field in complaints:
            place.error(complaints[field])
    return changed, complaints


def _buttons(study: Study, changed: Study, ready: bool) -> None:
    with st.container(horizontal=True):
        opened = st.button(
            "Open as changed",
            key=keys.EDIT_OPEN,
            type="primary",
            icon=":material/check:",
            disabled=not ready,
            help=None if ready else "Mend what is marked above first.",
        )
        st.button(
            "Edit as text",
            key=keys.EDIT_TEXT,
            icon=":material/code:",
            on_click=edit,
            args=(changed,),
            help="Puts the study file into the editor below.",
        )
    if opened:
        open_with(lambda: session.open_study(changed))
