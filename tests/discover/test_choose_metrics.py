"""Which logged keys are proposed as metrics, and what is said of the others."""

import pytest

from lib.discover import Choices, preselected, propose
from tests.support.discover_kit import looked, run


def not_taken(proposal) -> dict[str, str]:
    """By key that is not taken, why."""
    return {f.value: f.where for f in proposal.findings if f.status == "not taken"}


def metrics(proposal) -> list[str]:
    return [metric.key for metric in proposal.study.metrics]


def test_preselected_keys():
    assert preselected(["a", "train/reward_loss", "train/consistency_loss"]) == ["train/consistency_loss"]
    logged = ["charts/episodic_return", "losses/policy_loss", "losses/td_error", "eval/score", "charts/SPS"]
    assert preselected(logged) == ["charts/episodic_return", "eval/score", "losses/policy_loss", "losses/td_error"]
    assert preselected(["x", "y"]) == []


@pytest.mark.parametrize(
    "key",
    ["consistency_loss/step0", "loss/consistency", "wm/consistency", "losses/model_loss", "worldModel/consistencyLoss"],
)
def test_a_loss_by_another_name_is_proposed_beside_the_original_notebooks_rewards(key):
    proposal = propose(looked(run(keys=["eval/episode_reward", "fps", key])))
    assert metrics(proposal) == ["eval/episode_reward", key]
    assert [m.family for m in proposal.study.metrics] == ["reward", "loss"]
    assert not_taken(proposal) == {}


def test_every_reward_and_loss_that_is_not_proposed_says_why():
    keys = [
        "consistency_loss/step0", "consistency_loss/step1", "consistency_loss/step2", "consistency_loss/step3",
        "consistency_loss/total", "wm/reward_loss", "eval/episode_reward", "eval/return_mean", "eval/return_std", "fps",
    ]  # fmt: skip
    proposal = propose(looked(run(keys=keys)))
    losses = ["consistency_loss/total", "consistency_loss/step0", "consistency_loss/step1"]
    assert metrics(proposal) == ["eval/episode_reward", *losses]
    assert not_taken(proposal) == {
        "consistency_loss/step2": "because 3 losses that come before it are proposed",
        "consistency_loss/step3": "because 3 losses that come before it are proposed",
        "eval/return_mean": "because the rewards of the original notebook are logged",
        "eval/return_std": "because the rewards of the original notebook are logged",
        "wm/reward_loss": "because consistency losses are logged",
    }


def test_a_spread_of_rewards_is_no_reward():
    proposal = propose(looked(run(keys=["rollout/ep_rew_mean", "rollout/ep_rew_std", "train/value_loss"])))
    assert metrics(proposal) == ["rollout/ep_rew_mean", "train/value_loss"]
    assert not_taken(proposal) == {"rollout/ep_rew_std": "because 'std' in its name says that it is no level"}


def test_a_key_without_numbers_is_not_taken():
    keys = ["eval/return", "eval/reward_histogram", "train/loss"]
    seen = {"eval/return": 1.0, "train/loss": 0.5}
    proposal = propose(looked(run(keys=keys), lowest=seen, whole=True))
    assert metrics(proposal) == ["eval/return", "train/loss"]
    assert not_taken(proposal) == {"eval/reward_histogram": "because no number was logged"}


def test_what_the_user_leaves_out_is_said():
    seen = looked(run(keys=["eval/episode_reward", "train/consistency_loss", "train/reward_loss"]))
    chosen = tuple(metric for metric in propose(seen).study.metrics if metric.family == "reward")
    assert not_taken(propose(seen, Choices(metrics=chosen))) == {
        "train/consistency_loss": "because you left it out",
        "train/reward_loss": "because the losses of the original notebook are logged",
    }
