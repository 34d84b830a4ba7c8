"""Effect cards and verdict badges."""

from typing import Any, Literal

import polars as pl
import streamlit as st

from lib.app.widgets.markdown import escaped
from lib.effects import JUMP_SHOWN, change_texts, shown_verdict
from lib.formatting import number
from lib.study import Metric, Study

Color = Literal["green", "red", "blue", "gray", "orange"]
VERDICT_COLORS: dict[str, Color] = {
    "supported": "green",
    "contradicted": "red",
    JUMP_SHOWN: "blue",
    "not shown": "gray",
    "cannot say": "orange",
}
#: The comparison behind the change on a card, by design.
_COMPARISONS = {"fork": "change vs control", "did": "change vs control", "none": "nothing to compare"}
_JUMP = "jump at the detach"
#: Colours of a change that was shown; any other is grey, whatever its sign.
_CHANGE_COLORS: dict[str, Color] = {"supported": "green", "contradicted": "red", JUMP_SHOWN: "blue"}
#: Pixels of a card's number with its change: fixed, so that nothing moves on drawing, and cards without a change align.
_CARD = 103


def effect_cards(study: Study, rows: pl.DataFrame) -> None:
    """One card per metric and arm: after the detach, the change, the verdict and its reasons."""
    has_arms = rows["arm"].n_unique() > 1
    # Five in a row on a small laptop, two on a phone: a border's padding would cost the labels their ends.
    with st.grid("auto", min_column_width=150, gap=("small", "xsmall")):
        for row in rows.iter_rows(named=True):
            metric = study.metric(row["metric"])
            label = f"{metric.name}, {row['arm']}" if has_arms else metric.name
            with st.container(gap="xsmall"):
                color = _CHANGE_COLORS.get(shown_verdict(row), "gray")
                st.metric(escaped(label), number(row["after"]), _delta(row, metric), delta_color=color, height=_CARD)
                st.caption(
                    f"{_COMPARISONS.get(row['design'], _JUMP)}  \nbefore {number(row['before'])}, n = {_counts(row)}"
                )
                verdict_badge(row, _card_help(row, metric))


def verdict_badge(row: dict[str, Any], text: str = "") -> None:
    """The verdict of a row of effects, with its reasons, or a text in their place, on hover."""
    verdict = shown_verdict(row)
    st.badge(verdict, color=VERDICT_COLORS[verdict], help=escaped(text or row["reasons"] or "") or None)


def _delta(row: dict[str, Any], metric: Metric) -> str | None:
    return None if row["change"] is None else change_texts(row, metric)[0]


def _card_help(row: dict[str, Any], metric: Metric) -> str:
    interval = "no interval" if row["ci_low"] is None else f"95% CI {' to '.join(change_texts(row, metric)[1:])}"
    return f"{row['method'] or row['design']}: {interval}. {row['reasons'] or ''}"


def _counts(row: dict[str, Any]) -> str:
    return f"{row['n_arm']}" + (f" vs {row['n_control']}" if row["n_control"] else "")
