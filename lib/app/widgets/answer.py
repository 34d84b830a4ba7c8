"""The answer of the Overview: a line per family."""

import polars as pl
import streamlit as st

from lib.app.widgets import cards, page_frame
from lib.app.widgets.markdown import escaped
from lib.effects import DESCRIPTIVE, MIXED, PARTLY, PARTLY_NOT, summary
from lib.study import Study

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
            st.page_link("pages/new_study.py", label="Open your own runs", icon=":material/add_circle:", help="")
