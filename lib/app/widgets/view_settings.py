"""The view settings in the sidebar."""

import streamlit as st

from lib.app.session import cached_results, widget_keys
from lib.app.session.current import Current
from lib.app.session.state import session_state
from lib.curves import View
from lib.runs import arms_of

_AGGREGATES = {"mean": "mean", "IQM": "iqm", "median": "median"}
_SPREADS = {"std": "std", "std error": "se", "95% interval": "ci", "min-max": "minmax"}
_AXES = {
    "steps": "steps",
    "% of training": "percent",
    "steps since detach": "since",
    "% since detach": "since_percent",
    "wall time": "wall",
}
_EXACT_HELP = "Exact-step grouping and point-wise smoothing, to check a figure of the original notebook."
_RAW_HELP = "Each run before smoothing, one value per bin: means of what was logged there."
_COLOR_HELP = "Draws each run's own line in the colour of its seed, its arm or a config key on which runs differ."
_OUT_HELP = "Left out of every chart, table and export. The Runs page tells them apart."
_RANGE_HELP = (
    "The range of x of every chart and export. Hold Shift and drag over a chart to set it. Dragging, and the wheel with Ctrl "
    "or Cmd, move and zoom one chart, on the Overview the rewards and losses of a task together; a double click undoes that."
)
#: No colouring; config keys are no such words.
_NOTHING = "nothing"


def view_settings(current: Current | None) -> View:
    """The settings that every view and export shares, kept in the URL."""
    with st.expander("View", icon=":material/tune:", expanded=True):
        aggregate = st.selectbox(
            "Aggregate over seeds", list(_AGGREGATES), key=widget_keys.AGGREGATE, bind="query-params"
        )
        spreads = list(_SPREADS) if aggregate == "mean" else ["std", "min-max"]
        spread = st.selectbox("Band", spreads, key=widget_keys.SPREAD, bind="query-params")
        axis = st.selectbox("X axis", list(_AXES), key=widget_keys.X_AXIS, bind="query-params", on_change=_draw_all)
        smooth = st.toggle("Smooth train rewards", value=True, key=widget_keys.SMOOTH, bind="query-params")
        window, raw = _smoothing(smooth)
        seeds = st.toggle("Draw every seed", key=widget_keys.SEEDS, bind="query-params")
        color_by = _color_by(current)
        exact = st.toggle("Notebook arithmetic", key=widget_keys.EXACT, bind="query-params", help=_EXACT_HELP)
        x, span = _AXES[axis], None
        if exact and x == "wall":
            st.caption(":orange[Notebook arithmetic has no wall time: drawn over steps.]")
            # A range in hours is none of steps.
            x = "steps"
        else:
            span = _span()
        log_reward = st.toggle("Log axis for rewards", key=widget_keys.LOG_REWARD, bind="query-params")
        log_loss = st.toggle("Log axis for losses", value=True, key=widget_keys.LOG_LOSS, bind="query-params")
        arms, left_out = _arms_and_runs(current)
    return View(
        aggregate=_AGGREGATES[aggregate],  # type: ignore[arg-type]
        spread=_SPREADS[spread],  # type: ignore[arg-type]
        smooth=smooth,
        window=window,
        grid="exact" if exact else "aligned",
        arms=arms,
        left_out=left_out,
        seeds=seeds,
        x=x,  # type: ignore[arg-type]
        span=span,
        log_reward=log_reward,
        log_loss=None if log_loss else False,
        color_by=color_by,
        raw=raw,
    )


def _smoothing(smooth: bool) -> tuple[int | None, bool]:
    """The smoothing window in environment steps (None: each task's own), and whether raw points are drawn."""
    is_off, label = not smooth, "Smoothing window (steps)"
    window = st.number_input(
        label,
        1,
        None,
        None,
        step=1000,
        placeholder="each task's own",
        key=widget_keys.WINDOW,
        bind="query-params",
        disabled=is_off,
    )
    raw = st.toggle(
        "Raw points behind smoothed", key=widget_keys.RAW, bind="query-params", disabled=is_off, help=_RAW_HELP
    )
    return window, raw


def _color_by(current: Current | None) -> str:
    """What gives every run's own line its colour; empty where runs have no such lines."""
    if current is None:
        return ""
    options = [_NOTHING, *cached_results.keys_to_color_by(current)]
    chosen = st.selectbox("Colour every run by", options, key=widget_keys.COLOR, bind="query-params", help=_COLOR_HELP)
    return "" if chosen == _NOTHING else chosen


def _span() -> tuple[float, float] | None:
    """The range of x to draw, typed here or brushed on a chart."""
    left, right = st.columns(2)
    low = left.number_input(
        "From",
        value=None,
        key=widget_keys.FROM,
        bind="query-params",
        placeholder="start",
        format="%g",
        help=_RANGE_HELP,
    )
    high = right.number_input("To", value=None, key=widget_keys.TO, bind="query-params", placeholder="end", format="%g")
    if low is None or high is None:
        return None
    if low >= high:
        st.markdown(":orange[From must be below To: all is drawn.]")
        return None
    st.button("Draw all again", icon=":material/zoom_out_map:", on_click=_draw_all)
    return low, high


def _draw_all() -> None:
    st.session_state[widget_keys.FROM] = st.session_state[widget_keys.TO] = None


def _arms_and_runs(current: Current | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arms to draw (none: all) and the runs to leave out."""
    if current is None:
        return (), ()
    arms = st.multiselect(
        "Arms", arms_of(current.treated), key=widget_keys.ARMS, bind="query-params", placeholder="all arms"
    )
    run_ids = {treatment.run_id for treatment in current.treated}
    left_out = st.multiselect(
        "Runs left out",
        sorted({*run_ids, *_absent(current)}),
        key=widget_keys.LEFT_OUT,
        bind="query-params",
        placeholder="none",
        help=_OUT_HELP,
    )
    return tuple(arms), tuple(sorted(run_ids.intersection(left_out)))


def _absent(current: Current) -> list[str]:
    """Runs to leave out by the address that the study may not have: they stay in it, and the banner says so."""
    before = session_state().opened
    if before is not None and before.study is not None and before.study.name != current.study.name:
        return []
    chosen: list[str] = st.session_state.get(widget_keys.LEFT_OUT, st.query_params.get_all(widget_keys.LEFT_OUT))
    return chosen
