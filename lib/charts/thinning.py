"""No more points and digits than a screen can show."""

import math
from collections.abc import Sequence

import polars as pl

POINTS = 3000
DIGITS = 6


def round_for_screen(frame: pl.DataFrame, steps: Sequence[str] = ("step",)) -> pl.DataFrame:
    """The frame as a chart needs it: six significant digits, whole steps where the range is wide, small counts.

    Exact numbers belong in the tables; a pixel shows three digits, and short numbers are half the bytes.
    """
    exprs: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if name in steps:
            digits = decimals(frame[name])
            exprs.append(pl.col(name).round(digits) if digits else pl.col(name).round(0).cast(pl.Int32))
        elif dtype.is_float():
            exprs.append(pl.col(name).round_sig_figs(DIGITS))
        elif name == "n":
            exprs.append(pl.col(name).cast(pl.UInt16))
    return frame.with_columns(exprs)


def decimals(x: pl.Series) -> int:
    """Decimals that values on x need: none where their range is wide, more than usual where it is a few minutes."""
    span = _span(x) if len(x) else 0.0
    return 0 if span > 2000 else 3 + max(0, math.ceil(-math.log10(span))) if span else 3


def _span(series: pl.Series) -> float:
    return float(series.max() or 0) - float(series.min() or 0)  # type: ignore[arg-type]


def downsample(frame: pl.DataFrame, by: Sequence[str], value: str, limit: int) -> pl.DataFrame:
    """At most about `limit` rows: of each series, the lowest and the highest row of equal spans of steps.

    Every row kept is a row that came in, so peaks and dips stay where they are.

    Parameters
    ----------
    frame : sorted by `by` and step.
    by : columns that name a series.
    value : column whose extremes are kept.
    limit : rows in all.
    """
    if len(frame) <= limit:
        return frame
    spans = max(1, limit // (2 * frame.select(by).n_unique()))
    low, span = frame["step"].min(), _span(frame["step"])
    bucket = ((pl.col("step") - low) / (span or 1) * spans).floor().clip(0, spans - 1)
    ends = [(pl.col(value) == pl.col(value).min()), (pl.col(value) == pl.col(value).max())]
    groups = [*by, "_bucket"]
    keep = [end.over(groups) for end in ends]
    return (
        frame.with_columns(bucket.alias("_bucket"))
        .with_columns(keep[0].alias("_low"), keep[1].alias("_high"))
        .filter(pl.col("_low") | pl.col("_high"))
        .unique([*groups, "_low", "_high"], keep="first", maintain_order=True)
        .drop("_bucket", "_low", "_high")
    )


def clip_to_log_axis(frame: pl.DataFrame, domain: tuple[float, float]) -> pl.DataFrame:
    """Curves that a log axis can draw: a band that reaches 0 ends at the axis, a mean of 0 is a gap."""
    floor = domain[0]
    return frame.with_columns(
        pl.when(pl.col("mean") > 0).then("mean").alias("mean"),
        pl.col("lower").clip(lower_bound=floor),
        pl.col("upper").clip(lower_bound=floor),
    )
