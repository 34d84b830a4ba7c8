"""Rename or delete one of the visitor's own studies, beside the picker."""

import streamlit as st

from lib.app.session import saved, studies, widget_keys
from lib.app.session.access import is_readable
from lib.app.widgets import notices
from lib.app.widgets.markdown import escaped
from lib.formatting import listing, plural
from lib.study import InputError, local_paths


def study_menu(name: str) -> None:
    """A popover for a study of the visitor's own; nothing for a shipped one, or for a name that is nobody's."""
    if name not in saved.own_names():
        return
    with st.popover(":small[Rename or delete]", type="tertiary"):
        _rename(name)
        _delete(name)


def _rename(name: str) -> None:
    field = f"{widget_keys.STUDY_MENU}_name_{name}"
    with st.form(f"{widget_keys.STUDY_MENU}_{name}", border=False):
        st.text_input("Name", name, key=field)
        # A callback: a second Enter ends the run of the first one, which must not stop between renaming and choosing.
        st.form_submit_button("Rename", icon=":material/edit:", on_click=_renamed, args=(name, field))


def _renamed(name: str, field: str) -> None:
    new = st.session_state[field].strip()
    if new == name or name not in saved.own_names():
        return
    try:
        saved.rename(name, new)
    except InputError as error:
        notices.note(str(error), ":material/error:")
    else:
        studies.choose(new)


def _delete(name: str) -> None:
    if st.checkbox("Delete this study", key=f"{widget_keys.STUDY_MENU}_delete_{name}"):
        st.caption(escaped(f"{_what_goes(name)} The runs that were fetched stay in the store."))
        st.button("Delete", type="primary", icon=":material/delete:", on_click=_deleted, args=(name,))


def _what_goes(name: str) -> str:
    """What is deleted with a study, in a sentence."""
    try:
        study = saved.saved_study(name)
    except InputError:
        return f"{name} cannot be read; its folder goes."
    uploads = [path for path in local_paths(study.study) if is_readable(path)] if study.study else []
    counts = [(len(uploads) + len(study.baselines), "uploaded file"), (len(study.views), "saved view")]
    parts = ["its study file", *(plural(count, noun) for count, noun in counts if count)]
    return f"Of {name} go {listing(parts)}."


def _deleted(name: str) -> None:
    try:
        saved.delete(name)
    except InputError as error:
        notices.note(str(error), ":material/error:")
        return
    notices.note(f"Deleted {name}", ":material/delete:")
    studies.choose(studies.study_names()[0])
