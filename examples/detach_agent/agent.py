"""The agent: an encoder, a latent world model trained by self-prediction, and TD3 on the latent."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.detach_agent.config import RunConfig


class MLP(nn.Module):
    """One hidden layer, layer-normalised; `ensemble` independent copies evaluated at once if asked.

    Input ``(batch, inputs)``; output ``(batch, outputs)``, or ``(ensemble, batch, outputs)``.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, ensemble: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        lead = (ensemble,) if ensemble else ()
        self.hidden = hidden
        self.weight1 = nn.Parameter(torch.randn(*lead, inputs, hidden) / inputs**0.5)
        self.bias1 = nn.Parameter(torch.zeros(*lead, 1, hidden))
        self.weight2 = nn.Parameter(torch.randn(*lead, hidden, outputs) * (gain / hidden**0.5))
        self.bias2 = nn.Parameter(torch.zeros(*lead, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to the last dimension of `x`."""
        x = F.layer_norm(x @ self.weight1 + self.bias1, (self.hidden,))
        return F.relu(x) @ self.weight2 + self.bias2


def simnorm(x: Tensor, group: int) -> Tensor:
    """Normalise the last dimension to simplices of `group` entries: a softmax within each group (TD-MPC2).

    A group's entries lie a stride apart, which is several times faster than side by side.
    """
    return x.unflatten(-1, (group, -1)).softmax(-2).flatten(-2)


class Agent(nn.Module):
    """Networks, optimisers and the update.

    There is no moving-average copy of the encoder: the target of the consistency loss is the encoder itself
    with its gradient stopped, so after a detach the targets stand still as well.

    Parameters
    ----------
    config
        The run's hyperparameters.
    obs_dim, action_dim
        Sizes of the observation and action vectors.
    """

    def __init__(self, config: RunConfig, obs_dim: int, action_dim: int) -> None:
        super().__init__()
        latent, hidden = config.latent_dim, config.hidden_dim
        self.config = config
        self.encoder = MLP(obs_dim, hidden, latent)
        self.dynamics = MLP(latent + action_dim, hidden, latent)
        self.reward = MLP(latent + action_dim, hidden, 1, gain=0.1)
        self.critic = MLP(latent + action_dim, hidden, 1, ensemble=2, gain=0.1)
        self.policy = MLP(latent, hidden, action_dim, gain=0.1)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        heads = [*self.dynamics.parameters(), *self.reward.parameters(), *self.critic.parameters()]
        groups = [
            {"params": list(self.encoder.parameters()), "lr": config.encoder_learning_rate},
            {"params": heads},
        ]
        self.model_optimiser = torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
        self.policy_parameters = list(self.policy.parameters())
        self.policy_optimiser = torch.optim.Adam(self.policy_parameters, lr=config.learning_rate, fused=True)
        self.updates = 0

    @property
    def encoder_lr(self) -> float:
        """The learning rate the encoder trains with: 0 once it is detached."""
        return self.model_optimiser.param_groups[0]["lr"]

    def detach_encoder(self) -> None:
        """Freeze the encoder: from here on it gets no gradient and the optimiser passes it over."""
        self.encoder.requires_grad_(False)
        self.model_optimiser.param_groups[0]["lr"] = 0.0
        for parameter in self.encoder.parameters():
            parameter.grad = None

    def encode(self, obs: Tensor) -> Tensor:
        """Observations ``(..., obs_dim)`` to latents ``(..., latent_dim)``."""
        return simnorm(self.encoder(obs), self.config.simnorm_dim)

    @torch.no_grad()
    def act(self, obs: Tensor, noise: float = 0.0) -> Tensor:
        """Actions in [-1, 1] for observations ``(n, obs_dim)``, with Gaussian noise of this deviation."""
        action = self.policy(self.encode(obs)).tanh()
        if noise > 0.0:
            action = (action + noise * torch.randn_like(action)).clamp(-1.0, 1.0)
        return action

    def rollout(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Encode `obs` ``(batch, obs_dim)`` and predict through `actions` ``(horizon, batch, action_dim)``.

        Returns
        -------
        Tensor
            ``(horizon + 1, batch, latent_dim)``: the encoded latent, then the predicted ones.
        """
        latents = [self.encode(obs)]
        for action in actions.unbind():
            predicted = self.dynamics(torch.cat([latents[-1], action], -1))
            latents.append(simnorm(predicted, self.config.simnorm_dim))
        return torch.stack(latents)

    @torch.no_grad()
    def consistency(self, obs: Tensor, actions: Tensor) -> float:
        """Consistency loss of sequences ``(horizon + 1, n, obs_dim)`` and ``(horizon, n, action_dim)``."""
        return F.mse_loss(self.rollout(obs[0], actions)[1:], self.encode(obs[1:])).item()

    def update(self, obs: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Take one gradient step on a batch of sequences.

        Parameters
        ----------
        obs
            ``(horizon + 1, batch, obs_dim)``
        actions
            ``(horizon, batch, action_dim)``
        rewards
            ``(horizon, batch, 1)``

        Returns
        -------
        Tensor
            The consistency, reward and value losses, shape ``(3,)``.
        """
        with torch.no_grad():
            targets = self.encode(obs[1:])
            values = self._value_targets(targets[-1], rewards)
        latents = self.rollout(obs[0], actions)
        inputs = torch.cat([latents[:-1], actions], -1).flatten(0, 1)
        consistency = F.mse_loss(latents[1:], targets)
        reward = F.mse_loss(self.reward(inputs), rewards.flatten(0, 1))
        value = 2 * F.mse_loss(self.critic(inputs), values.expand(2, -1, -1))
        self.model_optimiser.zero_grad()
        (self.config.consistency_weight * consistency + reward + value).backward()
        self.model_optimiser.step()
        self.updates += 1
        if self.updates % self.config.policy_every == 0:
            self._update_policy(targets.flatten(0, 1))
        return torch.stack([consistency, reward, value]).detach()

    def _value_targets(self, last_latent: Tensor, rewards: Tensor) -> Tensor:
        """Returns to the end of each sequence and a TD3 value from there, ``(horizon * batch, 1)``.

        `last_latent` is ``(batch, latent_dim)``; the first target spans `horizon` rewards, the last one.
        """
        config = self.config
        action = self.policy(last_latent).tanh()
        clip = config.target_noise_clip
        noise = (config.target_noise * torch.randn_like(action)).clamp(-clip, clip)
        action = (action + noise).clamp(-1.0, 1.0)
        value = self.target_critic(torch.cat([last_latent, action], -1)).amin(0)
        targets: list[Tensor] = []
        for reward in reversed(rewards.unbind()):
            value = config.value_scale * reward + config.discount * value
            targets.insert(0, value)
        return torch.cat(targets)

    def _update_policy(self, latents: Tensor) -> None:
        """Climb the mean critic at `latents` ``(n, latent_dim)`` and let the target critic follow."""
        action = self.policy(latents).tanh()
        loss = -self.critic(torch.cat([latents, action], -1)).mean()
        gradients = torch.autograd.grad(loss, self.policy_parameters)
        for parameter, gradient in zip(self.policy_parameters, gradients, strict=True):
            parameter.grad = gradient
        self.policy_optimiser.step()
        with torch.no_grad():
            for target, source in zip(self.target_critic.parameters(), self.critic.parameters(), strict=True):
                target.lerp_(source, self.config.target_rate)

    def checkpoint(self) -> dict[str, Any]:
        """Networks and optimisers, for `restore`."""
        return {
            "networks": self.state_dict(),
            "model_optimiser": self.model_optimiser.state_dict(),
            "policy_optimiser": self.policy_optimiser.state_dict(),
            "updates": self.updates,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Become the agent that `checkpoint` saved."""
        self.load_state_dict(saved["networks"])
        self.model_optimiser.load_state_dict(saved["model_optimiser"])
        self.policy_optimiser.load_state_dict(saved["policy_optimiser"])
        self.updates = saved["updates"]
