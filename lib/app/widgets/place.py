"""Places that are kept free for what the browser loads late, so that nothing below moves when it is there."""

from collections.abc import Collection
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

#: Pixels of a field with its label, and of buttons beside each other with theirs.
FIELD, BUTTONS = 68, 60
#: What the keys of heads begin with: as high as what stands for their links until these are loaded.
HEAD = "head_"

_KEY, _WAIT = "place_", ":not(:has([data-testid=stSkeleton]))"
#: A place has its height only while something in it is awaited; then it is as high as what is in it, on a phone too.
STYLE = f"""
[data-testid=stLayoutWrapper]:has(> [class*=st-key-{_KEY}]){_WAIT}, [class*=st-key-{_KEY}]{_WAIT} {{
  height: auto; overflow: visible
}}
[class*=st-key-{HEAD}] {{ min-height: 40px }}"""


def hide(keys: Collection[str]) -> None:
    """Show nothing of widgets and containers of these keys, which stay in the page and in its address."""
    if keys:
        selectors = (f".st-key-{key}, [data-testid=stLayoutWrapper]:has(> .st-key-{key})" for key in sorted(keys))
        st.html(f"<style>{', '.join(selectors)} {{ display: none }}</style>")


def place(name: str, height: int, **options: Any) -> DeltaGenerator:
    """A container whose height in pixels is known before what is in it; options as of `st.container`."""
    return st.container(key=f"{_KEY}{name}", height=height, border=False, **options)
