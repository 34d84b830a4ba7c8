"""The form for a visitor's own key."""

from functools import partial

import streamlit as st

from lib.app.session import access
from lib.app.widgets.markdown import escaped


def key_field(server: str, name: str) -> str:
    """The field for a key of a server, by the key of its widget; what was typed."""
    return st.text_input(
        f"Key for {escaped(server.removeprefix('https://'))}",
        type="password",
        key=name,
        help="Your W&B API key. It is sent to this server alone and kept in this browser session only: not stored, "
        "not in the address, not shown to anyone else.",
    )


def key_form(server: str, name: str) -> None:
    """A visitor's own key for a server: kept in this session's memory, never shown again, sent to no other server."""
    # What is typed for one server never becomes the text of another one's field.
    host, name = escaped(server.removeprefix("https://")), f"{name}_{server}"
    if access.own_key(server):
        st.badge(f"your key for {host} is in use", icon=":material/key:", color="green")
        forget = partial(access.remember_key, server, "")
        st.button("Forget my key", key=f"{name}_forget", icon=":material/key_off:", on_click=forget)
        return
    with st.form(name, border=True, clear_on_submit=True):
        key_field(server, f"{name}_text")
        # A callback: what is typed in a field outside of the form reaches the server after this click, and ends its run.
        st.form_submit_button("Use this key", icon=":material/key:", on_click=_use, args=(server, f"{name}_text"))


def _use(server: str, field: str) -> None:
    access.remember_key(server, st.session_state[field].strip())
