"""The answer of the Overview: what gains and costs say together, and a line per family."""

import streamlit as st

from lib.app.session import cached_results
from lib.app.session.current import Current
from lib.app.widgets import page_frame
from lib.app.widgets.markdown import escaped
from lib.app.widgets.verdicts import COLORS
from lib.effects import cost_and_gain, headline, summary


def answer(current: Current) -> None:
    """Did the detach help, and what did it cost? A sentence where a study asks both, and a line per family."""
    effects = cached_results.effects(current, current.evidence)
    families = summary(effects, current.visible_study)
    if not families:
        page_frame.nothing_detached()
        return
    sentence = headline(effects, current.visible_study)
    lines = [f"**{escaped(sentence)}**"] if sentence else []
    for family in families:
        badge = f":{COLORS[family.verdict]}-badge[{family.verdict}]"
        lines.append(f"**{family.title}** {badge} {escaped(family.text)}")
    analysis = cached_results.analysis(current, current.evidence)
    lines.append(f"**Gain and cost** {escaped(cost_and_gain(analysis, effects, current.visible_study))}")
    st.markdown("  \n".join(lines))
