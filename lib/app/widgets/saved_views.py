"""Views with a name, kept with the study: choose one, save the present one, delete one."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from lib.app.session import saved, widget_keys
from lib.app.widgets import notices
from lib.app.widgets.markdown import escaped
from lib.runs import ViewSetting, ViewSettings
from lib.study import Study

#: The most signs of a view's name.
_LONGEST = 60


def saved_views(study: Study) -> None:
    """The study's views that have a name, and a way to give the present one a name."""
    panel = st.expander("Saved views", icon=":material/bookmark:", key=widget_keys.VIEWS, on_change="rerun")
    if not panel.open:
        return
    with panel:
        for index, (name, settings) in enumerate(saved.saved_study(study.name).views.items()):
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                key, label = f"{widget_keys.VIEWS}_{index}", escaped(name)
                st.button(label, key=key, width="stretch", on_click=_apply, args=(settings,))
                arguments = (study.name, name)
                st.button(":small[Delete]", f"{key}_delete", type="tertiary", on_click=_delete, args=arguments)
        with st.form(f"{widget_keys.VIEWS}_form", border=False, clear_on_submit=True):
            st.text_input(
                "Name of the present view", key=widget_keys.VIEW_NAME, max_chars=_LONGEST, placeholder="paper figure 2"
            )
            st.form_submit_button("Save view", icon=":material/bookmark_add:", on_click=_save, args=(study.name,))


def _save(study: str) -> None:
    """Save the view under the name that was typed; one of this name is replaced, and that is said."""
    name = st.session_state[widget_keys.VIEW_NAME].strip()
    if not name:
        return
    settings = {key: _setting(st.session_state.get(key, value)) for key, value in widget_keys.AT_FIRST.items()}
    is_new = name not in saved.saved_study(study).views
    if saved.change_or_say(study, lambda kept: replace(kept, views={**kept.views, name: settings})):
        notices.note(f"{'Saved the view' if is_new else 'Saved anew the view'} {name}", ":material/bookmark_added:")


def _setting(value: ViewSetting | Sequence[str]) -> ViewSetting:
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]


def _delete(study: str, name: str) -> None:
    saved.change_or_say(
        study, lambda kept: replace(kept, views={key: view for key, view in kept.views.items() if key != name})
    )


def _apply(settings: ViewSettings) -> None:
    """Set every setting of the view, before the widgets are drawn."""
    for key in widget_keys.VIEW:
        if key in settings and _fits(key, settings[key]):
            value = settings[key]
            st.session_state[key] = [*value] if isinstance(value, tuple) else value


def _fits(key: str, value: object) -> bool:
    """Whether a widget takes a value: one from an address may be anything."""
    if value is None:
        return key in widget_keys.CLEARABLE
    kind = {bool: bool, str: str, list: tuple}.get(type(widget_keys.AT_FIRST[key]))
    return type(value) is kind if kind else type(value) in (int, float)
