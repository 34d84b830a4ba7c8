"""The audit: one row a run, with everything a reader should know before the charts."""

from dataclasses import replace

import polars as pl

from lib.runs import BranchPoint, Drop, Run, config_differences, count_warned, missing_keys, runs_table, unusable_points
from lib.runs.runs_table import run_warnings
from lib.study import DetachRule, Evidence, Signal, Task
from tests.support.frames import EVAL, LOSS, REWARD, manifest, series, study

BY_RATIO = DetachRule(ratio_key="r")
STUDY = study(BY_RATIO, total=100)
COLUMNS = ["task", "arm", "run_id", "seed", "state", "last_step", "detach_step", "detach_source"]


def full(run, last=100):
    return series(run, REWARD.key, [(1, 1.0), (last, 2.0)]) + series(run, LOSS.key, [(last, 0.5)])


def test_one_row_a_run(tmp_path):
    runs = manifest(
        tmp_path,
        [
            (Run("a", state="finished", config={"seed": 1, "r": 0.5}), full("a")),
            (Run("b", state="crashed", config={"seed": 2, "r": 0}), full("b", 94)),
            (Run("c", state="finished", config={"seed": 3, "r": "x"}), series("c", REWARD.key, [(96, 1.0)])),
            (Run("d", state="running", config={"seed": 4, "r": 0.5}), []),
        ],
    )
    table = runs_table(STUDY, runs)
    assert table.columns == [*COLUMNS, f"rows:{REWARD.key}", f"rows:{LOSS.key}", "warnings"]
    not_fraction = "r is 'x', not a fraction: its arm is unknown"
    assert table.rows() == [
        ("task", "detached", "a", "1", "finished", 100, 50, "config", 2, 1, ""),
        ("task", "detached", "d", "4", "running", None, 50, "config", 0, 0, "no history"),
        (
            *("task", "control", "b", "2", "crashed", 94, None, "config", 2, 1),
            "state crashed; short: ends at 94 of 100 steps",
        ),
        ("task", "unknown", "c", "3", "finished", 96, None, "", 1, 0, f"{not_fraction}; never logged loss"),
    ]


def test_a_run_is_short_below_95_percent_of_the_plan():
    task, rows = Task("task", 100), {REWARD.key: 1, LOSS.key: 1}
    assert run_warnings(STUDY, task, Run("a", last_step=95, rows=rows)) == []
    assert run_warnings(STUDY, task, Run("a", last_step=94, rows=rows)) == ["short: ends at 94 of 100 steps"]
    assert run_warnings(STUDY, task, Run("a", last_step=200, rows=rows)) == []


def test_drops_and_the_sources_own_warnings_are_told():
    example = study(replace(BY_RATIO, signal=Signal("lr")), total=100)
    run = Run(
        "a",
        state="finished",
        last_step=100,
        rows={REWARD.key: 1, LOSS.key: 1},
        warnings=("cut",),
        drops=(Drop(LOSS.key, "repeated step", 1_200), Drop("lr", "not a number", 1), Drop("other", "x", 1)),
    )
    assert run_warnings(example, example.tasks[0], run) == [
        "cut",
        "loss: 1,200 dropped (repeated step)",
        "lr: 1 dropped (not a number)",
    ]


def test_a_run_without_history_has_its_drops_told():
    run = Run("a", state="finished", drops=(Drop(LOSS.key, "no step (env)", 40),))
    assert run_warnings(STUDY, STUDY.tasks[0], run) == ["no history", "loss: 40 dropped (no step (env))"]
    short = replace(run, last_step=STUDY.tasks[0].total_steps, rows={REWARD.key: 1})
    assert run_warnings(STUDY, STUDY.tasks[0], short) == ["loss: 40 dropped (no step (env))"]


def test_left_out_runs_keep_their_row_and_their_arm(tmp_path):
    runs = manifest(
        tmp_path,
        [
            (Run(name, state="finished", config={"seed": 1, "r": ratio}), full(name))
            for name, ratio in (("a", 0.5), ("b", 0.2))
        ],
    )
    table = runs_table(STUDY, runs, {"b"})
    assert table.select("arm", "run_id", "warnings").rows() == [
        ("detached 0.2", "b", "left out by hand"),
        ("detached 0.5", "a", ""),
    ]


def test_a_fork_and_a_run_left_out_by_hand_have_no_warning():
    runs = [Run("a"), Run("b", branch_point=BranchPoint("a", 50)), Run("c"), Run("d")]
    fork = "fork of a at step 50"
    warnings = ["", fork, "left out by hand", f"left out by hand; {fork}; short"]
    table = pl.DataFrame({"run_id": ["a", "b", "c", "d"], "warnings": warnings})
    assert count_warned(table, runs) == 1


def test_a_seed_twice_in_an_arm_is_told_until_one_is_left_out(tmp_path):
    runs = manifest(
        tmp_path,
        [
            (Run(name, state="finished", config={"seed": 1, "r": r}), full(name))
            for name, r in (("a", 0.5), ("b", 0.5), ("c", 0))
        ],
    )
    twice = "seed 1 appears more than once in this arm"
    assert runs_table(STUDY, runs)["warnings"].to_list() == [twice, twice, ""]
    assert runs_table(STUDY, runs, {"a"})["warnings"].to_list() == ["left out by hand", "", ""]


def test_runs_that_are_not_counted_say_why(tmp_path):
    rising = [(10 * i, float(i)) for i in range(11)]
    falling = [(step, 10 - value) for step, value in rising]
    of_two = [
        (Run(name, state="finished", config={"seed": 1, "r": 0.5}), series(name, REWARD.key, points))
        for name, points in {"a": rising, "b": rising, "c": falling}.items()
    ]
    example = replace(STUDY, evidence=Evidence(leave_out=(("d", "wrong reward"),)))
    declared = (Run("d", state="finished", config={"seed": 2, "r": 0}), full("d"))
    table = runs_table(example, manifest(tmp_path, [*of_two, declared]))
    twice = "seed 1 appears more than once in this arm"
    texts = [text.split("; ")[0] for text in table["warnings"]]
    assert texts == [twice, "not counted: copy of run a", twice, "not counted: left out by declaration: wrong reward"]


def test_without_runs_the_table_has_its_columns(tmp_path):
    table = runs_table(STUDY, manifest(tmp_path))
    assert (table.height, table.columns) == (0, [*COLUMNS, f"rows:{REWARD.key}", f"rows:{LOSS.key}", "warnings"])
    assert table.schema["detach_step"] == pl.Int64


def test_metrics_that_no_run_logged(tmp_path):
    example = study(BY_RATIO, metrics=(REWARD, EVAL, LOSS))
    runs = manifest(tmp_path, [(Run("a", config={"seed": 1, "r": 0}), full("a")), (Run("b"), [])])
    assert missing_keys(example, runs) == ["No run logged 'eval/episode_reward': check the metric's key."]
    declared = replace(example, evidence=Evidence(leave_out=(("a", "the sensor broke"), ("x", "a typing error"))))
    assert missing_keys(declared, runs)[1:] == ["No run has the id 'x': check [evidence] leave_out."]


def test_values_that_no_curve_can_show_are_counted(tmp_path):
    nan, inf = float("nan"), float("inf")
    points = series("a", REWARD.key, [(1, nan), (2, inf), (3, -1.0), (4, 0.0)])
    points += series("a", LOSS.key, [(1, 0.0), (2, -1.0), (3, -inf), (4, 1.0)])
    points += [*series("a", "other", [(1, nan)]), ("a", None, 9, None)]
    assert unusable_points(STUDY, manifest(tmp_path, [(Run("a"), points)])).rows() == [
        ("a", "loss", "not finite", 1),
        ("a", "loss", "not positive on a log metric", 2),
        ("a", "train/episode_reward", "not finite", 2),
    ]


def test_a_fork_says_where_it_began_and_a_rewound_run_is_none(tmp_path):
    forks = {"b": BranchPoint("a", 1500), "c": BranchPoint("c", 50)}
    runs = manifest(
        tmp_path, [(Run(run, config={"seed": run, "r": 0}, branch_point=forks.get(run)), []) for run in "abc"]
    )
    assert [w.split("; ")[0] for w in runs_table(STUDY, runs).sort("run_id")["warnings"]] == [
        "no history", "fork of a at step 1,500", "no history"
    ]  # fmt: skip


def test_config_differences_beyond_what_is_meant_to_differ(tmp_path):
    configs = [{"seed": 1, "r": 0, "lr": 0.1, "d": 1}, {"seed": 2, "r": 0.5, "lr": 0.2, "d": 1}, {"seed": 3, "d": 1}]
    runs = manifest(tmp_path, [(Run(str(i), config=config), []) for i, config in enumerate(configs)])
    assert config_differences(runs, "task", {"seed", "r"}) == {"lr": ["0.1", "0.2", "missing"]}
    assert config_differences(runs, "other", ()) == {}


def test_config_differences_are_those_of_nested_values_and_text_numbers_are_numbers(tmp_path):
    configs = [
        {"algo": {"lr": "0.10", "r": 0}, "seed": 1},
        {"algo": {"lr": 0.1, "r": 0.5, "net": {"dim": 8}}, "seed": 2},
    ]
    runs = manifest(tmp_path, [(Run(str(i), config=config), []) for i, config in enumerate(configs)])
    assert config_differences(runs, "task", {"seed", "algo.r"}) == {"algo.net.dim": ["8", "missing"]}
