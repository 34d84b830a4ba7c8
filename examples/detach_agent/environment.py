"""dm_control tasks as vectors: flat observations, actions in [-1, 1], repeated actions."""

import numpy as np
from dm_control import suite


class Environment:
    """One dm_control task.

    Episodes are seeded one by one, so an environment between two episodes has no state worth saving.

    Parameters
    ----------
    task
        Domain and task joined by a hyphen.
    action_repeat
        Environment steps for each action.
    length
        Actions in an episode. A task that ends its own episodes earlier is not supported.
    """

    def __init__(self, task: str, action_repeat: int, length: int) -> None:
        domain, name = task.split("-", 1)
        self._env = suite.load(domain, name, task_kwargs={"random": 0})
        self.action_repeat = action_repeat
        self.length = length
        self.played = 0
        self.obs_dim = sum(int(np.prod(spec.shape)) for spec in self._env.observation_spec().values())
        self.action_dim = self._env.action_spec().shape[0]

    def reset(self, seed: list[int]) -> np.ndarray:
        """Begin the episode that this seed determines; returns the observation ``(obs_dim,)``."""
        self.played = 0
        self._env.task.random.seed(seed)
        return self._flat(self._env.reset().observation)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Apply `action` `action_repeat` times.

        Returns
        -------
        tuple
            The observation, the sum of the rewards, and whether the episode is over.
        """
        reward = 0.0
        self.played += 1
        for _ in range(self.action_repeat):
            timestep = self._env.step(action)
            reward += float(timestep.reward)
        return self._flat(timestep.observation), reward, self.played == self.length

    @staticmethod
    def _flat(observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([np.ravel(part) for part in observation.values()]).astype(np.float32)
