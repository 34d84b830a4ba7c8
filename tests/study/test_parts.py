"""Parts of a study by name and pattern."""

import pytest

from lib.study import Metric, Task, keys_of, load_study, part_of

METRICS = {
    "train/episode_reward": "Train Reward",
    "eval/episode_reward": "Eval Reward",
    "validation_all/consistency_loss": "Val (All) [old]",
    "validation_recent/consistency_loss": "Val (Recent)",
}


@pytest.mark.parametrize(
    ("entries", "chosen"),
    [
        ([], []),
        (["Eval Reward"], [1]),
        (["validation*"], [2, 3]),
        (["VAL (*"], [2, 3]),
        (["?rain*"], [0]),
        (["*consistency*", "eval*"], [1, 2, 3]),
        (["validation"], [2, 3]),
        (["[old]"], [2]),
        (["*"], []),
        (["chess*", "Train Reward"], [0]),
    ],
)
def test_entries_are_names_or_patterns_of_keys_and_names(entries, chosen):
    assert keys_of(entries, METRICS)[0] == tuple([*METRICS][index] for index in chosen)


def test_entries_that_stand_for_nothing_are_told():
    assert keys_of(["chess*", "eval*", "[!x]"], METRICS) == (("eval/episode_reward",), ("chess*", "[!x]"))
    assert keys_of(["chess*"], METRICS) == ((), ("chess*",))


def test_a_name_stands_for_its_key_alone():
    assert keys_of(["Cartpole"], {"a": "Cartpole", "b": "Cartpole, random"}) == (("a",), ())


def test_a_part_of_a_study_has_its_tasks_and_metrics_in_their_order():
    study = load_study("demo")
    part = part_of(study, ["cartpole-swingup", "acrobot-swingup"], ["train/consistency_loss"])
    assert [task.key for task in part.tasks] == ["acrobot-swingup", "cartpole-swingup"]
    assert [metric.key for metric in part.metrics] == ["train/consistency_loss"]
    assert part_of(study, [], []) == study
    assert part_of(study, ["chess"], ["chess"]) == study


def test_names_that_people_read_are_one_line():
    assert Metric("train/a\nb", "loss", "decrease").name == "train/a b"
    assert Task("t", 10, display_name="A\x1b\u2028B").title == "A\ufffd B"
