"""Baselines on the Rewards page."""

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.app.session.current import Current
from lib.app.widgets import pickers
from lib.app.widgets.markdown import escaped
from lib.study import InputError


def baselines(current: Current) -> None:
    """The baselines behind a task's rewards with what their steps count, and a way to add one, which stays with the study."""
    with st.popover("Baselines", icon=":material/stacked_line_chart:", help="Published curves behind the rewards."):
        task = pickers.task_choice(current.study, widget_keys.BASELINE_TASK)
        file = st.file_uploader(
            "A CSV file of step, reward, seed",
            type=["csv"],
            key=widget_keys.BASELINE_UPLOAD,
            help="Kept with the study.",
        )
        for baseline in task.baselines:
            # Its value is part of the key, so that removing what was added shows the study's own again.
            key = f"{widget_keys.BASELINE_SCALE}_{task.key}_{baseline.name}_{baseline.step_scale}"
            st.number_input(
                f"{escaped(baseline.name)}: environment steps per step of the file",
                0.001,
                None,
                float(baseline.step_scale),
                step=0.5,
                format="%g",
                key=key,
                help="0.5 where the file counts frames, with an action repeat of 2.",
                on_change=studies.scale_baseline,
                args=(current.study, task, baseline, key),
            )
        if file is not None and st.button("Draw it", icon=":material/add:", key=widget_keys.BASELINE_ADD):
            try:
                studies.add_baseline(current.study, task, file.name, file.getvalue())
            except InputError as error:
                st.error(escaped(str(error)), icon=":material/error:")
            else:
                st.rerun()
        if studies.added_baselines(current.study):
            st.button(
                "Remove what was added",
                icon=":material/delete:",
                on_click=studies.drop_baselines,
                args=(current.study,),
            )
