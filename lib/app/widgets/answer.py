"""The answer of the Overview: a line per family."""

import streamlit as st

from lib.app.session import cached_results
from lib.app.session.current import Current
from lib.app.widgets import page_frame
from lib.app.widgets.markdown import escaped
from lib.app.widgets.verdicts import COLORS
from lib.effects import summary


def answer(current: Current) -> None:
    """Did the detach help? A line per family."""
    families = summary(cached_results.effects(current, current.evidence), current.visible_study)
    if not families:
        page_frame.nothing_detached()
        return
    with st.container(gap="xsmall"):
        for family in families:
            badge = f":{COLORS[family.verdict]}-badge[{family.verdict}]"
            st.markdown(f"**{family.title}** {badge} {escaped(family.text)}")
