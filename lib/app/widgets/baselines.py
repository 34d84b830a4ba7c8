"""Baselines on the Rewards page."""

import streamlit as st

from lib.app import session
from lib.app.session import Current
from lib.app.widgets import pickers
from lib.study import InputError, Study


def baselines(current: Current) -> None:
    """The baselines behind each task's rewards, and a way to add one that only this session sees."""
    with st.popover("Baselines", icon=":material/stacked_line_chart:", help="Published curves behind the rewards."):
        for task in current.study.tasks:
            if task.baselines:
                st.caption(f"{task.title}: {', '.join(baseline.name for baseline in task.baselines)}")
        task = pickers.task_choice(current.study, "baseline_task")
        file = st.file_uploader(
            "A CSV file of step, reward, seed", type=["csv"], key="baseline_upload", help="Kept in this session only."
        )
        if file is not None and st.button("Draw it", icon=":material/add:", key="baseline_add"):
            try:
                session.add_baseline(current.study, task, file.name, file.getvalue())
            except InputError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()
        if session.added_baselines(current.study):
            st.button("Remove what was added", icon=":material/delete:", on_click=_drop, args=(current.study,))


def _drop(study: Study) -> None:
    session.drop_baselines(study)
