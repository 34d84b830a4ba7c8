"""A popover whose content is made once it is opened."""

from collections.abc import Callable

import streamlit as st

from lib.app.widgets.markdown import escaped
from lib.runs import StoreError

#: Says that it is on screen: a popover shows what is in it when it is opened.
_SENTINEL = st.components.v2.component(
    "sentinel", js="export default ({ setTriggerValue }) => setTriggerValue('open', true)"
)


def popover(label: str, icon: str, key: str, content: Callable[[], None]) -> None:
    """A popover that asks for its content as a fragment when it is opened, and for nothing when it is closed.

    Streamlit's own way (`on_change="rerun"`) runs the page when the popover closes: a click on another page's link closes
    it, and that page is then not opened.
    """
    with st.popover(label, icon=icon):
        _content(key, content, [])


@st.fragment
def _content(key: str, content: Callable[[], None], is_open: list[bool]) -> None:
    """The content, in the runs of the fragment since it was opened; a run of the page brings a list of its own."""
    if not is_open:
        _SENTINEL(key=key, on_open_change=lambda: is_open.append(True))
    if is_open:
        try:
            content()
        except StoreError as error:
            st.error(escaped(str(error)), icon=":material/error:")
