"""Every method that the calibration judges, with the sizes at which the app offers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import offered_methods as offered
from benchmarks import refused_methods as refused
from lib.effects.compare.comparison import FEWEST, FEWEST_LABELS, FEWEST_SIGNS
from lib.effects.compare.estimators import welch_fails


@dataclass(frozen=True)
class Method:
    """A method with the sizes (n_t, n_c) at which the app offers it; None where it never does."""

    name: str
    design: str
    run: Callable[..., Any]
    sizes: Callable[[int, int], bool] | None = None

    def offered(self, n_t: int, n_c: int) -> bool:
        """Whether the app offers the method for arms of these sizes."""
        return self.sizes is not None and self.sizes(n_t, n_c)


def _enough(n_t: int, n_c: int) -> bool:
    return min(n_t, n_c) >= FEWEST and not welch_fails(n_t, n_c)


def _unequal(n_t: int, n_c: int) -> bool:
    return min(n_t, n_c) >= FEWEST and welch_fails(n_t, n_c)


def _runs(n_t: int, n_c: int) -> bool:
    return n_t >= FEWEST


METHODS = (
    Method("fork pairs, paired t", "fork", offered.fork_t, _runs),
    Method("fork pairs, sign-flip", "fork", offered.fork_signs, lambda n_t, n_c: n_t >= FEWEST_SIGNS),
    Method("fork pairs, every run twice", "fork", refused.copies(offered.fork_t, 2)),
    Method("fork pairs, every run three times", "fork", refused.copies(offered.fork_t, 3)),
    Method("fork pairs taken as unpaired, Welch", "fork", refused.fork_as_did),
    Method("DiD, Welch", "did", offered.did_welch, _enough),
    Method("DiD, Welch, the smaller arm's df", "did", offered.did, _unequal),
    Method("DiD, label permutation", "did", offered.did_labels, lambda n_t, n_c: n_t == n_c >= FEWEST_LABELS),
    Method("ANCOVA", "did", offered.ancova, lambda n_t, n_c: n_t == n_c >= FEWEST),
    Method("row-level DiD, OLS", "did", refused.did_rows),
    Method("DiD, every run twice", "did", refused.copies(offered.did_welch, 2)),
    Method("DiD, every run three times", "did", refused.copies(offered.did_welch, 3)),
    Method("DiD, percentile bootstrap", "did", refused.did_percentile),
    Method("DiD, BCa bootstrap", "did", refused.did_bca),
    Method("DiD, best of six windows", "did", refused.best_window),
    Method("local jump, t", "jump", offered.jump, _runs),
    Method("local jump, 5 rows a side", "jump", offered.jump_of_few_rows, _runs),
    Method("local jump, h = 10% at any n", "jump", refused.jump_wide),
    Method("local jump, 3 rows a side", "jump", refused.jump_sparse),
    Method("local jump, smoothed series", "jump", refused.jump_smoothed),
    Method("pooled rows, Welch", "jump", refused.pooled_rows),
    Method("before/after, paired t", "jump", refused.paired_t),
    Method("before/after in 10% windows, paired t", "jump", refused.paired_local),
    Method("before/after, percentile bootstrap", "jump", refused.percentile_alone),
    Method("gap to a linear trend, t", "jump", refused.trend_gap),
    Method("segmented regression, Newey-West", "jump", refused.segmented),
    Method("randomised onset", "onset", offered.onset_of_fewer_draws, _runs),
)
POWER_OF_REFUSED = ("fork pairs taken as unpaired, Welch", "local jump, 3 rows a side", "local jump, smoothed series")
ACROSS = (
    Method("across tasks, Welch-Satterthwaite", "tasks", offered.across_arms, _enough),
    Method("across tasks, labels within tasks", "tasks", offered.across_labels, _enough),
    Method("across tasks of pairs, Welch-Satterthwaite", "tasks of pairs", offered.across_pairs, _runs),
    Method("across tasks of pairs, taken as unpaired", "tasks of pairs", offered.across_arms),
    Method(
        "across tasks of jumps, Welch-Satterthwaite", "tasks of jumps", offered.across_jumps, lambda n_t, n_c: n_t >= 2
    ),
    Method("across tasks of jumps, h of each task", "tasks of jumps", refused.across_wide_jumps),
)
