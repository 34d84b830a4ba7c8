"""The training loop: act, learn, evaluate, and yield the rows that a run logs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from examples.detach_agent.agent import Agent
from examples.detach_agent.config import RunConfig
from examples.detach_agent.environment import Environment
from examples.detach_agent.replay import Episodes

Row = dict[str, float]
LOSSES = ("train/consistency_loss", "train/reward_loss", "train/value_loss")
TRAIN_EPISODES, EVAL_EPISODES = 0, 1
RECENT_EPISODES = 2


class Trainer:
    """One run in progress. Its whole state between two episodes can be saved and continued.

    Parameters
    ----------
    config
        The run. Nothing else decides how it goes: the same config gives the same rows on the same machine.
    """

    def __init__(self, config: RunConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        length = config.episode_steps // config.action_repeat
        self.env, *self.eval_envs = (
            Environment(config.task, config.action_repeat, length) for _ in range(1 + config.eval_episodes)
        )
        dims = self.env.obs_dim, self.env.action_dim
        self.agent = Agent(config, *dims)
        episodes = config.steps // config.episode_steps
        self.replay = Episodes(episodes, length, *dims)
        self.held_out = Episodes(episodes, length, *dims)
        self.step = 0
        self.losses = torch.zeros(len(LOSSES))
        self.updates_since_row = 0

    def rows(self, until: int) -> Iterator[tuple[int, Row]]:
        """Train on to step `until`, a multiple of the episode length, yielding ``(step, row)`` in order.

        The rows of a step describe the agent before anything after that step: with a detach at step T, the
        rows at T still belong to an encoder that learns.
        """
        if until % self.config.episode_steps:
            raise ValueError(f"training stops between episodes, at multiples of {self.config.episode_steps}")
        if self.step == 0:
            yield 0, self._evaluation()
        while self.step < until:
            yield from self._episode()

    def _episode(self) -> Iterator[tuple[int, Row]]:
        """Play and learn through one episode."""
        config = self.config
        number = self.step // config.episode_steps + 1
        episode, total, over = [], 0.0, False
        obs = self.env.reset([config.seed, TRAIN_EPISODES, number])
        while not over:
            action = self._action(obs)
            next_obs, reward, over = self.env.step(action)
            episode.append(np.concatenate([obs, action, [reward / config.action_repeat]], dtype=np.float32))
            obs, total = next_obs, total + reward
            self.step += config.action_repeat
            self._learn()
            if over:
                final = np.concatenate([obs, np.zeros(self.env.action_dim + 1)], dtype=np.float32)
                self._store(number, np.stack([*episode, final]))
            row = self._row(total if over else None)
            if row:
                yield self.step, row

    def _action(self, obs: np.ndarray) -> np.ndarray:
        if self.step < self.config.warmup_steps:
            return torch.rand(self.env.action_dim).mul_(2).sub_(1).numpy()
        noise = self.config.exploration_noise(self.step)
        return self.agent.act(torch.from_numpy(obs)[None], noise)[0].numpy()

    def _learn(self) -> None:
        """Detach the encoder if it is time, and take a gradient step if one is due."""
        config = self.config
        past_detach = config.detach_step is not None and self.step > config.detach_step
        if past_detach and self.agent.encoder_lr > 0:
            self.agent.detach_encoder()
            self._forget_losses()
        if self.step > config.warmup_steps and self.step % config.update_every == 0:
            self.losses += self.agent.update(*self.replay.sample(config.batch_size, config.horizon))
            self.updates_since_row += 1

    def _store(self, number: int, episode: np.ndarray) -> None:
        """Keep a finished episode: every tenth (by default) is held out from training."""
        held_out = number % self.config.held_out_every == 0
        (self.held_out if held_out else self.replay).add(torch.from_numpy(episode))

    def _row(self, episode_reward: float | None) -> Row:
        """What is due to be logged at this step; `episode_reward` where an episode has just ended."""
        config, row = self.config, {}
        if episode_reward is not None:
            row["train/episode_reward"] = episode_reward
        if self.step % config.log_every == 0:
            row |= {"train/total_env_steps": self.step, "train/encoder_lr": self.agent.encoder_lr}
            if self.updates_since_row:
                row |= zip(LOSSES, (self.losses / self.updates_since_row).tolist(), strict=True)
            self._forget_losses()
        if self.step % config.validate_every == 0 and self.held_out.count:
            row |= self._validation()
        if self.step % config.eval_every == 0:
            row |= self._evaluation()
        return row

    def _forget_losses(self) -> None:
        self.losses.zero_()
        self.updates_since_row = 0

    def _validation(self) -> Row:
        """Consistency loss on all held-out episodes and on the most recent of them."""
        row = {}
        for name, last in (("validation_all", None), ("validation_recent", RECENT_EPISODES)):
            obs, actions, _ = self.held_out.all_sequences(self.config.horizon, last)
            row[f"{name}/consistency_loss"] = self.agent.consistency(obs, actions)
        return row

    def _evaluation(self) -> Row:
        """Mean reward of fresh episodes without noise, played side by side."""
        seeds = [[self.config.seed, EVAL_EPISODES, self.step, i] for i in range(len(self.eval_envs))]
        obs = [env.reset(seed) for env, seed in zip(self.eval_envs, seeds, strict=True)]
        total, over = 0.0, False
        while not over:
            actions = self.agent.act(torch.from_numpy(np.stack(obs))).numpy()
            results = [env.step(action) for env, action in zip(self.eval_envs, actions, strict=True)]
            obs = [result[0] for result in results]
            total += sum(result[1] for result in results)
            over = results[0][2]
        return {"eval/episode_reward": total / len(self.eval_envs)}

    def save(self, path: Path, logged: list[tuple[int, Row]]) -> None:
        """Write everything needed to continue, with the rows `logged` so far, atomically to `path`."""
        state = {
            "step": self.step,
            "agent": self.agent.checkpoint(),
            "replay": self.replay.checkpoint(),
            "held_out": self.held_out.checkpoint(),
            "losses": self.losses,
            "updates_since_row": self.updates_since_row,
            "rng": torch.get_rng_state(),
            "logged": logged,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    @classmethod
    def resume(cls, config: RunConfig, path: Path) -> tuple["Trainer", list[tuple[int, Row]]]:
        """Continue from `save`, under a config that may differ in what comes next; returns the logged rows too."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        trainer = cls(config)
        trainer.step = state["step"]
        trainer.agent.restore(state["agent"])
        trainer.replay.restore(state["replay"])
        trainer.held_out.restore(state["held_out"])
        trainer.losses, trainer.updates_since_row = state["losses"], state["updates_since_row"]
        torch.set_rng_state(state["rng"])
        return trainer, [(step, row) for step, row in state["logged"]]
