"""A field for a number of environment steps, with separators: 50,000."""

import re

import streamlit as st

from lib.app.widgets import notices
from lib.formatting import one_line

#: Digits, alone or in threes; and 1e6, as configs write it.
_WHOLE = re.compile(r"\d{1,16}|\d{1,3}([,._' ]\d{3}){1,5}")
_POWER = re.compile(r"\d{1,3}(\.\d+)?e\d{1,2}", re.IGNORECASE)


def steps_field(label: str, value: int | None, key: str, placeholder: str = "", help: str | None = None) -> int | None:
    """The steps in the field, at first `value`; None where it is empty, which it stays only where it began so."""
    text = st.text_input(
        label, _text(value), key=key, placeholder=placeholder, help=help, on_change=_write_anew, args=(key, value)
    )
    return steps_of(text)


def _write_anew(key: str, value: int | None) -> None:
    """Give what was typed its separators; what is no number of steps is told, and goes."""
    text = st.session_state[key].strip()
    steps = steps_of(text)
    if text and steps is None:
        notices.note(f"{one_line(text, 40)} is no number of steps: type one such as 50,000.", ":material/error:")
    st.session_state[key] = _text(value if steps is None else steps)


def _text(steps: int | None) -> str:
    return "" if steps is None else f"{steps:,}"


def steps_of(text: str) -> int | None:
    """The whole number above 0 that a text says, with or without separators; None where it says none.

    A float holds it exactly, as a browser does.
    """
    text = text.strip()
    if _WHOLE.fullmatch(text):
        steps = int(re.sub(r"\D", "", text))
    elif _POWER.fullmatch(text) and float(text).is_integer():
        steps = int(float(text))
    else:
        return None
    return steps if 0 < steps <= 2**53 else None
