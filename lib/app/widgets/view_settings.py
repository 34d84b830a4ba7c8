"""The view settings in the sidebar: on each page those that touch it, a few of them open and the rest under "More"."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.app.session import cached_results, widget_keys
from lib.app.session.current import Current
from lib.app.session.state import session_state
from lib.app.session.widget_keys import (
    AGGREGATE,
    ARMS,
    AT_FIRST,
    COLOR,
    EXACT,
    FROM,
    LAYOUT,
    LEFT_OUT,
    LOG_LOSS,
    LOG_REWARD,
    METRICS,
    RAW,
    SEEDS,
    SPREAD,
    TASKS,
    TO,
    WINDOW,
    X_AXIS,
)
from lib.app.widgets import pickers
from lib.app.widgets.place import hide
from lib.curves import View
from lib.formatting import plural
from lib.runs import arms_of
from lib.study import FAMILIES, Study, keys_of

T = TypeVar("T")

_AGGREGATES = {"mean": "mean", "IQM": "iqm", "median": "median"}
_SPREADS = {"std": "std", "std error": "se", "95% interval": "ci", "min-max": "minmax"}
_AXES = {
    "steps": "steps",
    "% of training": "percent",
    "steps since detach": "since",
    "% since detach": "since_percent",
    "wall time": "wall",
}
#: How the Overview's families stand: below each other, or beside each other in a row per task.
STACKED, GRID = AT_FIRST[LAYOUT], "Grid"
#: No smoothing, and each task's own window; any other choice is a number of steps.
_OFF, _OWN = "off", AT_FIRST[WINDOW]
_OLD_WINDOW = "smooth"
#: The most digits of a window.
_DIGITS = 15
#: No colouring; config keys are no such words.
_NOTHING = AT_FIRST[COLOR]
_WINDOW_HELP = (
    "The moving average of train rewards, in environment steps. `own` is each task's: 1% of its training, unless the "
    "study says otherwise."
)
_EXACT_HELP = "Exact-step grouping and point-wise smoothing, to check a figure of the original notebook."
_RAW_HELP = "Each run before smoothing, one value per bin: means of what was logged there."
_COLOR_HELP = "Draws each run's own line in the colour of its seed, its arm or a config key on which runs differ."
_OUT_HELP = "Left out of every chart, table and export. The Runs page tells them apart."
_RANGE_HELP = (
    "The range of x of every chart and export. Hold Shift and drag over a chart to set it. Dragging, and the wheel with Ctrl "
    "or Cmd, move and zoom one chart, on the Overview the rewards and losses of a task together; a double click undoes that."
)

#: The settings that stand open, and those under "More"; that of the range has two parameters.
_FIRST = (LAYOUT, TASKS, METRICS, ARMS, X_AXIS, SPREAD, WINDOW)
_MORE = (AGGREGATE, FROM, SEEDS, COLOR, RAW, LOG_REWARD, LOG_LOSS, EXACT, LEFT_OUT)
_PANELS = (widget_keys.MORE, widget_keys.WINDOWS, widget_keys.VIEWS)
_CURVES = {*_FIRST, *_MORE} - {LAYOUT}
#: By the path of a page, the settings that touch it.
_PAGES: Mapping[str, set[str]] = {
    "": {*_FIRST, *_MORE},
    "rewards": _CURVES,
    "losses": _CURVES,
    "detach_effect": {TASKS, METRICS, ARMS, SPREAD, WINDOW, AGGREGATE, LEFT_OUT},
    "runs": {TASKS, METRICS, LEFT_OUT},
}
#: By the path of a page, the families that it draws where it draws not all.
_FAMILIES = {"rewards": ("reward",), "losses": ("loss",)}


def touches(page: str) -> bool:
    """Whether any setting touches the page of that path."""
    return page in _PAGES


def view_settings(study: Study, current: Current | None, page: str) -> View:
    """The settings that every view and export shares, kept in the address.

    Those that touch the page stand there. A changed one that does not stays out of sight, so that the address keeps it.
    """
    _keep_values(page)
    shown = _PAGES.get(page, set()) - _idle_keys(study, _FAMILIES.get(page, FAMILIES)) if current else set[str]()
    changed = {key for key in (*_FIRST, *_MORE) if _is_changed(key)}
    first, more = st.container(), None
    if (shown | changed | session_state().changed) & {*_MORE}:
        # With another label it is another panel to the browser, and what is being typed in it is lost.
        more = st.expander("More", icon=":material/tune:", key=widget_keys.MORE, on_change="rerun")
    else:
        st.empty()
    note, count = st.container(), len(shown & changed & {*_MORE})
    if count:
        note.caption(f"{plural(count, 'setting')} changed under More")
    session_state().changed.update(changed)
    drawn = session_state().changed & {*_FIRST, *_MORE} | (shown if more and more.open else shown - {*_MORE})
    view = _view(study, current, _Places(first, more, shown, drawn))
    hide((drawn - shown) | ({widget_keys.MORE} if more and not shown & {*_MORE} else set()))
    return view


@dataclass(frozen=True)
class _Places:
    """Where settings are drawn; which are shown, and which are drawn: any other is what it is at first."""

    first: DeltaGenerator
    more: DeltaGenerator | None
    shown: set[str]
    drawn: set[str]

    def value(self, key: str, draw: Callable[[DeltaGenerator], T]) -> T:
        """What a setting is, drawn where it is to be."""
        place = self.more if key in _MORE else self.first
        if place and key in self.drawn:
            return draw(place)
        if place:
            # To the browser, what moves to another place is another widget: it forgets that it is in the address.
            place.empty()
        for name in (FROM, TO) if key == FROM else (key,):
            # What sets a setting later, as a brush does, then reaches the address.
            st.session_state.setdefault(name, deepcopy(AT_FIRST[name]))
        at_first: T = AT_FIRST[key]
        return at_first


def _keep_values(page: str) -> None:
    """On another page, tell the browser the settings anew that are not in its address: the way there may have lost them."""
    state = session_state()
    if touches(page) and state.page == page:
        state.panels = {key for key in _PANELS if st.session_state.get(key)}
    if state.page != page:
        state.page = page
        if touches(page):
            # To the browser, another page's panels are others, which are closed.
            st.session_state.update(dict.fromkeys(state.panels, True))
        for key in (*widget_keys.VIEW, *widget_keys.EVIDENCE):
            if key in st.session_state and key not in st.query_params:
                st.session_state[key] = st.session_state[key]
        # A link to the page may name the tasks to show there: without a value, the widget begins with those.
        if TASKS in st.session_state and TASKS in st.query_params:
            del st.session_state[TASKS]


def _idle_keys(study: Study, families: tuple[str, ...]) -> set[str]:
    """The settings that change nothing of these families."""
    metrics = [metric for metric in study.metrics if metric.family in families]
    families_there = {metric.family for metric in metrics}
    idle = set() if any(metric.smoothed for metric in metrics) else {WINDOW, RAW}
    shown, _ = keys_of(
        st.session_state.get(METRICS, st.query_params.get_all(METRICS)), {metric.key: metric.name for metric in metrics}
    )
    if len({metric.family for metric in metrics if not shown or metric.key in shown}) < 2:
        idle.add(LAYOUT)
    return idle | {key for key, family in ((LOG_REWARD, "reward"), (LOG_LOSS, "loss")) if family not in families_there}


def _is_changed(key: str) -> bool:
    if key == FROM and _is_changed(TO):
        return True
    # Before the first run has drawn a setting, its value is in the address alone, unless it is that at first.
    if key in st.session_state:
        return bool(st.session_state[key] != AT_FIRST[key])
    return key in st.query_params or (key == WINDOW and _OLD_WINDOW in st.query_params)


def _view(study: Study, current: Current | None, places: _Places) -> View:
    places.value(
        LAYOUT,
        lambda place: place.segmented_control(
            "Charts", [STACKED, GRID], default=STACKED, required=True, key=LAYOUT, bind="query-params"
        ),
    )
    titles = {task.key: task.title for task in study.tasks}
    tasks = places.value(TASKS, lambda place: pickers.part(place, "Tasks", titles, TASKS))
    names = {metric.key: metric.name for metric in study.metrics}
    metrics = places.value(METRICS, lambda place: pickers.part(place, "Metrics", names, METRICS))
    arms = places.value(ARMS, lambda place: _arms(current, place))
    axis = places.value(X_AXIS, lambda place: _choice(place, "X axis", [*_AXES], X_AXIS, _draw_all))
    aggregate = places.value(AGGREGATE, lambda place: _choice(place, "Aggregate over seeds", [*_AGGREGATES], AGGREGATE))
    spreads = [*_SPREADS] if aggregate == "mean" else ["std", "min-max"]
    spread = places.value(SPREAD, lambda place: _choice(place, "Band", spreads, SPREAD))
    window = places.value(WINDOW, lambda place: _window(study, place))
    span = places.value(FROM, _span)
    seeds = _toggle(places, "Draw every seed", SEEDS)
    color_by = places.value(COLOR, lambda place: _color_by(current, place))
    raw = _toggle(places, "Raw points behind smoothed", RAW, _RAW_HELP, disabled=window == _OFF)
    log_reward = _toggle(places, "Log axis for rewards", LOG_REWARD)
    log_loss = _toggle(places, "Log axis for losses", LOG_LOSS)
    exact = _toggle(places, "Notebook arithmetic", EXACT, _EXACT_HELP)
    x = _AXES[axis]
    if exact and x == "wall":
        if X_AXIS in places.shown:
            places.first.caption(":orange[Notebook arithmetic has no wall time: drawn over steps.]")
        # A range in hours is none of steps.
        x, span = "steps", None
    return View(
        aggregate=_AGGREGATES[aggregate],  # type: ignore[arg-type]
        spread=_SPREADS[spread],  # type: ignore[arg-type]
        smooth=window != _OFF,
        window=int(window) if window not in (_OFF, _OWN) else None,
        grid="exact" if exact else "aligned",
        arms=tuple(arms),
        tasks=tuple(tasks),
        metrics=tuple(metrics),
        left_out=tuple(places.value(LEFT_OUT, lambda place: _left_out(current, place))),
        seeds=seeds,
        x=x,  # type: ignore[arg-type]
        span=span,
        log_reward=log_reward,
        log_loss=None if log_loss else False,
        color_by="" if color_by == _NOTHING else color_by,
        raw=raw,
    )


def _toggle(places: _Places, label: str, key: str, help: str | None = None, disabled: bool = False) -> bool:
    def draw(place: DeltaGenerator) -> bool:
        return place.toggle(label, AT_FIRST[key], key=key, bind="query-params", help=help, disabled=disabled)

    return places.value(key, draw)


def _choice(
    place: DeltaGenerator, label: str, options: Sequence[str], key: str, on_change: Callable[[], None] | None = None
) -> str:
    return place.selectbox(label, options, key=key, bind="query-params", on_change=on_change)


def _window(study: Study, place: DeltaGenerator) -> str:
    """The smoothing window: `off`, `own`, or a number of environment steps."""
    if st.query_params.get(_OLD_WINDOW) == "false":
        # The address of a view that is not smoothed, as it was before there was a slider.
        del st.query_params[_OLD_WINDOW]
        st.session_state[WINDOW] = _OFF
    chosen = str(st.session_state.get(WINDOW, st.query_params.get(WINDOW, "")))
    is_window = chosen.isdecimal() and len(chosen) <= _DIGITS and int(chosen) > 0
    windows = {*_round_steps(study), *([int(chosen)] if is_window else [])}
    options = [_OFF, _OWN, *map(str, sorted(windows))]
    return place.select_slider("Smoothing (steps)", options, _OWN, key=WINDOW, bind="query-params", help=_WINDOW_HELP)


def _round_steps(study: Study) -> list[int]:
    """Windows of 1, 2 or 5 times a power of ten, from a thousandth of the shortest training to a tenth of the longest."""
    totals = [task.total_steps for task in study.tasks]
    steps = [digit * 10**power for power in range(16) for digit in (1, 2, 5)]
    return [step for step in steps if min(totals) <= 1000 * step and 10 * step <= max(totals)]


def _span(place: DeltaGenerator) -> tuple[float, float] | None:
    """The range of x to draw, typed here or brushed on a chart; the line above the page has the way back from it."""
    left, right = place.columns(2)
    low = left.number_input(
        "From", value=None, key=FROM, bind="query-params", placeholder="start", format="%g", help=_RANGE_HELP
    )
    high = right.number_input("To", value=None, key=TO, bind="query-params", placeholder="end", format="%g")
    if low is None or high is None:
        return None
    if low >= high:
        place.markdown(":orange[From must be below To: all is drawn.]")
        return None
    return low, high


def _draw_all() -> None:
    st.session_state[FROM] = st.session_state[TO] = None


def _color_by(current: Current | None, place: DeltaGenerator) -> str:
    """What gives every run's own line its colour."""
    if current is None:
        return _NOTHING
    options = [_NOTHING, *cached_results.keys_to_color_by(current)]
    return place.selectbox("Colour every run by", options, key=COLOR, bind="query-params", help=_COLOR_HELP)


def _arms(current: Current | None, place: DeltaGenerator) -> tuple[str, ...]:
    """The arms to draw (none: all); no control where there is only one."""
    arms = arms_of(current.treatments) if current else ()
    if len(arms) < 2:
        return ()
    return tuple(place.multiselect("Arms", arms, key=ARMS, bind="query-params", placeholder="all arms"))


def _left_out(current: Current | None, place: DeltaGenerator) -> tuple[str, ...]:
    """The runs to leave out."""
    if current is None:
        return ()
    run_ids = {treatment.run_id for treatment in current.treatments}
    chosen = place.multiselect(
        "Runs left out",
        sorted({*run_ids, *_absent(current)}),
        key=LEFT_OUT,
        bind="query-params",
        placeholder="none",
        help=_OUT_HELP,
    )
    return tuple(sorted(run_ids.intersection(chosen)))


def _absent(current: Current) -> list[str]:
    """Runs to leave out by the address that the study may not have: they stay in it, and the banner says so."""
    before = session_state().page_input
    if before is not None and before.study is not None and before.study.name != current.study.name:
        return []
    chosen: list[str] = st.session_state.get(LEFT_OUT, st.query_params.get_all(LEFT_OUT))
    return chosen
