"""The charts of the Overview."""

import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.current import Current
from lib.app.widgets import charts as charts_widgets
from lib.app.widgets.markdown import escaped
from lib.study import FAMILIES, Task

_TITLES = {"reward": "Rewards", "loss": "Losses"}
_STACKED, _GRID = "Stacked", "Grid"
#: Pixels of a chart in the grid.
_CELL = 300


def layout(current: Current) -> bool:
    """Whether the charts are a grid, a row per task and a column per family; kept in the address, with the grid's legend.

    No control where there is only one family.
    """
    if len(_families(current)) < 2:
        return False
    left, right = st.columns([1, 4], vertical_alignment="center")
    with left:
        chosen = st.segmented_control(
            "Charts",
            [_STACKED, _GRID],
            default=_STACKED,
            required=True,
            key=widget_keys.LAYOUT,
            bind="query-params",
            label_visibility="collapsed",
        )
    if chosen == _GRID:
        with right:
            charts_widgets.legend(current)
    return chosen == _GRID


def charts(current: Current, task: Task, grid: bool) -> None:
    """The families of a task over the same steps, below or beside each other, and one click to the full chart of each."""
    families = _families(current)
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.header(escaped(task.title), anchor=False, width="content")
            with st.container(horizontal=True, width="content"):
                for family in families:
                    st.page_link(
                        f"pages/{_TITLES[family].lower()}.py",
                        label=f"{_TITLES[family]}: full chart",
                        icon=":material/open_in_full:",
                        help=escaped(f"{_TITLES[family]} of {task.title} alone"),
                        query_params={widget_keys.TASKS: task.title},
                    )
        if grid:
            charts_widgets.cells(current, task, *families, height=_CELL)
        else:
            charts_widgets.families(current, task, *families, height=120 + 220 * len(families))


def _families(current: Current) -> list[str]:
    return [family for family in FAMILIES if current.visible_study.family(family)]
