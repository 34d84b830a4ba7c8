"""The study file: what it means, its defaults, and one sentence for every way to get it wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.study import (
    STUDIES,
    Arms,
    DetachRule,
    Evidence,
    Metric,
    Randomised,
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
from tests.frames import SMALL


def complaint(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse_study(text, "s.toml")
    return str(caught.value)


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

[evidence]
before = 200
after = 0.25
settle = 0.05

[arms]
key = "ratio"
labels = { "0.5" = "half" }
"""
    expected = Study(
        name="full",
        title="Full",
        source=Source("wandb", "me", "agents", "http://127.0.0.1:1"),
        metrics=(
            Metric("train/episode_reward", "reward", "increase", "Reward", "linear", "#1f77b4", False),
            Metric("loss", "loss", "decrease", scale="log"),
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
                ),
            ),
        ),
        hypothesis="It helps.",
        step_key=("env_step", "_step"),
        task_key="env",
        seed_key="rng",
        evidence=Evidence(200.0, 0.25, 0.05),
        arms=Arms("ratio", (("0.5", "half"),)),
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


# ---- out and in again ----------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=12)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
steps = st.integers(1, 2**53)
scalars = st.one_of(
    names, st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False)
)
sweeps = st.lists(names, max_size=3, unique=True).map(tuple)
fractions = st.floats(0, 1)
metrics = st.builds(
    Metric,
    key=names,
    family=st.sampled_from(["reward", "loss"]),
    expect=st.sampled_from(["increase", "decrease"]),
    label=texts,
    scale=st.sampled_from(["linear", "log"]),
    color=st.sampled_from(["", "#1f77b4", "#ABCDEF"]),
    smooth=st.none() | st.booleans(),
)
rules = st.builds(
    DetachRule,
    step=st.none() | st.just(1),
    total_steps_key=texts,
    ratio_key=names,
    ratio_counts=st.sampled_from(["elapsed", "remaining"]),
    frozen_when=st.dictionaries(names, scalars, max_size=3),
    signal=st.none() | st.builds(Signal, key=names, falls_to=st.floats(allow_nan=False, allow_infinity=False)),
    randomised=st.none() | st.just(Randomised(0.25, 0.75)),
)
filters = st.dictionaries(names, scalars | st.dictionaries(names, scalars, max_size=2), max_size=3)
tasks = st.builds(
    Task,
    name=names,
    total_steps=steps,
    id=texts,
    display_name=texts,
    sweep_id=sweeps,
    control_sweep_id=sweeps,
    group=texts,
    runs_filter=st.just("") | filters,
    smoothing_steps=st.none() | steps,
    detach=rules,
)
sources = st.one_of(
    st.builds(Source, kind=st.just("wandb"), entity=names, project=names, base_url=texts),
    st.builds(Source, kind=st.sampled_from(["offline", "bundle"]), path=names),
)
studies = st.builds(
    Study,
    name=names,
    title=names,
    source=sources,
    metrics=st.lists(metrics, min_size=1, max_size=3, unique_by=lambda m: m.key).map(tuple),
    tasks=st.lists(tasks, min_size=1, max_size=3, unique_by=lambda t: t.stem).map(tuple),
    hypothesis=texts,
    step_key=st.lists(names, min_size=1, max_size=3).map(tuple),
    task_key=names,
    seed_key=names,
    evidence=st.builds(
        Evidence,
        before=st.floats(0.01, 1e6),
        after=st.just("rest") | st.floats(0.01, 1e6),
        settle=st.floats(0, 1e6),
    ),
    arms=st.none() | st.builds(Arms, key=names, labels=st.dictionaries(texts, names, max_size=3)),
)


@settings(max_examples=150, deadline=None)
@given(studies)
def test_every_valid_study_comes_back_from_its_file(study):
    again = parse_study(to_toml(study))
    assert again == study
    assert repr(again) == repr(study)


@pytest.mark.parametrize("name", shipped_studies())
def test_the_shipped_studies_come_back_from_their_files(name):
    study = load_study(name)
    assert study.folder == str(STUDIES.resolve())
    assert parse_study(to_toml(study), folder=study.folder) == study


def test_the_demo_is_the_first_of_the_shipped_studies():
    assert shipped_studies() == ["demo", *sorted(set(shipped_studies()) - {"demo"})]
    assert "detach_encoder" in shipped_studies()


# ---- one sentence for each mistake ---------------------------------------------------------------------------------

MISTAKES = {
    # unknown keys, at each level
    SMALL + "[evidences]\nbefore = 1\n": "s.toml: unknown key evidences, perhaps evidence is meant.",
    swap('name = "small"', 'name = "small"\nfoo-bar = 1'): (
        "s.toml, [study]: unknown key foo-bar (known: name, title, hypothesis, step_key, task_key, seed_key)."
    ),
    swap('kind = "offline"', 'kind = "offline"\nfolder = "x"'): (
        "s.toml, [source]: unknown key folder (known: kind, entity, project, base_url, path)."
    ),
    swap('expect = "increase"', 'expect = "increase"\ncolour = "#ffffff"'): (
        "s.toml, metric 1: unknown key colour, perhaps color is meant."
    ),
    swap("total_steps", "sweep = 'a'\ntotal_steps"): ("s.toml, task 1: unknown key sweep, perhaps sweep_id is meant."),
    SMALL + "stp = 1\n": "s.toml, task 1: unknown key detach.stp, perhaps step is meant.",
    SMALL + "signal = { key = 'lr', to = 1 }\n": (
        "s.toml, task 1: unknown key detach.signal.to (known: key, falls_to)."
    ),
    SMALL + "randomised = { low = 0.1, high = 0.2, int = 1 }\n": (
        "s.toml, task 1: unknown key detach.randomised.int (known: low, high)."
    ),
    SMALL + "[evidence]\nsettles = 1\n": "s.toml, [evidence]: unknown key settles, perhaps settle is meant.",
    SMALL + "[arms]\nkey = 'r'\nlabel = {}\n": "s.toml, [arms]: unknown key label, perhaps labels is meant.",
    swap("[[metrics]]", "[[metric]]"): (
        "s.toml: unknown key metric, perhaps metrics is meant. (1 more to mend after it.)"
    ),
    # wrong types and values
    swap("= 100_000", '= "100"'): 's.toml, task 1: total_steps must be a whole number, not "100".',
    swap("= 100_000", "= 1e5"): "s.toml, task 1: total_steps must be a whole number, not 100000.0.",
    swap("= 100_000", "= true"): "s.toml, task 1: total_steps must be a whole number, not true.",
    swap("= 100_000", "= 0"): "s.toml, task 1: total_steps must be greater than 0, not 0.",
    swap("= 100_000", "= nan"): "s.toml, task 1: total_steps must be a whole number, not NaN.",
    swap('name = "small"', "name = 5"): "s.toml, [study]: name must be text, not 5.",
    swap('name = "small"', 'name = ""'): 's.toml, [study]: name must not be empty, not "".',
    swap('name = "small"', "name = 2024-01-01"): (
        "s.toml: 2024-01-01 is a date or a time, which no key takes: put quotes around it."
    ),
    swap('name = "small"', 'name = "small"\nstep_key = 5'): (
        "s.toml, [study]: step_key must be a key or a list of keys, not 5."
    ),
    swap('name = "small"', 'name = "small"\nstep_key = []'): (
        "s.toml, [study]: step_key must be a key or a list of keys."
    ),
    swap('name = "small"', 'name = "small"\nstep_key = ["a", 5]'): (
        "s.toml, [study]: step_key must be a key or a list of keys, not 5."
    ),
    swap(
        'family = "reward"', 'family = "score"'
    ): "s.toml, metric 1: family must be 'reward' or 'loss', not \"score\".",
    swap('expect = "increase"', 'expect = "up"'): (
        "s.toml, metric 1: expect must be 'increase' or 'decrease', not \"up\"."
    ),
    swap('expect = "increase"', 'expect = "increase"\nscale = "ln"'): (
        "s.toml, metric 1: scale must be 'linear' or 'log', not \"ln\"."
    ),
    swap('expect = "increase"', 'expect = "increase"\ncolor = "red"'): (
        's.toml, metric 1: color must be a colour such as #1f77b4, not "red".'
    ),
    swap('expect = "increase"', 'expect = "increase"\nsmooth = "yes"'): (
        's.toml, metric 1: smooth must be true or false, not "yes".'
    ),
    swap('kind = "offline"', 'kind = "local"'): (
        "s.toml, [source]: kind must be 'wandb', 'offline' or 'bundle', not \"local\"."
    ),
    swap("[[metrics]]", "[metrics]"): (
        "s.toml: metrics must be a list of tables: write [[metrics]], with two brackets, above each."
    ),
    "source = 'x'\n" + swap('[source]\nkind = "offline"\npath = "wandb"\n', ""): (
        's.toml: source must be a table, not "x".'
    ),
    swap("= 50_000", "= 0.5"): "s.toml, task 1: detach.step must be a whole number, not 0.5.",
    SMALL + "ratio_key = 'r'\nfrozen_when = 5\n": (
        "s.toml, task 1: detach.frozen_when must be a table of config keys, each with a text, a number, true or false."
    ),
    SMALL + "ratio_key = 'r'\nfrozen_when = { a = [1] }\n": (
        "s.toml, task 1: detach.frozen_when must be a table of config keys, each with a text, a number, true or false."
    ),
    SMALL + "signal = { key = 'lr', falls_to = inf }\n": (
        "s.toml, task 1: detach.signal.falls_to must be a finite number, not Infinity."
    ),
    SMALL + "randomised = { low = 0.1, high = 30 }\n": (
        "s.toml, task 1: detach.randomised.high must be less than or equal to 1, not 30."
    ),
    SMALL + "[evidence]\nafter = 'all'\n": 's.toml, [evidence]: after must be "rest" or a number above 0, not "all".',
    SMALL + "[evidence]\nafter = 0\n": 's.toml, [evidence]: after must be "rest" or a number above 0, not 0.',
    SMALL + "[evidence]\nbefore = inf\n": "s.toml, [evidence]: before must be a finite number, not Infinity.",
    SMALL + "[evidence]\nsettle = -1\n": "s.toml, [evidence]: settle must be greater than or equal to 0, not -1.",
    SMALL + "[arms]\nkey = 'r'\nlabels = { '0.5' = 5 }\n": (
        "s.toml, [arms]: labels must be a table of config values, each with its label as text."
    ),
    swap("total_steps", "runs_filter = 'finished'\ntotal_steps"): (
        "s.toml, task 1: runs_filter must be a table, as W&B's own run filters are."
    ),
    swap("total_steps", "sweep_id = 7\ntotal_steps"): (
        "s.toml, task 1: sweep_id must be an id or a list of ids, not 7."
    ),
    # what is missing
    swap('title = "Small"\n', ""): "s.toml, [study]: title is missing.",
    swap("total_steps = 100_000\n", ""): "s.toml, task 1: total_steps is missing.",
    swap('key = "eval/episode_reward"\n', ""): "s.toml, metric 1: key is missing.",
    "": "s.toml: [study] is missing. (3 more to mend after it.)",
    "metrics = []\n" + SMALL[: SMALL.index("[[metrics]]")] + SMALL[SMALL.index("[[tasks]]") :]: (
        "s.toml: metrics needs at least one entry."
    ),
    "tasks = []\n" + SMALL[: SMALL.index("[[tasks]]")]: "s.toml: tasks needs at least one entry.",
    swap('path = "wandb"', ""): "s.toml: [source] kind 'offline' needs path.",
    swap('kind = "offline"', 'kind = "wandb"\nentity = "me"'): "s.toml: [source] kind 'wandb' needs project.",
    # what contradicts itself
    swap("[[tasks]]", '[[metrics]]\nkey = "eval/episode_reward"\nfamily = "loss"\nexpect = "decrease"\n[[tasks]]'): (
        "s.toml: metric 'eval/episode_reward' is named twice."
    ),
    SMALL + '[[tasks]]\nname = "acrobot-swingup"\ntotal_steps = 5\n': (
        "s.toml: task 'acrobot-swingup' is named twice: give one of them an id of its own."
    ),
    swap("= 50_000", "= 100_001"): (
        "s.toml: task 'acrobot-swingup': detach step 100,001 is beyond total_steps 100,000."
    ),
    SMALL + "frozen_when = { a = 1 }\n": "s.toml: task 'acrobot-swingup': detach.frozen_when needs ratio_key.",
    SMALL + "randomised = { low = 0.1, high = 0.2 }\n": (
        "s.toml: task 'acrobot-swingup': detach.randomised needs ratio_key, where each run's draw is read."
    ),
    SMALL + "ratio_key = 'r'\nrandomised = { low = 0.2, high = 0.2 }\n": (
        "s.toml: task 'acrobot-swingup': detach.randomised needs low below high."
    ),
    # what is no study at all
    '{"study": 1}': "s.toml is not TOML: Invalid statement (at line 1, column 1).",
    SMALL + "[study]\n": "s.toml is not TOML: Cannot declare ('study',) twice (at line 21, column 7).",
    "a = " + "9" * 5_000: "s.toml is not a study: a number or a list in it is beyond all measure.",
    "a = " + "[" * 100_000: "s.toml is not a study: a number or a list in it is beyond all measure.",
}


@pytest.mark.parametrize("text", MISTAKES, ids=list(MISTAKES.values()))
def test_one_sentence_says_what_is_wrong_and_where(text):
    assert complaint(text) == MISTAKES[text]


def test_a_detach_at_the_last_step_and_ids_that_tell_tasks_apart_are_fine():
    assert parse_study(swap("= 50_000", "= 100_000")).tasks[0].detach.step == 100_000
    twice = parse_study(SMALL + '[[tasks]]\nid = "other"\nname = "acrobot-swingup"\ntotal_steps = 5\n')
    assert [t.key for t in twice.tasks] == ["acrobot-swingup", "other"]


def test_a_byte_order_mark_is_no_mistake():
    assert parse_study("\ufeff" + SMALL) == parse_study(SMALL)


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
    known = ", ".join(shipped_studies())
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe[study]")
    assert unreadable("nosuch") == f"There is no study 'nosuch': give the path of a TOML file or one of: {known}."
    assert unreadable("") == f"There is no study '': give the path of a TOML file or one of: {known}."
    assert unreadable(str(binary)) == f"{binary} is not a text file: a study is a TOML file in UTF-8."
    assert unreadable(str(tmp_path)) == f"{tmp_path} cannot be read (Is a directory)."
    assert unreadable(str(binary / "x.toml")) == f"{binary / 'x.toml'} cannot be read (Not a directory)."
    long = "x" * 5_000
    assert unreadable(long) == f"{long} cannot be read (File name too long)."
    assert unreadable("a\0b") == "a\0b cannot be read (embedded null byte)."
    assert unreadable("~nobody-of-that-name/x.toml").startswith("~nobody-of-that-name/x.toml cannot be read (")
