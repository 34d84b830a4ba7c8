"""What defines one training run: its task, seed, detach treatment and hyperparameters."""

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides how a run goes; it is logged whole as the run's config.

    All steps are environment steps; the agent acts once every `action_repeat` of them.

    Parameters
    ----------
    task
        dm_control domain and task joined by a hyphen, e.g. ``cartpole-swingup``.
    episode_steps
        Length of an episode; 1,000 is the suite's own, and the most it allows.
    detach_step
        Last step after which the encoder may still learn; None in the control arm.
    exploration_end_step
        Where the linear annealing of the exploration noise ends.
    warmup_steps
        Uniformly random actions and no updates up to this step.
    """

    task: str
    seed: int
    steps: int = 100_000
    episode_steps: int = 1_000
    detach_step: int | None = None
    agent: str = "self-predictive TD3"
    latent_dim: int = 64
    hidden_dim: int = 128
    simnorm_dim: int = 8
    batch_size: int = 64
    horizon: int = 2
    action_repeat: int = 2
    update_every: int = 4
    discount: float = 0.99
    learning_rate: float = 5e-4
    encoder_learning_rate: float = 1e-3
    value_scale: float = 0.3
    consistency_weight: float = 2.0
    policy_every: int = 2
    target_rate: float = 0.02
    target_noise: float = 0.2
    target_noise_clip: float = 0.3
    warmup_steps: int = 3_000
    exploration_start: float = 1.0
    exploration_end: float = 0.1
    exploration_end_step: int = 25_000
    eval_every: int = 5_000
    eval_episodes: int = 3
    log_every: int = 500
    validate_every: int = 1_000
    held_out_every: int = 10

    def exploration_noise(self, step: int) -> float:
        """Standard deviation of the exploration noise at `step`."""
        done = min(1.0, step / self.exploration_end_step)
        return self.exploration_start + done * (self.exploration_end - self.exploration_start)

    def logged(self) -> dict[str, object]:
        """The config as the run logs it: with `detach_encoder_ratio`, the elapsed part of training (0: never)."""
        ratio = 0.0 if self.detach_step is None else self.detach_step / self.steps
        return asdict(self) | {"detach_encoder_ratio": ratio}


def draw_detach_step(seed: int, steps: int, low: float = 0.3, high: float = 0.7) -> int:
    """Draw a run's detach step, uniform over the whole steps in ``[low * steps, high * steps]``.

    The generator is seeded with the run's seed and length alone, so the draw can be made again and nobody chose it.
    """
    rng = np.random.default_rng([seed, steps])
    return int(rng.integers(round(low * steps), round(high * steps), endpoint=True))
