"""The methods that the app offers, on batches of studies: by the app's own estimators."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.batches import Array, Batch, Outcome, change, means, outcome, p_only, welch
from benchmarks.simulated import HALF, ROWS, STEPS, TOTAL
from lib.effects.compare import estimators as est
from lib.effects.compare.jumps import MANY, half_width, redrawn_steps
from lib.effects.compare.local_fit import jump_weights
from lib.study import DetachRule, Task
from lib.study.model import Randomised


def fork_t(batch: Batch) -> Outcome:
    """Fork pairs, paired t on after."""
    return outcome(est.mean_t(means(batch.treated)[1] - means(batch.control)[1]))


def fork_signs(batch: Batch) -> Outcome:
    """Fork pairs, sign-flip permutation."""
    delta = means(batch.treated)[1] - means(batch.control)[1]
    return p_only(delta.mean(axis=-1), est.sign_p(delta))


def did_welch(batch: Batch) -> Outcome:
    """Difference in differences, Welch t on each run's d."""
    return welch(change(batch.treated), change(batch.control))


def did(batch: Batch) -> Outcome:
    """Difference in differences by the app's test for arms of these sizes."""
    return outcome(est.difference(change(batch.treated), change(batch.control)))


def did_labels(batch: Batch) -> Outcome:
    """Difference in differences, permutation of the arm labels."""
    d_t, d_c = change(batch.treated), change(batch.control)
    return p_only(d_t.mean(axis=-1) - d_c.mean(axis=-1), est.label_p([d_t], [d_c]))


def ancova(batch: Batch) -> Outcome:
    """ANCOVA on the level before the detach."""
    return outcome(est.ancova(*means(batch.treated), *means(batch.control)))


def jump_of_few_rows(batch: Batch) -> Outcome:
    """The local jump where runs log 5 rows a side within h."""
    every = 4 if batch.treated.shape[1] < MANY else 2
    return jump(batch, rows=np.arange(every - 1, ROWS, every))


def jump(batch: Batch, half: float | None = None, rows: NDArray[np.int64] | None = None) -> Outcome:
    """The local jump, by the app's h for that many runs."""
    return outcome(est.mean_t(jumps_of(batch.treated, half, rows)))


def jumps_of(runs: Array, half: float | None = None, rows: NDArray[np.int64] | None = None) -> Array:
    """Each run's jump (studies, runs), on all its rows or on some."""
    used = np.arange(ROWS) if rows is None else rows
    weights, _ = jump_weights(STEPS[used], HALF, half or half_width(TOTAL, runs.shape[1]))
    return runs[..., used] @ weights[0]


ONSET_LOW, ONSET_HIGH = 0.3, 0.7
ONSET_APART = 0.2  # of the total steps: steps as close as that the app does not take for drawn
ONSET_TASK = Task(
    name="onset", total_steps=TOTAL, detach=DetachRule(ratio_key="ratio", randomised=Randomised(ONSET_LOW, ONSET_HIGH))
)


def onset_steps(studies: int, runs: int, rng: np.random.Generator) -> Array:
    """Detach steps (studies, runs) drawn from the design until the app takes them for drawn: far enough apart."""
    steps = np.zeros((studies, runs))
    while (close := np.ptp(steps, axis=1) <= ONSET_APART * TOTAL).any():
        steps[close] = np.round(rng.uniform(ONSET_LOW, ONSET_HIGH, (int(close.sum()), runs)) * TOTAL)
    return steps


@cache
def _onset_weights(runs: int, draws: int) -> Array:
    """Weights (runs x rows, draws) of the mean jump at the first of the app's redrawn steps, the same for every study."""
    half = half_width(TOTAL, runs)
    jumps = [jump_weights(STEPS, steps, half)[0] for steps in redrawn_steps(ONSET_TASK, runs)[:draws].T]
    return np.concatenate(jumps, axis=1).T / runs


def onset_of_fewer_draws(batch: Batch) -> Outcome:
    """The same on a tenth of the app's draws, which is as exact and ten times as fast."""
    return onset(batch, draws=999)


def onset(batch: Batch, draws: int = est.DRAWS) -> Outcome:
    """Randomised onset: permutation p, interval by t."""
    studies, runs, _ = batch.treated.shape
    half = half_width(TOTAL, runs)
    assert batch.detach_steps is not None
    weights = [jump_weights(STEPS, steps, half)[0] for steps in batch.detach_steps.T]
    jumps = np.stack([(w * batch.treated[:, i]).sum(axis=-1) for i, w in enumerate(weights)], axis=1)
    redrawn = batch.treated.reshape(studies, -1) @ _onset_weights(runs, draws)
    estimate = est.mean_t(jumps)
    p = np.array([est.onset_p(v, r) for v, r in zip(estimate.value, redrawn, strict=True)])
    return Outcome(estimate.value, p, estimate.low, estimate.high)


Groups = tuple[
    list[Array], list[Array]
]  # of each task the scaled numbers of its detached runs, or pairs, and its controls


def scaled_changes(batches: Sequence[Batch]) -> Groups:
    """Each run's d / scale."""
    scales = [scale(b) for b in batches]
    treated, control = (
        [change(rows) for rows in arm] for arm in zip(*((b.treated, b.control) for b in batches), strict=True)
    )
    return [d / s for d, s in zip(treated, scales, strict=True)], [d / s for d, s in zip(control, scales, strict=True)]


def scaled_deltas(batches: Sequence[Batch]) -> Groups:
    """Each pair's difference / scale."""
    deltas = [(means(b.treated)[1] - means(b.control)[1]) / scale(b) for b in batches]
    return deltas, [d[..., :0] for d in deltas]


def scaled_jumps(batches: Sequence[Batch]) -> Groups:
    """Each run's jump / scale, by the h for all runs of the tasks."""
    half = half_width(TOTAL, sum(b.treated.shape[1] for b in batches))
    jumps = [jumps_of(b.treated, half) / scale(b) for b in batches]
    return jumps, [j[..., :0] for j in jumps]


def across_arms(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The mean over tasks of DiD / scale, Welch-Satterthwaite; and what it estimates, by study."""
    return outcome(est.across(*scaled_changes(batches))), across_truth(batches)


def across_labels(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The same by relabelling within tasks."""
    treated, control = scaled_changes(batches)
    return p_only(est.across(treated, control).value, est.label_p(treated, control)), across_truth(batches)


def across_pairs(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The mean over tasks of the pairs' mean difference / scale, Welch-Satterthwaite."""
    return outcome(est.across(*scaled_deltas(batches))), across_truth(batches)


def across_jumps(batches: Sequence[Batch]) -> tuple[Outcome, Array]:
    """The mean over tasks of the mean jump / scale, by the h for all their runs; Welch-Satterthwaite."""
    return outcome(est.across(*scaled_jumps(batches))), across_truth(batches)


def scale(batch: Batch) -> Array:
    """The scale of a task (studies, 1): the range (5 to 95%) of the rows of both arms."""
    rows = np.concatenate([batch.treated, batch.control], axis=1)
    return est.span(rows.reshape(len(rows), -1))[:, None]


def across_truth(batches: Sequence[Batch]) -> Array:
    """What an estimate across tasks is of, by study."""
    return np.mean([b.truth / scale(b)[:, 0] for b in batches], axis=0)
