"""Pickers of study, task, and the tasks and metrics to show."""

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.app.session import studies, widget_keys
from lib.app.widgets import study_menu
from lib.app.widgets.markdown import escaped
from lib.app.widgets.place import BUTTONS, FIELD, place
from lib.formatting import listing
from lib.study import Study, Task, keys_of

#: Tasks that have a button each; more would run out of the page.
_SIDE_BY_SIDE = 4


def study_picker() -> str:
    """The study, kept in the URL; a name that is nobody's stays, so that the page can say so."""
    studies.apply_choice()
    names = studies.study_names()
    for name in (st.session_state.get(widget_keys.STUDY), st.query_params.get(widget_keys.STUDY)):
        if name and name not in names:
            names.append(name)
    with st.container(gap="xsmall"):
        help = "Studies in studies/, then those that you opened."
        chosen = place("study", FIELD).selectbox(
            "Study", names, key=widget_keys.STUDY, bind="query-params", help=help, on_change=studies.enter
        )
        study_menu.study_menu(chosen)
    return chosen


def task_picker(study: Study) -> Task:
    """The task to look at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks[0]
    first = study.tasks[0].title
    if len(titles) > _SIDE_BY_SIDE:
        return titles[place("task", FIELD).selectbox("Task", [*titles], key=widget_keys.TASK, bind="query-params")]
    return titles[
        place("task", BUTTONS).segmented_control(
            "Task", [*titles], default=first, key=widget_keys.TASK, bind="query-params", required=True
        )
    ]


def part(container: DeltaGenerator, label: str, names: Mapping[str, str], key: str) -> tuple[str, ...]:
    """The keys of the tasks or metrics to show, by name or by pattern, kept in the URL; none where all are shown.

    No control where there is only one.
    """
    if len(names) < 2:
        return ()
    kind = label.lower()
    entries = container.multiselect(
        label,
        list(names.values()),
        key=key,
        bind="query-params",
        accept_new_options=True,
        placeholder=f"all {kind}",
        help=f"Choose, or type a pattern of names and keys and press Enter: `val*`. Hidden {kind} are analysed all the same.",
    )
    keys, unmatched = keys_of(entries, names)
    if unmatched:
        container.caption(f":orange[No {kind[:-1]} is named {escaped(listing(unmatched, 'or'))}.]")
    return keys


def task_choice(study: Study, key: str) -> Task:
    """The task that a form is about; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    return study.tasks[0] if len(titles) == 1 else titles[st.selectbox("Task", [*titles], key=key)]
