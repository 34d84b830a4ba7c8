"""The charts of the Overview."""

from collections.abc import Sequence

import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.current import Current
from lib.app.widgets import charts as charts_widgets
from lib.app.widgets.markdown import escaped
from lib.app.widgets.place import HEAD
from lib.app.widgets.view_settings import GRID
from lib.effects import TITLES
from lib.study import FAMILIES, Task

#: Pixels of a chart in the grid.
_CELL = 300


def charts(current: Current) -> None:
    """The families of every task over the same steps, below or beside each other, and one click to the full chart of each.

    Beside each other they are a grid, a row per task, with one legend.
    """
    families = [family for family in FAMILIES if current.visible_study.family(family)]
    is_grid = len(families) > 1 and st.session_state[widget_keys.LAYOUT] == GRID
    for task in current.visible_study.tasks:
        with st.container(gap="xxsmall"):
            # Beside the name: at the right the chart's own buttons would cover the links.
            with st.container(key=f"{HEAD}{task.stem}", horizontal=True, vertical_alignment="bottom"):
                st.header(escaped(task.title), anchor=False, width="content")
                with st.container(horizontal=True, width="content", vertical_alignment="center"):
                    _links(task, families)
            if is_grid and task == current.visible_study.tasks[0]:
                charts_widgets.legend(current)
            if is_grid:
                charts_widgets.cells(current, task, *families, height=_CELL)
            else:
                charts_widgets.families(current, task, *families, height=160 + 220 * len(families))


def _links(task: Task, families: Sequence[str]) -> None:
    for family in families:
        st.page_link(
            f"pages/{TITLES[family].lower()}.py",
            label=f"{TITLES[family]}: full chart",
            icon=":material/open_in_full:",
            help=escaped(f"{TITLES[family]} of {task.title} alone"),
            query_params={widget_keys.TASKS: task.title},
            # Its place is kept free until its part of the page is loaded, which comes late.
            width=150,
        )
