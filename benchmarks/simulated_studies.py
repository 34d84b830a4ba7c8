"""Whole studies of any mix of designs, as arrays.

A study has two rewards and three log losses per task. Metrics of one run go together as far as the demo's do (its per-run
changes correlate by 0.4 among rewards and by 0.7 to 0.9 among losses).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from scipy.special import ndtr

from benchmarks import simulated as sim
from benchmarks.batches import Array, Batch
from benchmarks.offered_methods import onset_steps

REWARDS, LOSSES = ("train/reward", "eval/reward"), ("train/loss", "validation/loss", "recent/loss")
METRICS = (*REWARDS, *LOSSES)
REWARD_FAMILIES = ("sigmoid", sim.STRESS, "saturating", "linear")  # of the tasks, in turn
_ALIKE = {REWARDS: 0.4, LOSSES: 0.8}  # correlation of the metrics


@dataclass(frozen=True)
class Plan:
    """One task's design: `fork` pairs, unpaired arms (`did`), detach steps drawn at random (`onset`), or detached runs alone
    (`jump`); the detached runs lie `spread` times as far apart as the controls.
    """

    design: str
    n_t: int
    n_c: int = 0
    spread: float = 1.0
    effect: sim.Effect = sim.NULL


@dataclass(frozen=True)
class Mix:
    """The designs that the tasks of a study have, in turn, and whether its losses are secondary.

    `share` is how many of the requested studies are made: mixes need them most.
    """

    name: str
    plans: tuple[Plan, ...]
    two_roles: bool = False
    share: float = 0.5


@dataclass(frozen=True)
class TaskDraw:
    """One task of many studies: a batch per metric, in the order of `METRICS`."""

    key: str
    plan: Plan
    metrics: tuple[Batch, ...]


class Correlated:
    """Random draws whose first axis holds blocks of equal length; a draw correlates with its like in the other blocks."""

    def __init__(self, rng: np.random.Generator, blocks: int, correlation: float) -> None:
        self._rng, self._blocks, self._correlation = rng, blocks, correlation

    def normal(self, mean: float = 0.0, sd: float = 1.0, size: Sequence[int] = ()) -> Array:
        """Normal draws."""
        shared = self._rng.normal(size=(size[0] // self._blocks, *size[1:]))
        own = self._rng.normal(size=size).reshape(self._blocks, *shared.shape)
        mixed = np.sqrt(self._correlation) * shared + np.sqrt(1 - self._correlation) * own
        return mean + sd * mixed.reshape(size)

    def lognormal(self, mean: float, sd: float, size: Sequence[int]) -> Array:
        """Draws whose logarithm is normal."""
        return np.exp(self.normal(mean, sd, size))

    def uniform(self, low: float, high: float, size: Sequence[int]) -> Array:
        """Uniform draws."""
        return low + (high - low) * ndtr(self.normal(size=size))


def draw_studies(mix: Mix, first: int, tasks: int, studies: int, rng: np.random.Generator) -> list[TaskDraw]:
    """Every task of so many studies, from the mix's `first` design on."""
    plans = islice(zip(cycle(mix.plans), cycle(REWARD_FAMILIES), strict=False), first, first + tasks)
    return [_draw_task(f"task {i}", plan, family, studies, rng) for i, (plan, family) in enumerate(plans)]


def _draw_task(key: str, plan: Plan, family: str, studies: int, rng: np.random.Generator) -> TaskDraw:
    steps = None
    if plan.design == "onset":
        steps = onset_steps(studies, plan.n_t, rng)
    metrics: list[Batch] = []
    for keys, form in ((REWARDS, family), (LOSSES, "loss")):
        draws = Correlated(rng, len(keys), _ALIKE[keys])
        detach = 0.5 if steps is None else np.tile(steps, (len(keys), 1))[..., None] / sim.TOTAL
        both = _draw_arms(plan, form, len(keys) * studies, detach, draws)
        arms = [rows.reshape(len(keys), studies, -1, sim.ROWS) for rows in both]
        metrics += [Batch(treated, control, 0.0, steps) for treated, control in zip(*arms, strict=True)]
    return TaskDraw(key, plan, tuple(metrics))


def _draw_arms(plan: Plan, family: str, studies: int, detach: Array | float, rng: Correlated) -> tuple[Array, Array]:
    if plan.design == "fork":
        return sim.forks(family, studies, plan.n_t, plan.effect, rng)
    if plan.design == "did":
        treated, control = sim.arms(family, studies, plan.n_t, plan.n_c, plan.effect, rng)
        return sim.spread_out(family, treated, plan.spread), control
    treated = sim.detached_only(family, studies, plan.n_t, plan.effect, rng, detach)
    return treated, np.empty((studies, 0, sim.ROWS))
