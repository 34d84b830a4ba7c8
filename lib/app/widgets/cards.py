"""Effect cards and verdict badges."""

from typing import Any, Literal

import polars as pl
import streamlit as st

from lib.formatting import number
from lib.study import Metric, Study

VERDICT_COLORS: dict[str, Literal["green", "red", "gray", "orange"]] = {
    "supported": "green",
    "contradicted": "red",
    "not shown": "gray",
    "cannot say": "orange",
}


#: What the change on a card is a change against, by design.
_AGAINST = {
    "fork": "change vs control",
    "did": "change vs control",
    "jump": "jump at the detach",
    "onset": "jump at the detach",
    "none": "nothing to compare",
}
#: Pixels of a card's number with its change: said, so that nothing moves when it is drawn, and cards without one align.
_CARD = 103
#: Colours of a change that was shown; any other is grey, whatever its sign.
_SHOWN: dict[str, Literal["green", "red"]] = {"supported": "green", "contradicted": "red"}


def effect_cards(study: Study, rows: pl.DataFrame) -> None:
    """One card a metric and arm: after the detach, the change, the verdict and its reasons."""
    arms = rows["arm"].n_unique()
    # Five in a row on a small laptop, two on a phone: a border's padding would cost the labels their ends.
    with st.grid("auto", min_column_width=150, gap=("small", "xsmall")):
        for row in rows.iter_rows(named=True):
            metric = study.metric(row["metric"])
            label = metric.name if arms < 2 else f"{metric.name}, {row['arm']}"
            with st.container(gap="xsmall"):
                color: Literal["green", "red", "gray"] = _SHOWN.get(row["verdict"], "gray")
                delta = _delta(row, metric)
                st.metric(label, number(row["after"]), delta, delta_color=color, height=_CARD)
                st.caption(f"{_AGAINST[row['design']]}  \nbefore {number(row['before'])}, n = {_counts(row)}")
                verdict_badge(row, _card_help(row))


def verdict_badge(row: dict[str, Any], said: str = "") -> None:
    """The verdict of a row of effects, with its reasons (or what is to be said instead of them) on hover."""
    st.badge(row["verdict"], color=VERDICT_COLORS[row["verdict"]], help=said or row["reasons"] or None)


def _delta(row: dict[str, Any], metric: Metric) -> str | None:
    if row["change"] is None:
        return None
    return f"{100 * row['change']:+.1f}%" if metric.scale == "log" else f"{row['change']:+.3g}"


def _card_help(row: dict[str, Any]) -> str:
    interval = "no interval" if row["ci_low"] is None else f"95% CI {number(row['ci_low'])} to {number(row['ci_high'])}"
    return f"{row['method'] or row['design']}: {interval}. {row['reasons'] or ''}"


def _counts(row: dict[str, Any]) -> str:
    return f"{row['n_arm']}" + (f" vs {row['n_control']}" if row["n_control"] else "")
