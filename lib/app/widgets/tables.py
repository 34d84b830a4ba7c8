"""Tables as pages show them."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

#: Pixels of a row, and of the highest table.
_ROW, _HIGHEST = 35, 400


def table(frame: pl.DataFrame, alt: str, titles: Mapping[str, str] | None = None, **options: Any) -> Any:
    """A table without row numbers, whose steps and counts read 50,000; options and result as of `st.dataframe`.

    It is sent as Arrow: from a polars frame Streamlit would make a pandas one first, at ten times the cost.

    Parameters
    ----------
    alt : what a screen reader says of it.
    titles : the titles of columns whose names are none.
    """
    # As high as by itself, but set before it is drawn, so that nothing moves when it is.
    height = min(_ROW * (frame.height + 1) + 3, _HIGHEST)
    rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns: dict[str, Any] = dict(titles or {})
    for name, kind in frame.schema.items():
        if kind.is_integer():
            columns[name] = st.column_config.NumberColumn(columns.get(name), format="localized")
    columns |= options.pop("column_config", {})
    return st.dataframe(rows, hide_index=True, alt=alt, height=height, placeholder="", column_config=columns, **options)


def numbers(frame: pl.DataFrame, alt: str) -> None:
    """A table whose numbers keep four digits that matter, however small they are."""
    titles = {name: name.replace("_pct", " (%)").replace("_", " ") for name in frame.columns}
    floats = {
        name: st.column_config.NumberColumn(titles[name], format="%.4g")
        for name, kind in frame.schema.items()
        if kind.is_float()
    }
    table(frame, alt, titles, column_config=floats)
