"""Baselines on the Rewards page."""

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.app.session.current import Current
from lib.app.widgets import pickers
from lib.study import InputError


def baselines(current: Current) -> None:
    """The baselines behind each task's rewards, and a way to add one that only this session sees."""
    with st.popover("Baselines", icon=":material/stacked_line_chart:", help="Published curves behind the rewards."):
        for task in current.study.tasks:
            if task.baselines:
                st.caption(f"{task.title}: {', '.join(baseline.name for baseline in task.baselines)}")
        task = pickers.task_choice(current.study, widget_keys.BASELINE_TASK)
        file = st.file_uploader(
            "A CSV file of step, reward, seed",
            type=["csv"],
            key=widget_keys.BASELINE_UPLOAD,
            help="Kept in this session only.",
        )
        if file is not None and st.button("Draw it", icon=":material/add:", key=widget_keys.BASELINE_ADD):
            try:
                studies.add_baseline(current.study, task, file.name, file.getvalue())
            except InputError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()
        if studies.added_baselines(current.study):
            st.button(
                "Remove what was added",
                icon=":material/delete:",
                on_click=studies.drop_baselines,
                args=(current.study,),
            )
