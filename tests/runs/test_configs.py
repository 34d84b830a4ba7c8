"""What a config says about the training, without what only tells runs apart."""

import pytest

from lib.runs import key_words, settings


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("noise_until", ("noise", "until")),
        ("algo.encoder/lrDecaySteps", ("algo", "encoder", "lr", "decay", "steps")),
        ("LRSchedule", ("lr", "schedule")),
        ("backend", ("backend",)),
        ("step2", ("step", "2")),
        ("", ()),
    ],
)
def test_keys_split_into_words(key, words):
    assert key_words(key) == words


def test_settings_are_flat_and_numbers_are_numbers():
    config = {
        "algo": {"lr": "1e-3", "hidden": [256, "512"], "on": True},
        "env.id": "ALE/Pong-v5",
        "steps": 1000,
        "x": None,
        "flag": True,
    }
    assert settings(config) == {
        "algo.lr": 0.001,
        "algo.hidden.0": 256.0,
        "algo.hidden.1": 512.0,
        "algo.on": True,
        "env.id": "ALE/Pong-v5",
        "steps": 1000.0,
        "x": None,
        "flag": True,
    }


def test_null_and_nan_are_one_value_however_they_arrive():
    first = {"freeze": None, "clip": float("nan"), "on": False}
    same = {"freeze": None, "clip": "nan", "on": False}
    assert settings(first) == settings({"freeze": "null", "clip": "NaN", "on": "False"}) == same
    assert settings({"freeze": "None"}) == {"freeze": None}


@pytest.mark.parametrize(
    "config",
    [
        {"exp_name": "run 3"},
        {"name": "a"},
        {"run": {"id": 7}},
        {"wandb": {"entity": "me"}, "_wandb": {"runtime": 3}, "wandb_project": "p"},
        {"logDir": "out"},
        {"checkpoint": "/data/seed0.pt"},
        {"checkpoint": "../seed0.pt"},
        {"host": "node12"},
        {"group": "a"},
    ],
)
def test_names_paths_hosts_and_wandb_are_no_settings(config):
    assert settings(config) == {}


@pytest.mark.parametrize("key", ["optimizer.name", "env_name", "agent.id", "num_nodes"])
def test_names_of_what_is_trained_are_settings(key):
    assert settings({key: "adam"}) == {key: "adam"}
