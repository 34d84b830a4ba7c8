"""Whole episodes in one tensor, sampled as short sequences."""

import torch
from torch import Tensor


class Episodes:
    """Episodes of equal length, stored as rows of observation, action and reward.

    Row ``t`` of an episode holds the observation at ``t`` and the action and reward that followed it; the last
    row holds the final observation only.

    Parameters
    ----------
    capacity
        Most episodes it will hold.
    length
        Agent steps in an episode.
    obs_dim, action_dim
        Sizes of the observation and action vectors.
    """

    def __init__(self, capacity: int, length: int, obs_dim: int, action_dim: int) -> None:
        self.length, self.obs_dim = length, obs_dim
        self.rows = torch.zeros(capacity * (length + 1), obs_dim + action_dim + 1)
        self.count = 0

    def add(self, episode: Tensor) -> None:
        """Append one episode, ``(length + 1, obs_dim + action_dim + 1)``."""
        start = self.count * (self.length + 1)
        self.rows[start : start + self.length + 1] = episode
        self.count += 1

    def sample(self, batch: int, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw sequences uniformly.

        Returns
        -------
        tuple
            Observations ``(horizon + 1, batch, obs_dim)``, actions ``(horizon, batch, action_dim)`` and rewards
            ``(horizon, batch, 1)``.
        """
        draw = torch.randint(self.count * (self.length + 1 - horizon), (batch,))
        usable = self.length + 1 - horizon
        starts = draw + draw.div(usable, rounding_mode="floor") * horizon
        return self._sequences(starts, horizon)

    def all_sequences(self, horizon: int, last: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Every sequence of the `last` episodes (default: of all), in the shapes of `sample`."""
        first = 0 if last is None else max(0, self.count - last)
        episodes = torch.arange(first, self.count)[:, None] * (self.length + 1)
        starts = (episodes + torch.arange(self.length + 1 - horizon)).flatten()
        return self._sequences(starts, horizon)

    def _sequences(self, starts: Tensor, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
        rows = self.rows[starts + torch.arange(horizon + 1)[:, None]]
        steps = rows[:-1]
        return rows[..., : self.obs_dim], steps[..., self.obs_dim : -1], steps[..., -1:]

    def checkpoint(self) -> dict[str, Tensor | int]:
        """The rows in use, for `restore`."""
        return {"rows": self.rows[: self.count * (self.length + 1)].clone(), "count": self.count}

    def restore(self, saved: dict) -> None:
        """Become the store that `checkpoint` saved."""
        self.rows[: len(saved["rows"])] = saved["rows"]
        self.count = saved["count"]
