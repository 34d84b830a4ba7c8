"""Signs on lines whose colours are alike, so that any two are told apart for every kind of colour vision."""

from collections.abc import Callable, Sequence

import altair as alt
import polars as pl

from lib.charts.color_vision import difference
from lib.study import Study

#: What a sign is in a name, and Vega's shape of it on a line.
SHAPES = {"●": "circle", "■": "square", "▲": "triangle-up", "◆": "diamond", "▼": "triangle-down"}
#: Colours that differ by less are alike.
ALIKE = 5
#: Signs along a line.
ALONG = 8


def signs(count: int, are_alike: Callable[[int, int], bool]) -> list[str]:
    """A sign for each of so many lines: "" for the first of those that are alike, another for each that follows."""
    result: list[str] = []
    for line in range(count):
        excluded = {result[other] for other in range(line) if are_alike(other, line)}
        result.append(next((sign for sign in ("", *SHAPES) if sign not in excluded), ""))
    return result


def metric_signs(study: Study, colors: dict[str, str]) -> dict[str, str]:
    """The sign of every metric: colours of one family that are alike have another each, and so has one that comes again."""
    metrics = study.metrics

    def are_alike(one: int, other: int) -> bool:
        first, second = colors[metrics[one].key], colors[metrics[other].key]
        same_family = metrics[one].family == metrics[other].family
        return first == second or (same_family and difference(first, second) < ALIKE)

    return dict(zip((metric.key for metric in metrics), signs(len(metrics), are_alike), strict=True))


def with_sign(sign: str, name: str) -> str:
    """The name behind its sign."""
    return f"{sign} {name}" if sign else name


def sign_table(table: pl.DataFrame, by: Sequence[str], name: str) -> pl.DataFrame | None:
    """A few points along each line whose name has a sign, with its shape; None where no name has one.

    Parameters
    ----------
    table : by step; the lines are its groups by `by`, and `name` is the column with their names.
    """
    lines = table.with_columns(pl.col(name).cast(pl.String).str.slice(0, 2).str.strip_chars_end().alias("shape"))
    lines = lines.filter(pl.col("shape").is_in(list(SHAPES)), pl.col(name).cast(pl.String).str.slice(1, 1) == " ")
    if lines.is_empty():
        return None
    place = pl.int_range(pl.len()).over(by)
    every = (pl.len().over(by) // ALONG).clip(1)
    # Lines near each other have their signs beside each other.
    first = pl.col(name).to_physical() % ALONG * every // ALONG
    return lines.filter(place % every == first).with_columns(pl.col("shape").replace_strict(SHAPES))


def sign_layer(table: pl.DataFrame, name: str, opacity: alt.OpacityValue) -> alt.Chart:
    """The signs, to be encoded where the lines are."""
    mark = alt.Chart(table, name=name).mark_point(filled=True, size=50, clip=True, aria=False)
    return mark.encode(shape=alt.ShapeValue(alt.ExprRef("datum.shape")), opacity=opacity)
