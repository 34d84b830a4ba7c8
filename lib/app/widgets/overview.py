"""Parts of the Overview page."""

import polars as pl
import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.current import Current
from lib.app.widgets import cards, page_frame
from lib.app.widgets import charts as charts_widgets
from lib.app.widgets.markdown import escaped
from lib.effects import DESCRIPTIVE, MIXED, PARTLY, PARTLY_NOT, summary
from lib.study import FAMILIES, Study, Task

_COLORS: dict[str, cards.Color] = {
    **cards.VERDICT_COLORS,
    PARTLY: "green",
    PARTLY_NOT: "red",
    MIXED: "orange",
    DESCRIPTIVE: "gray",
}
_TITLES = {"reward": "Rewards", "loss": "Losses"}


def answer(study: Study, effects: pl.DataFrame) -> None:
    """Did the detach help? A line per family, and the way to the claims or to runs of one's own."""
    families = summary(effects, study)
    if not families:
        page_frame.nothing_detached()
        return
    with st.container(border=True, gap="small"):
        for family in families:
            badge = f":{_COLORS[family.verdict]}-badge[{family.verdict}]"
            st.markdown(f"**{_TITLES[family.family]}** {badge} {escaped(family.text)}")
        with st.container(horizontal=True):
            st.page_link("pages/detach_effect.py", label="Every claim, with its evidence", help="")
            st.page_link("pages/study.py", label="Open your own runs", icon=":material/add_circle:", help="")


def charts(current: Current, task: Task) -> None:
    """The families of a task, one below the other over the same steps, and one click to the full chart of each."""
    families = [family for family in FAMILIES if current.study.family(family)]
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="right"):
            for family in families:
                st.page_link(
                    f"pages/{_TITLES[family].lower()}.py",
                    label=f"{_TITLES[family]}: full chart",
                    icon=":material/open_in_full:",
                    help=escaped(f"{_TITLES[family]} of {task.title} alone"),
                    query_params={widget_keys.FOCUS: task.title},
                )
        charts_widgets.families(current, task, *families, height=120 + 220 * len(families))
