"""Changes as short texts in one precision, which a page, a sentence and a report share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.formatting import fixed, interval_decimals, interval_ends
from lib.study import Metric, Study

Row = Mapping[str, Any]
#: What a change is counted in: percent of a level or a ratio, percent of the metric's range, the metric's own unit.
Unit = Literal["percent", "range", "own"]
OF_RANGE = " of the range"

#: Decimals at most: of percentages, and of a metric's own unit, where exponents take over.
_PERCENT_DECIMALS, _OWN_DECIMALS = 2, 12


def unit(row: Row, metric: Metric) -> Unit:
    """What the change of a row of effects is counted in."""
    if metric.scale == "log":
        return "percent"
    return "range" if row["task"] == ALL_TASKS else "own"


@dataclass(frozen=True)
class Size:
    """How large a change is, in words: its value, `28`, `[21, 34]` and `%`."""

    value: float
    text: str
    interval: str
    mark: str


@dataclass(frozen=True)
class Rounding:
    """The decimals of every percentage of a study, and of each linear metric's own unit, by its key."""

    percent: int = 0
    own: Mapping[str, int] = field(default_factory=dict)

    def change(self, row: Row, metric: Metric, of_level: bool = False) -> str:
        """A row's change with its sign, `-29%` or `-5`; empty where there is none.

        Parameters
        ----------
        of_level : in percent wherever there is a percent.
        """
        if row["change"] is None:
            return ""
        [change, *_], is_percent = self._texts(row, metric, of_level)
        return change + ("%" if is_percent else "")

    def interval(self, row: Row, metric: Metric, of_level: bool = False) -> str:
        """The 95% interval of a row's change with signs, `[-37, -21]`; empty where there is none."""
        if row["ci_low"] is None:
            return ""
        [_, *ends], _ = self._texts(row, metric, of_level)
        return f"[{', '.join(ends)}]"

    def change_and_interval(self, row: Row, metric: Metric, of_level: bool = False) -> str:
        """Both, `-5 [-17, +6]`, or the change alone."""
        return f"{self.change(row, metric, of_level)} {self.interval(row, metric, of_level)}".rstrip()

    def _texts(self, row: Row, metric: Metric, of_level: bool) -> tuple[list[str], bool]:
        """A row's change and the ends of its interval with signs, and whether they are percentages."""
        factor, is_percent = _factor(row, metric, of_level)
        decimals = self._decimals(row, metric, factor, is_percent)
        values = [factor * row[name] for name in ("change", "ci_low", "ci_high") if row[name] is not None]
        # A change without an interval may round to 0.
        return interval_ends(values, decimals, "+") if len(values) > 1 else [
            fixed(values[0], decimals, "+")
        ], is_percent

    def size(self, row: Row, metric: Metric, name: Literal["change", "ci_low", "ci_high"] = "change") -> "Size":
        """A row's change and interval without signs, those of a fall turned round, in percent wherever there is a percent.

        Parameters
        ----------
        name : an end of the interval for how large the change is at most.
        """
        factor, is_percent = _factor(row, metric, of_level=True)
        decimals = self._decimals(row, metric, factor, is_percent)
        value = factor * row[name]
        ends = [] if row["ci_low"] is None else [factor * row["ci_low"], factor * row["ci_high"]]
        if value < 0:
            value, ends = -value, [-end for end in reversed(ends)]
        interval = f"[{', '.join(interval_ends(ends, decimals))}]" if ends else ""
        mark = "" if not is_percent else f"%{OF_RANGE}" if unit(row, metric) == "range" else "%"
        # As an end of an interval: what is said to be lower or higher does not read 0.
        return Size(value, interval_ends([value], decimals)[0], interval, mark)

    def _decimals(self, row: Row, metric: Metric, factor: float, is_percent: bool) -> int:
        """Those that its unit shares, or more where the row's own interval is narrower than their last digit."""
        shared, most = (self.percent, _PERCENT_DECIMALS) if is_percent else (self.own.get(metric.key, 0), _OWN_DECIMALS)
        is_enough = _width_decimals(row, factor, units=1) <= shared
        return shared if is_enough else min(_width_decimals(row, factor), most)


def _factor(row: Row, metric: Metric, of_level: bool) -> tuple[float, bool]:
    """What a change is multiplied by to stand in its unit, or in percent where there is a percent; and whether it is one."""
    if unit(row, metric) != "own":
        return 100.0, True
    if of_level and row["change_pct"] is not None and row["change"]:
        return row["change_pct"] / row["change"], True
    return 1.0, False


def rounding(effects: pl.DataFrame, study: Study) -> Rounding:
    """The rounding of these rows of effects: every percentage alike, and each linear metric alike over its tasks.

    Parameters
    ----------
    effects : columns of `lib.effects.effects_table.EFFECTS`.
    """
    by_unit: dict[tuple[Unit, str], list[Row]] = {}
    for row in effects.drop_nulls("change").iter_rows(named=True):
        metric = study.metric(row["metric"])
        by_unit.setdefault((unit(row, metric), metric.key), []).append(row)
    percents = [row for (name, _), rows in by_unit.items() if name != "own" for row in rows]
    own = {key: _decimals(rows, 1, _OWN_DECIMALS) for (name, key), rows in by_unit.items() if name == "own"}
    return Rounding(_decimals(percents, 100, _PERCENT_DECIMALS), own)


def with_sizes(effects: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Rows of effects with `size`, each change and its interval as the Overview has them; empty without a change."""
    texts = rounding(effects, study)

    def size(row: Row) -> str:
        metric = study.metric(row["metric"])
        text = texts.change_and_interval(row, metric)
        return text + OF_RANGE if text and unit(row, metric) == "range" else text

    return effects.with_columns(pl.Series("size", [size(row) for row in effects.iter_rows(named=True)], pl.String))


def _decimals(rows: Iterable[Row], factor: float, most: int) -> int:
    """The decimals that are enough for half of these rows."""
    needed = sorted(_width_decimals(row, factor) for row in rows)
    return min(needed[(len(needed) - 1) // 2], most) if needed else 0


def _width_decimals(row: Row, factor: float, units: int = 2) -> int:
    """The decimals that an interval's width allows or, without one, at which the change has two digits."""
    reach = abs(factor * row["change"]) / 5
    low, high = (
        (-reach, reach) if row["ci_low"] is None else (abs(factor) * row["ci_low"], abs(factor) * row["ci_high"])
    )
    return interval_decimals(low, high, units)
