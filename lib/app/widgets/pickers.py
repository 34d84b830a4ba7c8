"""Pickers of study, task and tasks."""

import streamlit as st

from lib.app import session
from lib.app.session import keys
from lib.study import Study, Task


def study_picker() -> str:
    """The study, kept in the URL."""
    names = session.study_names()
    session.apply_choice()
    return st.selectbox(
        "Study",
        names,
        key=keys.STUDY,
        bind="query-params",
        help="Studies in studies/, and those you opened on the Study page.",
    )


def task_picker(study: Study) -> Task:
    """The task to look at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks[0]
    chosen = st.segmented_control(
        "Task", list(titles), default=next(iter(titles)), key=keys.TASK, bind="query-params", required=True
    )
    return titles[chosen]


_ALL = "All tasks"


def focus(study: Study) -> tuple[Task, ...]:
    """The tasks to draw: all, or the one looked at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks
    # Without its label it is as high as what stands for it while it loads: nothing moves when it comes.
    chosen = st.segmented_control(
        "Tasks",
        [_ALL, *titles],
        default=_ALL,
        key=keys.FOCUS,
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    return (titles[chosen],) if chosen in titles else study.tasks


def task_choice(study: Study, key: str) -> Task:
    """The task that a form is about; no control where there is only one."""
    if len(study.tasks) == 1:
        return study.tasks[0]
    titles = {task.title: task for task in study.tasks}
    return titles[st.selectbox("Task", list(titles), key=key)]
