"""The colours and badges of verdicts, the same wherever a verdict is shown."""

from typing import Any, Literal

import streamlit as st

from lib.app.widgets.markdown import escaped
from lib.effects import JUMP_SHOWN, MIXED, PARTLY, PARTLY_NOT, shown_verdict

Color = Literal["blue", "orange", "violet", "gray"]
#: As in the charts of effects: told apart by every kind of colour vision. What was not shown has no colour.
COLORS: dict[str, Color] = {
    "supported": "blue",
    PARTLY: "blue",
    "equivalent": "blue",
    "no worse": "blue",
    "contradicted": "orange",
    PARTLY_NOT: "orange",
    "worse": "orange",
    MIXED: "orange",
    JUMP_SHOWN: "violet",
    "not shown": "gray",
    "cannot say": "gray",
}


def verdict_badge(row: dict[str, Any]) -> None:
    """The verdict of a row of effects, with its reasons on hover."""
    verdict = shown_verdict(row)
    st.badge(verdict, color=COLORS[verdict], help=escaped(row["reasons"] or "") or None)
