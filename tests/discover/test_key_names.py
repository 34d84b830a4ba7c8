"""What the names of logged keys and tasks say."""

from dataclasses import replace

import pytest

from lib.discover.key_names import family_of, label_of, suggest, title_of
from lib.study import Metric, load_study


@pytest.mark.parametrize(
    ("key", "label", "family"),
    [
        ("train/consistency_loss", "Train Consistency Loss", "loss"),
        ("train/reward_loss", "Train Reward Loss", "loss"),
        ("rollout/ep_rew_mean", "Rollout Ep Rew Mean", "reward"),
        ("eval/successRate", "Eval Success Rate", "reward"),
        ("charts/episodic_return", "Charts Episodic Return", "reward"),
        ("td_error", "TD Error", "loss"),
        ("glossary", "Glossary", None),
        ("//", "//", None),
    ],
)
def test_labels_and_families(key, label, family):
    assert label_of(key) == label
    assert family_of(key) == family


def test_titles_of_tasks():
    assert title_of("humanoid_h1-balance_simple-v0") == "Humanoid H1 Balance Simple"
    assert title_of("acrobot-swingup") == "Acrobot Swingup"


def test_the_original_notebooks_metrics_are_proposed_without_its_colours():
    study = load_study("detach_encoder")
    assert [suggest(m.key).metric for m in study.metrics] == [replace(m, color="") for m in study.metrics]
    assert not suggest("train/consistency_loss").assumed


@pytest.mark.parametrize(
    ("lowest", "whole", "scale", "assumed"),
    [(0.1, True, "log", False), (0.1, False, "log", True), (None, False, "log", True), (-2.0, False, "linear", False)],
)
def test_a_loss_is_log_where_its_values_are_positive(lowest, whole, scale, assumed):
    suggestion = suggest("train/actor_loss", lowest, whole)
    assert suggestion.metric == Metric("train/actor_loss", "loss", "decrease", "Train Actor Loss", scale)
    assert suggestion.assumed == assumed


def test_a_name_that_tells_nothing_is_assumed():
    assert suggest("train/entropy").assumed
    assert suggest("train/entropy").why == "its name tells no family"
