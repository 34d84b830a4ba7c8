"""The view settings in the sidebar."""

import streamlit as st

from lib.app import session
from lib.app.session import Brought
from lib.curves import View
from lib.runs import arms_of
from lib.study import Study

_AGGREGATES = {"mean": "mean", "IQM": "iqm", "median": "median"}
_SPREADS = {"std": "std", "std error": "se", "95% interval": "ci", "min-max": "minmax"}
_AXES = {
    "steps": "steps",
    "% of training": "percent",
    "steps since detach": "since",
    "% since detach": "since_percent",
    "wall time": "wall",
}
_RANGE_HELP = (
    "The range of x of every chart and export. Hold Shift and drag over a chart to set it. Dragging, and the wheel with Ctrl "
    "or Cmd, move and zoom one chart, on the Overview the rewards and losses of a task together; a double click undoes that."
)
#: No colouring; config keys are no such words.
_NOTHING = "nothing"


def view_settings(study: Study, found: Brought | None) -> View:
    """The settings that every view and export shares, kept in the URL."""
    with st.expander("View", icon=":material/tune:", expanded=True):
        aggregate = st.selectbox("Aggregate over seeds", list(_AGGREGATES), key="aggregate", bind="query-params")
        spreads = list(_SPREADS) if aggregate == "mean" else ["std", "min-max"]
        spread = st.selectbox("Band", spreads, key="spread", bind="query-params")
        axis = st.selectbox("X axis", list(_AXES), key="x", bind="query-params", on_change=_draw_all)
        smooth = st.toggle("Smooth train rewards", value=True, key="smooth", bind="query-params")
        window = st.number_input(
            "Smoothing window (steps)",
            min_value=1,
            value=None,
            step=1000,
            placeholder="each task's own",
            key="window",
            bind="query-params",
            disabled=not smooth,
        )
        raw = st.toggle(
            "Raw points behind smoothed",
            key="raw",
            bind="query-params",
            disabled=not smooth,
            help="Each run before smoothing, one value a bin: means of what was logged there.",
        )
        seeds = st.toggle("Draw every seed", key="seeds", bind="query-params")
        color_by = _color_by(study, found)
        exact = st.toggle(
            "Notebook arithmetic",
            key="exact",
            bind="query-params",
            help="Exact-step grouping and point-wise smoothing, to check a figure of the original notebook.",
        )
        if exact and _AXES[axis] == "wall":
            st.caption(":orange[Notebook arithmetic has no wall time: drawn over steps.]")
            axis = "steps"
            # A range in hours is none of steps.
            span = None
        else:
            span = _span()
        log_reward = st.toggle("Log axis for rewards", key="log_reward", bind="query-params")
        log_loss = st.toggle("Log axis for losses", value=True, key="log_loss", bind="query-params")
        arms, left_out = _arms_and_runs(study, found)
    return View(
        aggregate=_AGGREGATES[aggregate],  # type: ignore[arg-type]
        spread=_SPREADS[spread],  # type: ignore[arg-type]
        smooth=smooth,
        window=int(window) if window else None,
        grid="exact" if exact else "aligned",
        arms=arms,
        left_out=left_out,
        seeds=seeds,
        x=_AXES[axis],  # type: ignore[arg-type]
        span=span,
        log_reward=log_reward,
        log_loss=None if log_loss else False,
        color_by=color_by,
        raw=raw,
    )


def _color_by(study: Study, found: Brought | None) -> str:
    """What every run is drawn in the colour of; empty: the runs are not drawn so."""
    if found is None:
        return ""
    keys = session.keys_to_color_by(study, found.stamp, found.manifest)
    chosen = st.selectbox(
        "Colour every run by",
        [_NOTHING, *keys],
        key="color",
        bind="query-params",
        help="Draws each run's own line in the colour of its seed, its arm or a config key on which runs differ.",
    )
    return "" if chosen == _NOTHING else chosen


def _span() -> tuple[float, float] | None:
    """The range of x to draw, typed here or brushed on a chart."""
    left, right = st.columns(2)
    low = left.number_input(
        "From", value=None, key="from", bind="query-params", placeholder="start", format="%g", help=_RANGE_HELP
    )
    high = right.number_input("To", value=None, key="to", bind="query-params", placeholder="end", format="%g")
    if low is None or high is None:
        return None
    if low >= high:
        st.markdown(":orange[From must be below To: all is drawn.]")
        return None
    st.button("Draw all again", icon=":material/zoom_out_map:", on_click=_draw_all)
    return low, high


def _draw_all() -> None:
    st.session_state["from"] = st.session_state["to"] = None


def _arms_and_runs(study: Study, found: Brought | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if found is None:
        return (), ()
    treated = session.treated_runs(study, found.stamp, found.manifest)
    arms = st.multiselect("Arms", arms_of(treated), key="arms", bind="query-params", placeholder="all arms")
    out = st.multiselect(
        "Runs left out",
        sorted({t.run_id for t in treated}),
        key="out",
        bind="query-params",
        placeholder="none",
        help="Left out of every chart, table and export. The Runs page tells them apart.",
    )
    return tuple(arms), tuple(sorted(out))
