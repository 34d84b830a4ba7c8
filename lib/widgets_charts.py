"""Charts and effect cards as the pages show them."""

import json
import re
from typing import Any, Literal

import polars as pl
import streamlit as st

from lib import session
from lib.charts_parts import QUIET_ON, text_styles
from lib.charts_wire import Wired
from lib.session import Current
from lib.study import Metric, Study, Task


def families(current: Current, task: Task, *names: str, height: int) -> None:
    """The chart of a task's families, and a sentence for each of which nothing was logged.

    A zoom is that of all families of the task: they are one chart. A brush sets the range of x of every chart. Sent to
    the server as it happens, a zoom would draw every chart of the page anew at each notch of the wheel, under the pointer.
    """
    if "reward" in names and (complaint := session.baselines(current, task.key)[1]):
        st.warning(complaint, icon=":material/warning:")
    chart, missing = session.task_chart(current, task.key, names, height, brush=True)
    if chart:
        # A new range is a new chart: the brush that chose it is gone.
        send(chart, f"chart_{task.key}_{'_'.join(names)}_{current.view.span}", brush=True)
    for name in missing:
        st.caption(f"No run of {task.title} logged a {name} metric of this study.")


def axis_notes(current: Current) -> None:
    """What the view's x axis cannot show."""
    if sentences := session.axis_notes(current):
        st.info("  \n".join(sentences), icon=":material/schedule:")


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


def number(value: float | None) -> str:
    """A value in three significant digits (six before the point), a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
    return re.sub(r"e([+-])0?", r"e\1", text).replace("e+", "e")


def send(chart: Wired, key: str, brush: bool = False) -> None:
    """Send a chart to the browser; a drag with Shift held sets the view's range of x where it can be brushed."""
    spec = json.loads(chart.spec)
    spec["datasets"] = dict(chart.datasets)
    own = spec.get("config", {})
    spec["config"] = {part: ink | own.get(part, {}) for part, ink in _inks().items()}
    # Said before it is drawn, so that nothing moves when it is.
    height: int | Literal["content"] = spec["height"] if isinstance(spec.get("height"), int) else "content"
    if not brush:
        st.vega_lite_chart(spec, key=key, width="stretch", height=height, alt=chart.takeaway)
        return
    st.vega_lite_chart(
        spec,
        key=key,
        width="stretch",
        height=height,
        alt=chart.takeaway,
        selection_mode="range",
        on_select=lambda: _brushed(key),
    )


def _inks() -> dict[str, Any]:
    """Colours of a chart's texts that can be read on the page's ground; Streamlit's own are too pale in its light theme."""
    ground = st.context.theme.type or "light"
    label = {"labelColor": QUIET_ON[ground], "titleColor": QUIET_ON[ground]}
    return {"axis": label, "legend": label, "style": text_styles(ground)}


def _brushed(key: str) -> None:
    """Make the brushed range the view's, which every chart and export shares."""
    picked = st.session_state[key].selection.get("range", {}).get("step")
    if picked:
        low, high = sorted(picked)
        st.session_state["from"], st.session_state["to"] = float(f"{low:.4g}"), float(f"{high:.4g}")
