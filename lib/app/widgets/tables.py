"""Tables as pages show them."""

from typing import Any

import polars as pl
import streamlit as st

#: Pixels of a row, and of the highest table.
_ROW, _HIGHEST = 35, 400


def table(frame: pl.DataFrame, alt: str, **options: Any) -> Any:
    """A table without row numbers, with what a screen reader says of it; options and result as of `st.dataframe`.

    It is sent as Arrow: from a polars frame Streamlit would make a pandas one first, at ten times the cost.
    """
    # As high as by itself, but set before it is drawn, so that nothing moves when it is.
    height = min(_ROW * (frame.height + 1) + 3, _HIGHEST)
    rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return st.dataframe(rows, hide_index=True, alt=alt, height=height, placeholder="", **options)


def whole(label: str | None = None) -> Any:
    """A column of whole numbers, with separators."""
    return st.column_config.NumberColumn(label, format="localized")


def numbers(frame: pl.DataFrame, alt: str) -> None:
    """A table whose numbers keep four digits that matter, however small they are."""
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(name.replace("_pct", " (%)").replace("_", " "), format="%.4g")
        for name in floats
    }
    others: dict[str, Any] = {
        name: whole(name.replace("_", " ")) if kind.is_integer() else name.replace("_", " ")
        for name, kind in frame.schema.items()
        if name not in floats
    }
    table(frame, alt, column_config=config | others)
