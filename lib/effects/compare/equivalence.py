"""Whether a change is too small to matter: two one-sided t tests against a declared margin."""

import math
from dataclasses import dataclass

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.across_tasks import Across
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.estimators import ALPHA
from lib.study import Metric

#: The designs whose estimate is an effect, with an interval of its own.
_DESIGNS = ("fork", "did")

#: Of what a change is a percent of: beyond it the runs of a study differ so much in the effect at a bound that they are skewed.
WIDE_MARGIN = 0.125

EQUIVALENT, NO_WORSE, WORSE, NOT_SHOWN = "equivalent", "no worse", "worse", "not shown"
AFTER_LOOKING = "margin set after looking"


@dataclass(frozen=True)
class MarginTest:
    """An effect against its margin, before Holm's correction.

    `margin` is on the scale of `change` (the metric's unit, or a ratio minus 1), None where it cannot be had.
    `no_worse_p` is that of the harmful side alone, `equivalent_p` the larger of both sides' (twice the one-sided p of a wide
    margin) and `worse_p` twice that of lying beyond the harmful bound, as the whole 95% interval does where it is below 5%;
    all are to be read at 5%, and None where there is no test. `notes` say why there is no test, and that the margin was set
    after looking.
    """

    margin: float | None = None
    no_worse_p: float | None = None
    equivalent_p: float | None = None
    worse_p: float | None = None
    notes: tuple[str, ...] = ()


def margin_level(metric: Metric, base: float | None) -> float:
    """The level of each one-sided test: 5%, and of a wide margin 2.5%, that of the 95% interval.

    Parameters
    ----------
    base : what a change is a percent of, in the metric's unit; None where there is no percent.

    Notes
    -----
    The larger an effect, the more it differs from run to run, and a one-sided t test on few skewed numbers is wrong too often.
    """
    if metric.margin is not None:
        is_wide = metric.margin > WIDE_MARGIN
    else:
        is_wide = base is not None and (metric.margin_abs or 0.0) > WIDE_MARGIN * base
    return ALPHA / 2 if is_wide else ALPHA


def margin_test(result: Comparison | Across) -> MarginTest:
    """Two one-sided t tests on the design's own estimate, against the metric's margin.

    Notes
    -----
    Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657. The bounds of a log metric are +-log(1 + margin) in logs. A
    percent of an estimated level is tested as a ratio of means: Hauschke, Kieser, Diletti and Burke (1999), Stat. Med. 18:93.
    """
    metric = result.metric
    if metric.margin is None and metric.margin_abs is None:
        return MarginTest()
    bound, reason = _bound(result)
    caveats = (AFTER_LOOKING,) if metric.margin_after_looking else ()
    if bound is None or result.design not in _DESIGNS:
        return MarginTest(notes=(reason or _untested(result.design), *caveats))
    margin = math.expm1(bound) if metric.scale == "log" else bound
    if result.p is None or result.interval is None:
        return MarginTest(margin, notes=caveats)
    sign = 1 if metric.expect == "increase" else -1
    base = None if isinstance(result, Across) else result.base[0]
    scale = ALPHA / margin_level(metric, base)
    reach = (result.interval[1] - result.interval[0]) / 2
    no_worse_p, no_better_p = (min(1.0, scale * _inside_p(result, side, bound, reach)) for side in (sign, -sign))
    worse_p = min(1.0, 2 * float(estimators.above_p(-sign * result.estimate, reach, result.df, bound)))
    return MarginTest(margin, no_worse_p, max(no_worse_p, no_better_p), worse_p, caveats)


def _untested(design: str) -> str:
    alone = design in ("jump", "onset")
    return f"no equivalence{' without a control arm' if alone else ': nothing is compared'}"


def _inside_p(result: Comparison | Across, side: int, bound: float, reach: float) -> float:
    """The one-sided p that the effect times `side` lies above -bound; `reach` is half the width of the 95% interval.

    A percent is one of a mean over the same runs, which the runs' spread leaves as uncertain as the effect: each run's
    number is held against the percent of its own level.
    """
    if result.metric.margin is None or result.metric.scale == "log" or isinstance(result, Across):
        return float(estimators.above_p(side * result.estimate, reach, result.df, -bound))
    shares = result.metric.margin * np.array(result.levels) * np.sign(np.mean(result.levels))
    p = estimators.positive_p(side * np.array(result.values) + shares, side * np.array(result.control_values))
    return float(np.nan_to_num(p, nan=1.0))


def _bound(result: Comparison | Across) -> tuple[float | None, str]:
    """The margin on the scale of the estimate, or None and why there is none."""
    metric = result.metric
    if metric.scale == "log":
        return math.log1p(metric.margin or 0.0), ""
    if isinstance(result, Across):
        return None, "no equivalence: across tasks a change is in units of the metric's range, which a margin is not"
    if metric.margin_abs is not None:
        return metric.margin_abs, ""
    base, reason = result.base
    if base is None:
        return None, reason and f"{reason.replace('no percent', 'no equivalence')}, and the margin is a percent of it"
    return (metric.margin or 0.0) * base, ""
