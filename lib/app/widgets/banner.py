"""One line above every page: what is shown in another way than the study declares, with a way back."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.app.session.current import Current, PageInput
from lib.app.widgets.markdown import escaped
from lib.app.widgets.windows import show_declared
from lib.effects import EXPLORATORY
from lib.formatting import listing
from lib.report import absent_text, left_out_text, shown_text
from lib.runs import arms_of
from lib.study import Study, changed_parts

#: Settings that show a part of the study, with the value that shows all of it.
_PARTS: dict[str, list[str] | None] = {
    widget_keys.TASKS: [],
    widget_keys.METRICS: [],
    widget_keys.ARMS: [],
    widget_keys.FROM: None,
    widget_keys.TO: None,
}
#: So many changes have a button each.
_SINGLE = 2


class _Override(NamedTuple):
    text: str
    way_back: str
    undo: Callable[[], None]


def banner(inputs: PageInput) -> None:
    """Say what the visitor changed against the study, in one line; nothing where that is nothing."""
    # Its place is there where it is empty too: else every panel and tab below would be another one, as it is at first.
    line = st.container()
    if inputs.study is None or inputs.current is None:
        return
    overrides = [override for override in (*_overrides(inputs.current), _edits(inputs.study)) if override.text]
    if len(overrides) > _SINGLE:
        overrides = [_together(overrides)]
    if overrides:
        with line.container(horizontal=True, gap="small", vertical_alignment="center"):
            for text, way_back, undo in overrides:
                st.markdown(f":orange[:material/info:] :small[{escaped(text)}]", width="content")
                label, icon = f":small[{way_back}]", ":material/undo:"
                st.button(label, f"undo_{way_back}", type="tertiary", icon=icon, on_click=undo)


def _together(overrides: Sequence[_Override]) -> _Override:
    def undo_all() -> None:
        for override in overrides:
            override.undo()

    return _Override(" ".join(override.text for override in overrides), "Undo all", undo_all)


def _overrides(current: Current) -> list[_Override]:
    study, view = current.study, current.view
    declared = dict(study.evidence.leave_out)
    by_hand = [run_id for run_id in view.left_out if run_id not in declared]
    absent = [run_id for run_id in st.session_state.get(widget_keys.LEFT_OUT, ()) if run_id not in view.left_out]
    exploratory = f"{EXPLORATORY.capitalize()}." if current.evidence else ""
    exact = "Curves are in notebook arithmetic." if view.grid == "exact" else ""
    return [
        _Override(left_out_text(by_hand), "Bring back", lambda: _bring_back(by_hand)),
        _Override(absent_text(absent), "Forget", lambda: _bring_back(absent)),
        _Override(shown_text(study, view, arms_of(current.treatments)), "Show all", _show_all),
        _Override(exploratory, "Declared windows", lambda: show_declared(study.evidence)),
        _Override(exact, "Turn off", _turn_exact_off),
    ]


def _bring_back(run_ids: Sequence[str]) -> None:
    left_out = st.session_state[widget_keys.LEFT_OUT]
    st.session_state[widget_keys.LEFT_OUT] = [run_id for run_id in left_out if run_id not in run_ids]


def _show_all() -> None:
    st.session_state.update(_PARTS)


def _turn_exact_off() -> None:
    st.session_state[widget_keys.EXACT] = False


def _edits(study: Study) -> _Override:
    original = studies.shipped_original(study)
    parts = changed_parts(study, original) if original else []
    text = f"Edited copy of {original.name}: other {listing(parts)}." if original and parts else ""
    return _Override(text, "Open the original", lambda: studies.choose(original.name) if original else None)
