"""Files that a click makes, of what the page says at that moment."""

import secrets
from collections.abc import Callable

import streamlit as st

from lib.app.widgets.markdown import escaped

#: What the keys of the parts that hand a file over begin with: they are seen while it is made, or where it cannot be.
_FILE = "file_"
STYLE = f"[class*=st-key-{_FILE}]:not(:has(:disabled, [data-testid=stDownloadButtonError])) {{ display: none }}"

#: Clicks the button of a file once it is there, and once for each file.
_HANDOVER = st.components.v2.component(
    "handover",
    js="""
const files = new Set()
export default ({ data }) => {
  const hand = () => {
    if (files.has(data.file)) return
    const button = document.querySelector(`.st-key-${data.button} button`)
    if (!button) return requestAnimationFrame(hand)
    files.add(data.file)
    button.click()
  }
  hand()
}""",
)


def download(
    label: str,
    content: str | Callable[[], str | bytes],
    file_name: str,
    icon: str | None,
    key: str,
    mime: str | None = None,
    help: str | None = None,
) -> None:
    """A button that makes a file when it is clicked, and hands it to the browser.

    Streamlit's own button leads to the file of the run that drew it: clicked right after a field was typed in, it brings
    the file from before, or none.

    Parameters
    ----------
    key : of letters and underscores, for it is in a style too.
    """
    if st.button(label, key=key, help=help, icon=icon):
        button, text = f"{_FILE}{key}", escaped(f"Making {file_name}")
        # It makes the file outside of the session's thread, whose page goes on.
        st.download_button(text, content, file_name, mime, key=button, on_click="ignore", type="tertiary")
        _HANDOVER(key=f"{button}_handover", data={"button": button, "file": secrets.token_hex(8)})
