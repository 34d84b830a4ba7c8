"""Learning curves as reinforcement learning logs them, by the thousand: what the calibration draws its studies from.

Choices, all on a scale where training takes 1 and a good policy earns about 1:

- a curve is asymptote x shape + drift + noise, 200 rows per run, the detach at half of training;
- `saturating`: 1 - exp(-rate (u - delay)), `sigmoid`: a logistic rise (from 10 to 90% in about 0.37) with its middle in
  0.4-0.6, `linear`: u to a power in 0.8-1.2, `loss`: a log loss that falls like 1 - exp and slowly climbs again;
  `steep` is a stress test beyond these: half the noise, and a sigmoid that rises in 0.22, about the detach; `sparse` are
  rewards of 0 or 1, none at first and about one row in six at the detach, whose rate is the curve;
- asymptote, rate and delay differ from seed to seed; noise is AR(1) (0.6 a row) and grows with the level; drift is a
  slow sine of random phase and period;
- a fork pair shares parameters and every row up to the detach, then has independent noise and wanders apart;
- a true effect is a fraction of the run's own level at the detach, different from run to run (sd half its mean); it comes
  at once or gradually.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOTAL = 100_000
ROWS = 200
STEPS = np.arange(1, ROWS + 1) * (TOTAL // ROWS)
HALF = TOTAL // 2
U = STEPS / TOTAL
FAMILIES = ("saturating", "sigmoid", "linear", "loss")
STRESS = "steep"
SPARSE = "sparse"
_RARE = 0.2  # the share of rows with a reward that a sparse curve rises to

_NOISE, _AR, _DRIFT, _APART = 0.10, 0.6, 0.05, 0.10
_GRADUAL = 0.1  # of training: time constant of a gradual effect and of forks wandering apart


@dataclass(frozen=True)
class Effect:
    """A true effect: its mean as a fraction of the level at the detach, and whether it comes gradually."""

    size: float = 0.0
    gradual: bool = False

    def course(self, u: Array, detach: Array | float = 0.5) -> Array:
        """The share of the effect in force at time u."""
        since = np.clip(u - np.asarray(detach), 0, None)
        return 1 - np.exp(-since / _GRADUAL) if self.gradual else (since > 0).astype(float)


NULL = Effect()


@dataclass(frozen=True)
class Truth:
    """The noise-free curves of a batch of runs (..., rows) and their noise scale."""

    curve: Array
    noise: Array
    level: Array  # (...,) at the detach


def truth(family: str, shape: tuple[int, ...], rng: np.random.Generator) -> Truth:
    """Draw the parameters of runs (shape) and give their curves (*shape, rows)."""
    draw = (*shape, 1)
    asymptote = rng.normal(1.0, 0.2, draw)
    rate = rng.lognormal(0.0, 0.3, draw)
    if family == "saturating":
        form = 1 - np.exp(-4 * rate * np.clip(U - rng.uniform(0, 0.15, draw), 0, None))
    elif family in ("sigmoid", STRESS):
        form = 1 / (1 + np.exp(-(12 if family == "sigmoid" else 20) * rate * (U - rng.uniform(0.4, 0.6, draw))))
    elif family == "linear":
        form = U ** rng.uniform(0.8, 1.2, draw)
    elif family == SPARSE:
        rises = 1 - np.exp(-4 * rate * np.clip(U - rng.uniform(0.1, 0.35, draw), 0, None))
        curve = _RARE * np.clip(asymptote, 0, None) * rises
        return Truth(curve, np.ones_like(curve), curve[..., HALF * ROWS // TOTAL - 1])
    elif family == "loss":
        form = np.exp(-6 * rate * U) + rng.uniform(0, 0.3, draw) * U - 1
    else:
        raise ValueError(family)
    drift = _DRIFT * np.sin(2 * np.pi * (U / rng.uniform(0.5, 2.0, draw) + rng.uniform(0, 1, draw)))
    curve = asymptote * form
    noise = _NOISE * (0.5 if family == STRESS else 1) * (0.3 + 0.7 * np.abs(form))
    return Truth(curve + drift, noise, np.abs(curve[..., HALF * ROWS // TOTAL - 1]))


def noise(scale: Array, rng: np.random.Generator) -> Array:
    """AR(1) noise of unit stationary variance along the last axis, times its scale."""
    from scipy.signal import lfilter

    fresh = rng.normal(size=scale.shape) * np.sqrt(1 - _AR**2)
    fresh[..., 0] /= np.sqrt(1 - _AR**2)
    return scale * lfilter([1.0], [1.0, -_AR], fresh, axis=-1)


def apart(family: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """What makes two runs of one history differ after the detach, besides noise."""
    size = _APART * (_RARE if family == SPARSE else 1)
    return rng.normal(0, size, (*shape, 1)) * Effect(gradual=True).course(U)


def _noise_of(family: str, scale: Array, rng: np.random.Generator) -> Array:
    """What is added to a curve: noise, or of sparse rewards the chance that each row's rate has to exceed."""
    return -rng.uniform(size=scale.shape) if family == SPARSE else noise(scale, rng)


def logged(family: str, values: Array) -> Array:
    """The rows that are logged: the values, or of sparse rewards whether there is one."""
    return (values > 0).astype(float) if family == SPARSE else values


def effect_of(effect: Effect, level: Array, rng: np.random.Generator, detach: Array | float = 0.5) -> Array:
    """The effect on each run (..., rows): a fraction of its own level, with a spread of half its mean."""
    return effect.size * _share_of(level, rng)[..., None] * effect.course(U, detach)


def _share_of(level: Array, rng: np.random.Generator) -> Array:
    """What an effect of size 1 is on each run."""
    return level * rng.normal(1.0, 0.5, level.shape)


@dataclass(frozen=True)
class Draw:
    """Runs of two arms, (studies, n, rows), of which one can be given any effect.

    `values` are those of the detached runs before it, `control` the rows of the others, and `level` (studies, n) is what a
    size of 1 adds to each detached run.
    """

    family: str
    values: Array
    control: Array
    level: Array

    def treated(self, effect: Effect) -> Array:
        """The rows of the detached runs."""
        return logged(self.family, self.values + effect.size * self.level[..., None] * effect.course(U))


def draw_arms(family: str, studies: int, n_t: int, n_c: int, rng: np.random.Generator) -> Draw:
    """Independent runs: detached (studies, n_t, rows) and control (studies, n_c, rows)."""
    both = truth(family, (studies, n_t + n_c), rng)
    values = both.curve + _noise_of(family, both.noise, rng)
    return Draw(family, values[:, :n_t], logged(family, values[:, n_t:]), _share_of(both.level[:, :n_t], rng))


def arms(
    family: str, studies: int, n_t: int, n_c: int, effect: Effect, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The rows of independent runs: detached and control."""
    drawn = draw_arms(family, studies, n_t, n_c, rng)
    return drawn.treated(effect), drawn.control


@cache
def mean_curve(family: str) -> Array:
    """The mean noise-free curve (rows,) over the population of runs."""
    rng = np.random.default_rng(98)
    return np.mean([truth(family, (5_000,), rng).curve.mean(axis=0) for _ in range(20)], axis=0)


def spread_out(family: str, rows: Array, factor: float) -> Array:
    """Runs so many times as far from the mean curve: their mean stays, the spread of what is made of them is `factor` of it."""
    return rows if factor == 1 else mean_curve(family) + factor * (rows - mean_curve(family))


def draw_forks(family: str, studies: int, n: int, rng: np.random.Generator) -> Draw:
    """Fork pairs: detached and control (studies, n, rows), equal up to the detach."""
    shared = truth(family, (studies, n), rng)
    first = _noise_of(family, shared.noise, rng)
    later, memory = U > 0.5, 0.0 if family == SPARSE else _AR
    arms = []
    for _ in range(2):
        fresh_noise = _noise_of(family, shared.noise, rng)
        # the AR(1) state at the detach carries over, then fresh noise takes its place
        since = np.clip(np.arange(ROWS) - (ROWS // 2 - 1), 0, None)
        carried = first[..., [ROWS // 2 - 1]] * memory**since
        fresh = fresh_noise - fresh_noise[..., [ROWS // 2 - 1]] * memory**since
        arms.append(shared.curve + np.where(later, carried + fresh + apart(family, (studies, n), rng), first))
    detached, control = arms
    return Draw(family, detached, logged(family, control), _share_of(shared.level, rng))


def forks(family: str, studies: int, n: int, effect: Effect, rng: np.random.Generator) -> tuple[Array, Array]:
    """The rows of fork pairs: detached and control."""
    drawn = draw_forks(family, studies, n, rng)
    return drawn.treated(effect), drawn.control


def detached_only(
    family: str, studies: int, n: int, effect: Effect, rng: np.random.Generator, detach: Array | float = 0.5
) -> Array:
    """Detached runs without a control arm (studies, n, rows); `detach` may give each run its own time of it (studies, n, 1)."""
    runs = truth(family, (studies, n), rng)
    values = runs.curve + _noise_of(family, runs.noise, rng)
    return logged(family, values + effect_of(effect, runs.level, rng, detach))
