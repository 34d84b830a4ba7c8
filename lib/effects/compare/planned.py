"""Looks before the declared number of runs is there: intervals that hold whenever one looks, and no verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from lib.effects.compare import estimators
from lib.effects.compare.comparison import Comparison, Gate
from lib.formatting import number, plural
from lib.study import Evidence

#: What the checklist calls the condition.
PLANNED_SIZE = "Planned size"
NOT_DECLARED = "sample size not declared"
SIZE_AFTER_LOOKING = "sample size set after looking"
#: What claims say of windows and left-out runs that were changed when runs were in.
WINDOWS_AFTER_LOOKING = "windows set after looking"
LEFT_OUT_AFTER_LOOKING = "left-out runs set after looking"
#: What `method` says of an interval that holds at every look.
ANYTIME = "anytime-valid interval"


def size(comparison: Comparison) -> int:
    """The runs that a plan counts: fork pairs, runs in the smaller arm, or the runs of the only arm."""
    arms = [comparison.values, *([comparison.control_values] if comparison.design == "did" else [])]
    return min(map(len, arms))


def size_text(comparison: Comparison, planned: int) -> str:
    """How far the runs are: `4 of 6 planned pairs`."""
    n, unit = size(comparison), "pair" if comparison.design == "fork" else "run"
    ending = " per arm" if comparison.design == "did" else ""
    if n > planned:
        return f"{n} {unit}s{ending}, where {planned} were planned"
    return f"{n} of {plural(planned, f'planned {unit}')}{ending}"


def planned_gate(comparison: Comparison, evidence: Evidence) -> Gate | None:
    """The condition of a declared size: fewer runs take the verdict; more, or none declared before looking, are a caveat."""
    planned = evidence.planned
    if comparison.design == "none" or not comparison.values:
        return None
    if planned is None:
        return None if comparison.p is None else Gate(PLANNED_SIZE, NOT_DECLARED, needed=False)
    if comparison.design == "onset":  # a plan counts arms or pairs: it has neither
        return None
    texts = [size_text(comparison, planned)] if size(comparison) != planned else []
    texts += [SIZE_AFTER_LOOKING] if evidence.planned_after_looking else []
    return Gate(PLANNED_SIZE, "; ".join(texts), needed=size(comparison) < planned) if texts else None


def after_looking(evidence: Evidence) -> tuple[str, ...]:
    """The caveats of windows and left-out runs that were set after looking."""
    windows = (WINDOWS_AFTER_LOOKING,) if evidence.windows_after_looking else ()
    return windows + ((LEFT_OUT_AFTER_LOOKING,) if evidence.leave_out_after_looking else ())


def before_planned(comparison: Comparison) -> Comparison:
    """The comparison with an interval that holds at every look, where its runs are fewer than planned."""
    is_short = any(gate.check == PLANNED_SIZE and gate.needed for gate in comparison.gates)
    if not is_short or comparison.interval is None:
        return comparison
    reach = float(estimators.anytime_factor(size(comparison))) * _error(comparison)
    if not math.isfinite(reach):
        return replace(comparison, interval=None)
    middle = comparison.estimate
    return replace(comparison, interval=(middle - reach, middle + reach), method=f"{comparison.method}; {ANYTIME}")


#: The looks at a comparison before its planned size: after each n (finished runs, or pairs) the estimate with an interval
#: that holds at every look, in percent for a log metric, else in the metric's unit.
LOOKS = pl.Schema({"n": pl.Int64} | dict.fromkeys(("estimate", "ci_low", "ci_high"), pl.Float64))


def looks(comparison: Comparison, ends: Mapping[str, float]) -> pl.DataFrame:
    """The estimate and its interval after each run or pair from the fifth on, in the order in which they finished.

    Parameters
    ----------
    ends : when each run ended, in seconds; those without come last, in the order of their seeds.

    Returns
    -------
    Columns `LOOKS`. Each look is at the first n of every arm, the last one at all runs.
    """
    arms = [_in_order(values, units, ends) for values, units in _arms(comparison)]
    rows = []
    for n in range(2, size(comparison) + 1):
        firsts = [values[: n if n < size(comparison) else None] for values in arms]
        reach = float(estimators.anytime_factor(n)) * _standard_error(firsts)
        if math.isfinite(reach):
            middle = float(np.mean(firsts[0]) - (np.mean(firsts[1]) if len(firsts) > 1 else 0.0))
            rows.append((n, *(_shown(comparison, value) for value in (middle, middle - reach, middle + reach))))
    return pl.DataFrame(rows, schema=LOOKS, orient="row")


def _shown(comparison: Comparison, value: float) -> float:
    return 100 * math.expm1(value) if comparison.metric.scale == "log" else value


def _arms(comparison: Comparison) -> list[tuple[Sequence[float], Sequence[tuple[str, ...]]]]:
    """The numbers of each arm with the runs that each is made of."""
    runs, controls = ([(unit.run_id,) for unit in units] for units in (comparison.units, comparison.controls))
    if comparison.design == "fork":
        return [(comparison.values, [t + c for t, c in zip(runs, controls, strict=True)])]
    return [(comparison.values, [*runs]), *([(comparison.control_values, [*controls])] if controls else [])]


def _in_order(values: Sequence[float], runs: Sequence[tuple[str, ...]], ends: Mapping[str, float]) -> list[float]:
    last = [max(ends.get(run_id, math.inf) for run_id in ids) for ids in runs]
    return [value for _, value in sorted(zip(last, values, strict=True), key=lambda row: row[0])]


def _error(comparison: Comparison) -> float:
    return _standard_error([values for values in (comparison.values, comparison.control_values) if values])


def _standard_error(arms: Sequence[Sequence[float]]) -> float:
    """The standard error of the estimate from the numbers of each arm."""
    return math.sqrt(sum(float(np.var(values, ddof=1)) / len(values) for values in arms))


def reach_at(comparison: Comparison, planned: int) -> float:
    """Half the width that the 95% interval has about to expect at the planned size, from the spread of the runs so far.

    On the scale of the estimate; NaN where fewer than two runs are there.
    """
    from scipy.special import stdtrit

    arms = [values for values in (comparison.values, comparison.control_values) if values]
    if planned < 2 or not arms or min(map(len, arms)) < 2:
        return math.nan
    df = (planned - 1) * len(arms)
    variance = sum(float(np.var(values, ddof=1)) for values in arms)
    return float(stdtrit(df, 0.5 + estimators.CONFIDENCE / 2)) * math.sqrt(variance / planned)


def reach_text(comparison: Comparison, reach: float) -> str:
    """Half a width as `4%`, or in the metric's unit where there is no percent."""
    percent = comparison.percent(reach)[0]
    return number(reach) if percent is None else f"{percent:.2g}%"
