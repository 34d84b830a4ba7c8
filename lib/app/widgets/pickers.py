"""Pickers of study, task and tasks."""

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.study import Study, Task

_ALL = "All tasks"


def study_picker() -> str:
    """The study, kept in the URL."""
    studies.apply_choice()
    explanation = "Studies in studies/, and those you opened on the Study page."
    return st.selectbox("Study", studies.study_names(), key=widget_keys.STUDY, bind="query-params", help=explanation)


def task_picker(study: Study) -> Task:
    """The task to look at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks[0]
    first = study.tasks[0].title
    return titles[
        st.segmented_control("Task", [*titles], default=first, key=widget_keys.TASK, bind="query-params", required=True)
    ]


def focus(study: Study) -> tuple[Task, ...]:
    """The tasks to draw: all, or the one looked at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks
    chosen = st.segmented_control(
        "Tasks",
        [_ALL, *titles],
        default=_ALL,
        key=widget_keys.FOCUS,
        bind="query-params",
        required=True,
        # Without its label it is as high as its placeholder while the page loads, so that nothing moves.
        label_visibility="collapsed",
    )
    return (titles[chosen],) if chosen in titles else study.tasks


def task_choice(study: Study, key: str) -> Task:
    """The task that a form is about; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    return study.tasks[0] if len(titles) == 1 else titles[st.selectbox("Task", [*titles], key=key)]
