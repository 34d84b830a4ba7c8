"""The charts of the Overview."""

import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.current import Current
from lib.app.widgets import charts as charts_widgets
from lib.app.widgets.markdown import escaped
from lib.study import FAMILIES, Task

_TITLES = {"reward": "Rewards", "loss": "Losses"}


def charts(current: Current, task: Task) -> None:
    """The families of a task, one below the other over the same steps, and one click to the full chart of each."""
    families = [family for family in FAMILIES if current.visible_study.family(family)]
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="right"):
            for family in families:
                st.page_link(
                    f"pages/{_TITLES[family].lower()}.py",
                    label=f"{_TITLES[family]}: full chart",
                    icon=":material/open_in_full:",
                    help=escaped(f"{_TITLES[family]} of {task.title} alone"),
                    query_params={widget_keys.TASKS: task.title},
                )
        charts_widgets.families(current, task, *families, height=120 + 220 * len(families))
