"""The study file: what it means, its defaults, and where it is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.study import (
    DetachRule,
    Evidence,
    Metric,
    Signal,
    Source,
    Study,
    StudyError,
    Task,
    load_study,
    parse_study,
    shipped_studies,
    to_toml,
    with_source,
)
from lib.study.model import Arms, Baseline, Randomised
from tests.support.frames import SMALL


def swap(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


# ---- what a file means ---------------------------------------------------------------------------------------------


def test_the_smallest_study_has_every_default():
    assert parse_study(SMALL, folder="/here") == Study(
        name="small",
        title="Small",
        source=Source(kind="offline", entity="", project="", base_url="", path="wandb"),
        metrics=(
            Metric(
                key="eval/episode_reward",
                family="reward",
                expect="increase",
                label="",
                scale="linear",
                color="",
                smooth=None,
            ),
        ),
        tasks=(
            Task(
                name="acrobot-swingup",
                total_steps=100_000,
                id="",
                display_name="",
                sweep_id=(),
                control_sweep_id=(),
                group="",
                runs_filter="",
                smoothing_steps=None,
                detach=DetachRule(
                    step=50_000,
                    total_steps_key="",
                    ratio_key="",
                    ratio_counts="elapsed",
                    frozen_when=(),
                    signal=None,
                    randomised=None,
                ),
            ),
        ),
        hypothesis="",
        step_key=("_step",),
        task_key="task",
        seed_key="seed",
        evidence=Evidence(before=0.1, after="rest", settle=0.0),
        arms=None,
        folder="/here",
    )


def test_what_follows_from_the_smallest_study():
    study = parse_study(SMALL, folder="/here")
    metric, task = study.metrics[0], study.tasks[0]
    assert (metric.name, metric.smoothed) == ("eval/episode_reward", False)
    assert (task.key, task.title, task.window, task.sweeps) == ("acrobot-swingup", "acrobot-swingup", 1_000, ())
    assert study.source_path == Path("/here/wandb")
    assert study.history_keys == ("eval/episode_reward",)
    assert parse_study(swap("100_000", "50_000")).tasks[0].window == 500
    assert Task("t", 99).window == 1


def test_every_key_of_the_file():
    text = """
[study]
name = "full"
title = "Full"
hypothesis = "It helps."
step_key = ["env_step", "_step"]
task_key = "env"
seed_key = "rng"

[source]
kind = "wandb"
entity = "me"
project = "agents"
base_url = "http://127.0.0.1:1"

[[metrics]]
key = "train/episode_reward"
label = "Reward"
family = "reward"
expect = "increase"
scale = "linear"
color = "#1f77b4"
smooth = false

[[metrics]]
key = "loss"
family = "loss"
expect = "decrease"
scale = "log"
role = "guardrail"

[[tasks]]
id = "walk"
name = "walker"
display_name = "Walker"
sweep_id = ["a", "b"]
control_sweep_id = "c"
group = "g"
total_steps = 1_000
smoothing_steps = 20
runs_filter = { state = "finished", "config.x" = { "$gt" = 1 } }

[tasks.detach]
step = 500
total_steps_key = "steps"
ratio_key = "ratio"
ratio_counts = "remaining"
frozen_when = { scale = 0.0, kind = "encoder", on = true, n = 2 }
signal = { key = "train/encoder_lr", falls_to = 1e-9 }
randomised = { low = 0.3, high = 0.7 }
detach_step_key = "encoder.freeze_step"
unchanged_when = { scale = 0.5 }

[[tasks.baselines]]
path = "published.csv"
step_scale = 0.5

[evidence]
before = 200
after = 0.25
settle = 0.05
leave_out = { "run id" = "its disk was full" }

[arms]
key = "ratio"
labels = { "0.5" = "half" }
also = ["batch_size"]
"""
    expected = Study(
        name="full",
        title="Full",
        source=Source("wandb", "me", "agents", "http://127.0.0.1:1"),
        metrics=(
            Metric("train/episode_reward", "reward", "increase", "Reward", "linear", "#1f77b4", False),
            Metric("loss", "loss", "decrease", scale="log", role="guardrail"),
        ),
        tasks=(
            Task(
                "walker",
                1_000,
                id="walk",
                display_name="Walker",
                sweep_id=("a", "b"),
                control_sweep_id=("c",),
                group="g",
                runs_filter='{"config.x": {"$gt": 1}, "state": "finished"}',
                smoothing_steps=20,
                detach=DetachRule(
                    500,
                    "steps",
                    "ratio",
                    "remaining",
                    (("kind", "encoder"), ("n", 2), ("on", True), ("scale", 0.0)),
                    Signal("train/encoder_lr", 1e-9),
                    Randomised(0.3, 0.7),
                    "encoder.freeze_step",
                    (("scale", 0.5),),
                ),
                baselines=(Baseline("published.csv", step_scale=0.5),),
            ),
        ),
        hypothesis="It helps.",
        step_key=("env_step", "_step"),
        task_key="env",
        seed_key="rng",
        evidence=Evidence(200.0, 0.25, 0.05, (("run id", "its disk was full"),)),
        arms=Arms("ratio", (("0.5", "half"),), ("batch_size",)),
    )
    study = parse_study(text)
    assert study == expected
    assert study.history_keys == ("train/episode_reward", "loss", "train/encoder_lr")
    assert study.tasks[0].sweeps == ("a", "b", "c")
    assert parse_study(to_toml(study)) == expected
    assert study.metric("loss") is study.metrics[1]
    assert study.task("walk") is study.tasks[0]


def test_the_notebooks_study_is_the_one_shipped():
    blue, green, red, orange, purple = "#1f77b4", "#2ca02c", "#d62728", "#ff7f0e", "#9467bd"
    consistency = "consistency_loss"
    assert replace(load_study("detach_encoder"), folder="") == Study(
        name="detach_encoder",
        title="Detach Encoder Ablation",
        source=Source("wandb", "thomasevers9", "tdmpc2-tdmpc2"),
        hypothesis="Detaching the encoder halfway through training improves performance on precision-sensitive tasks.",
        metrics=(
            Metric("eval/episode_reward", "reward", "increase", "Eval Episode Reward", "linear", blue),
            Metric("train/episode_reward", "reward", "increase", "Train Episode Reward", "linear", green),
            Metric(f"train/{consistency}", "loss", "decrease", "Train Consistency Loss", "log", red),
            Metric(f"validation_all/{consistency}", "loss", "decrease", "Val (All) Consistency", "log", orange),
            Metric(f"validation_recent/{consistency}", "loss", "decrease", "Val (Recent) Consistency", "log", purple),
        ),
        tasks=(
            Task(
                "humanoid_h1-balance_simple-v0",
                1_000_000,
                display_name="Humanoid H1 Balance Simple",
                sweep_id=("8lsl2o4p",),
                smoothing_steps=10_000,
                detach=DetachRule(step=500_000),
            ),
            Task(
                "acrobot-swingup",
                100_000,
                display_name="Acrobot Swingup",
                sweep_id=("nqfufp3t",),
                smoothing_steps=1_000,
                detach=DetachRule(step=50_000),
            ),
        ),
    )


def test_only_train_rewards_are_smoothed_unless_the_study_says_otherwise():
    def smoothed(key, smooth=None):
        return Metric(key, "reward", "increase", smooth=smooth).smoothed

    assert [smoothed("train/episode_reward"), smoothed("eval/episode_reward"), smoothed("train/loss")] == [
        True,
        False,
        False,
    ]
    assert (smoothed("train/episode_reward", False), smoothed("eval/x", True)) == (False, True)


def test_a_family_is_drawn_train_first_and_keeps_its_order():
    study = load_study("detach_encoder")
    assert [m.key for m in study.family("reward")] == ["train/episode_reward", "eval/episode_reward"]
    assert [m.key for m in study.family("loss")] == [
        "train/consistency_loss",
        "validation_all/consistency_loss",
        "validation_recent/consistency_loss",
    ]


def test_which_runs_a_task_holds():
    task = Task("walk", 10, sweep_id=("a",), control_sweep_id=("c",), group="g")
    config = {"task": "walk"}
    assert task.holds(config, "a", "g", "task")
    assert task.holds(config, "c", "g", "task")
    assert not task.holds(config, "b", "g", "task")
    assert not task.holds(config, "a", "h", "task")
    assert not task.holds({"task": "run"}, "a", "g", "task")
    assert not task.holds(config, "a", "g", "env")
    assert Task("walk", 10).holds(config, "any", "any", "task")


def test_another_source_asks_the_same_question():
    study = parse_study(SMALL, folder="/here")
    moved = with_source(study, Source("bundle", path="x.zip"), "/there")
    assert moved == replace(study, source=Source("bundle", path="x.zip"), folder="/there")
    assert moved.source_path == Path("/there/x.zip")
    assert with_source(study, Source("bundle", path="/abs/x.zip"), "/there").source_path == Path("/abs/x.zip")


# ---- files ---------------------------------------------------------------------------------------------------------


def unreadable(name: str) -> str:
    with pytest.raises(StudyError) as caught:
        load_study(name)
    return str(caught.value)


def test_a_path_is_read_and_its_folder_kept(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_study(str(path)) == parse_study(SMALL, folder=str(tmp_path.resolve()))


def test_errors_in_a_file_name_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("", encoding="utf-8")
    assert unreadable(str(path)) == f"{path}: [study] is missing. (3 more to mend after it.)"


def test_files_that_cannot_be_read(tmp_path):
    names = ", ".join(shipped_studies())
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe[study]")
    assert unreadable("nosuch") == f"There is no study 'nosuch': give the path of a TOML file or one of: {names}."
    assert unreadable("") == f"There is no study '': give the path of a TOML file or one of: {names}."
    assert unreadable(str(binary)) == f"{binary} is not a text file: a study is a TOML file in UTF-8."
    no_file = "is not a file: name a regular file, not a folder, a pipe or a device."
    assert unreadable(str(tmp_path)) == f"{tmp_path.name} {no_file}"
    assert unreadable(str(binary / "x.toml")) == f"{binary / 'x.toml'} cannot be read (Not a directory)."
    assert unreadable("x" * 5_000) == f"{'x' * 100}…{'x' * 50} cannot be read (File name too long)."
    assert unreadable("a\0b") == "a\ufffdb cannot be read (embedded null byte)."
    assert unreadable("~nobody/x.toml").startswith("There is no study '~nobody/x.toml': ")
