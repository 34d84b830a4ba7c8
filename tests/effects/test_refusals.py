"""What is not said: too few runs, unequal arms, sparse rows, changed windows, short and broken runs."""

import math
from dataclasses import replace

import pytest

from lib.effects import checklist, effects_detail
from lib.effects.verdicts import EXPLORATORY
from lib.study import DetachRule, Evidence, Task
from lib.study.model import Randomised
from tests.support.effects_kit import LOSS, REWARD, Run, analysed, one_task, steps_run, study, task


def _arms(n_t, n_c, every=10):
    """Arms of runs with histories of their own, detached ones rising by about 10."""
    runs = [steps_run(f"{i}", 50, 10.0 + i, 20.0 + 2 * i, every=every) for i in range(n_t)]
    return runs + [steps_run(f"{i}", None, 50.0 + i, 51.0 + 1.5 * i, every=every) for i in range(n_c)]


def _lines(n, every=1):
    return [
        Run(f"{i}", 50, {"reward": [(s, s + (5 + i if s > 50 else 0)) for s in range(0, 101, every)]}) for i in range(n)
    ]


def test_one_run_allows_no_inference():
    row = one_task(_lines(1)).row(0, named=True)
    assert row["change"] == pytest.approx(5.0)
    assert [row[c] for c in ("ci_low", "ci_high", "p_value", "p_holm")] == [None] * 4
    assert row["verdict"] == "cannot say"
    assert row["reasons"].startswith("n = 1: too few runs for any inference (+5)")


def test_a_run_of_unknown_arm_is_drawn_but_compared_with_nothing_and_the_claim_says_so():
    unknown = replace(steps_run("9", None, 500.0, 900.0), arm="unknown")
    for runs in (_arms(3, 3), _lines(3)):
        alone, beside = one_task(runs).row(0, named=True), one_task([*runs, unknown]).row(0, named=True)
        assert "1 run of unknown arm is not compared" in beside["reasons"].split("; ")
        assert {**beside, "reasons": ""} == {**alone, "reasons": ""}


def test_runs_of_unknown_arm_are_no_control_arm_and_pair_with_none():
    twins = [replace(run, detach_step=None, arm="unknown") for run in _lines(3)]
    task_analysis = analysed([*_lines(3), *twins]).tasks[0]
    assert {(c.design, c.pairs, c.controls) for c in task_analysis.comparisons} == {("jump", (), ())}
    checks = {check.name: check for check in checklist(task_analysis)}
    assert checks["Control arm"].text.startswith("No run was left without a detach")
    assert checks["Arms known"].text == (
        "Nothing says whether 3 runs of walk were detached: 0-unknown, 1-unknown and 2-unknown."
    )
    assert "Arms known" not in {check.name for check in checklist(analysed(_lines(3)).tasks[0])}


def test_two_runs_allow_no_verdict_and_print_both_numbers():
    row = one_task(_lines(2)).row(0, named=True)
    # 12.7 is the t multiplier of n = 2; sd of 5 and 6 is sqrt(1/2), se 1/2
    assert row["ci_high"] - row["change"] == pytest.approx(12.706204736432095 / 2)
    assert (row["p_value"], row["verdict"]) == (None, "cannot say")
    assert row["reasons"].startswith("n = 2: too few runs for a verdict (+5, +6)")


def test_two_runs_an_arm_get_no_interval():
    row = one_task(_arms(2, 2)).row(0, named=True)
    assert (row["design"], row["n_arm"], row["n_control"]) == ("did", 2, 2)
    assert row["change"] == pytest.approx(10.5 - 1.25)
    assert (row["ci_low"], row["p_value"], row["verdict"]) == (None, None, "cannot say")
    assert "+10, +11 against +1, +1.5" in row["reasons"]


def test_two_fork_pairs_are_compared_as_arms():
    runs = [steps_run(f"{i}", at, float(i), float(i) + (5 if at else 0)) for i in (1, 2) for at in (50, None)]
    assert one_task(runs).row(0, named=True)["design"] == "did"


@pytest.mark.parametrize(
    ("n_t", "n_c", "df"),
    [(3, 3, ""), (10, 6, ""), (6, 3, "df = 2"), (3, 8, "df = 2"), (12, 4, "df = 3"), (4, 3, "df = 2")],
)
def test_arms_too_unequal_for_welch_say_their_degrees_of_freedom(n_t, n_c, df):
    row = one_task(_arms(n_t, n_c)).row(0, named=True)
    rule = (
        f"t on each run's change with Welch's standard error, {df}, the smaller arm's n - 1"
        if df
        else "Welch t on each run's change"
    )
    assert row["method"] == f"difference in differences: {rule}"
    assert row["p_value"] is not None and row["verdict"] != "cannot say"
    seeds = next(check for check in checklist(analysed(_arms(n_t, n_c)).tasks[0]) if check.name == "Seeds")
    assert seeds.passed and ("the smaller arm's n - 1 degrees of freedom" in seeds.text) == bool(df)


def test_the_interval_of_unequal_arms_by_hand():
    # d of the detached 10, 11, 12; of the controls 1, 1.5, ..., 3.5: variances 1 and 0.875 over 3 and 6 runs
    row = one_task(_arms(3, 6)).row(0, named=True)
    assert row["change"] == pytest.approx(11 - 2.25)
    assert row["ci_high"] - row["change"] == pytest.approx(4.302652729911275 * math.sqrt(1 / 3 + 0.875 / 6))


@pytest.mark.parametrize(("n_t", "n_c"), [(5, 5), (6, 5), (4, 8)])
def test_checks_that_ask_for_equal_spreads_ask_for_equal_arms(n_t, n_c):
    detail = effects_detail(analysed(_arms(n_t, n_c))).filter(kind="sensitivity")
    assert detail["name"].to_list() == ["label permutation", "ANCOVA"]
    assert [p is not None for p in detail["p_value"]] == [n_t == n_c] * 2
    refusal = "refused: with arms of unequal size it takes a difference in spread for an effect"
    assert detail["note"].to_list() == [None if n_t == n_c else refusal] * 2


def test_labels_within_tasks_ask_for_equal_arms():
    two = study(task(key="walk"), task(key="run"))
    for sizes, note in (
        ((3, 3), None),
        ((6, 5), "refused: with arms of unequal size it takes a difference in spread for an effect"),
    ):
        detail = effects_detail(analysed({"walk": _arms(3, 3), "run": _arms(*sizes)}, two)).filter(task="*")
        assert detail.select("name", "note").rows() == [("labels within tasks", note)]
        assert (detail["p_value"].item() is None) == (note is not None)


def test_two_runs_in_the_smaller_arm_allow_no_verdict():
    row = one_task(_arms(2, 5)).row(0, named=True)
    assert (row["p_value"], row["verdict"]) == (None, "cannot say")
    assert row["reasons"].startswith("n = 2: too few runs for a verdict (2 detached, 5 control")


def test_no_control_is_a_jump_and_says_so():
    row = one_task(_lines(3)).row(0, named=True)
    assert (row["design"], row["control"]) == ("jump", None)
    assert "no control arm: a jump at the detach may have other causes" in row["reasons"]


def test_a_control_that_counts_for_nothing_leaves_no_design():
    runs = [*_arms(3, 0), Run("9", None, {"other": [(0, 1.0)]})]
    row = one_task(runs).row(0, named=True)
    assert (row["design"], row["verdict"]) == ("none", "cannot say")
    assert row["reasons"].startswith("no control run counts; left out: control seed 9, logs no usable row")


def test_a_jump_needs_five_rows_a_side():
    # h = 10: every 3 steps leaves 4 rows before 50 (42, 45, 48 and not 51) and 4 after at most
    row = one_task(_lines(3, every=3)).row(0, named=True)
    assert (row["change"], row["p_value"], row["verdict"]) == (None, None, "cannot say")
    assert row["reasons"].startswith("fewer than 5 rows a side within 10 steps of the detach (3)")
    assert row["before"] == pytest.approx((42 + 45 + 48) / 3)  # still described
    assert one_task(_lines(3, every=2)).row(0, named=True)["p_value"] is not None


def test_a_jump_of_many_runs_uses_a_narrower_window():
    # A row a step: 5 a side within 5 steps, which a row every second step does not give
    assert "h = 10 steps" in one_task(_lines(3)).row(0, named=True)["method"]
    assert "h = 5 steps" in one_task(_lines(4)).row(0, named=True)["method"]
    assert one_task(_lines(4, every=2)).row(0, named=True)["verdict"] == "cannot say"


def test_a_changed_window_gives_no_verdict_and_a_visible_mark():
    runs = _arms(4, 4)
    assert one_task(runs).row(0, named=True)["verdict"] == "supported"
    row = one_task(runs, evidence=Evidence(before=0.2)).row(0, named=True)
    assert row["verdict"] == "cannot say"
    assert row["reasons"].startswith(EXPLORATORY)
    assert row["p_value"] is not None
    assert one_task(runs, evidence=Evidence()).row(0, named=True)["verdict"] == "supported"


def test_a_short_run_is_left_out_and_listed():
    runs = _arms(4, 4)
    short = Run("7", 50, {"reward": [(s, 1.0 * s) for s in range(0, 60, 3)]})  # ends at 57 < 50 + 10
    row, whole = (one_task(some).row(0, named=True) for some in ([*runs, short], runs))
    assert [row[name] for name in ("n_arm", "change", "ci_low")] == [
        whole[name] for name in ("n_arm", "change", "ci_low")
    ]
    assert "left out: detached seed 7, ends within 10% of training after the detach (last row at 57)" in row["reasons"]
    detail = effects_detail(analysed([*runs, short]))
    out = detail.filter(kind="excluded").row(0, named=True)
    assert (out["seed"], out["note"]) == ("7", "ends within 10% of training after the detach (last row at 57)")


def test_a_run_that_ends_exactly_at_the_reach_counts():
    late = task(100, "walk")
    arms = [replace(run, detach_step=87 if run.detach_step else None) for run in _arms(4, 4, every=1)]
    ends = {last: Run("7", 87, {"reward": [(s, 1.0 * s) for s in range(last + 1)]}) for last in (96, 97)}
    n_arms = {last: one_task([*arms, run], study(late)).row(0, named=True)["n_arm"] for last, run in ends.items()}
    assert n_arms == {96: 4, 97: 5}


def test_rows_that_are_not_finite_are_left_out_and_counted():
    runs = _arms(3, 3)
    broken = Run("0", 50, {"reward": [*runs[0].points["reward"], (45, math.nan), (95, math.inf)]})
    rows = one_task([broken, *runs[1:]]).row(0, named=True), one_task(runs).row(0, named=True)
    assert rows[0]["change"] == rows[1]["change"]
    assert "2 rows that are not finite are left out" in rows[0]["reasons"]


def test_a_run_that_diverges_ends_where_it_does():
    runs = _arms(3, 3)
    diverged = Run("0", 50, {"reward": [(s, v if s <= 50 else math.nan) for s, v in runs[0].points["reward"]]})
    row = one_task([diverged, *runs[1:]]).row(0, named=True)
    assert (row["n_arm"], row["verdict"]) == (2, "cannot say")
    assert "ends within 10% of training after the detach (last row at 50)" in row["reasons"]


def test_rows_without_a_logarithm_are_left_out_and_counted():
    runs = [steps_run(f"{i}", at, 1.0 + i, 2.0 + i * i + (at or 0), "loss") for i in range(3) for at in (50, None)]
    zero = Run(runs[0].seed, 50, {"loss": [*runs[0].points["loss"], (55, 0.0), (65, -1.0)]})
    row = one_task([zero, *runs[1:]], study(metrics=[LOSS])).row(0, named=True)
    assert row["change"] == one_task(runs, study(metrics=[LOSS])).row(0, named=True)["change"]
    assert "2 rows at or below 0, without a logarithm, are left out" in row["reasons"]


def test_pairs_that_give_the_same_number_allow_no_test():
    runs = [steps_run(f"{i}", at, float(i), 5.0) for i in range(3) for at in (50, None)]
    row = one_task(runs).row(0, named=True)
    assert (row["change"], row["p_value"], row["verdict"]) == (0.0, None, "cannot say")
    assert row["reasons"].startswith("all pairs give the same number")


def test_pairs_that_all_differ_by_the_same_show_the_change_and_allow_no_test():
    runs = [steps_run(f"{i}", at, float(i), 40.0 + i + (30 if at else 0)) for i in range(4) for at in (50, None)]
    row = one_task(runs).row(0, named=True)
    assert [row[n] for n in ("design", "n_arm", "change", "ci_low", "verdict")] == ["fork", 4, 30.0, None, "cannot say"]
    assert row["reasons"] == "all pairs give the same number: no spread to judge by"


def test_the_onset_needs_rows_at_every_step_of_the_design():
    rule = DetachRule(ratio_key="r", randomised=Randomised(0.02, 0.7))
    randomised = study(Task(name="walk", total_steps=100, detach=rule))
    runs = [replace(run, detach_step=at) for run, at in zip(_lines(4), (20, 35, 50, 65), strict=True)]
    row = one_task(runs, randomised).row(0, named=True)
    assert (row["design"], row["verdict"]) == ("onset", "cannot say")
    assert "another step of the design" in row["reasons"]


@pytest.mark.parametrize(("expect", "verdict"), [("increase", "supported"), ("decrease", "contradicted")])
def test_holm_runs_over_every_claim_of_the_study(expect, verdict):
    # Alone p < .05 is enough, whichever way; beside 20 metrics that show nothing it is not
    first = replace(REWARD, expect=expect)

    def runs(metrics):
        points = {"reward": (20.0, 31.5, 39.0)} | {m.key: (10.1, 20.0, 29.9) for m in metrics if m.key != "reward"}
        return [
            Run(
                f"{i}",
                at,
                {
                    k: [(s, i + s / 1e3 if s <= 50 else v[i] if at else 10.0 * (i + 1)) for s in range(0, 101, 10)]
                    for k, v in points.items()
                },
            )
            for i in range(3)
            for at in (50, None)
        ]

    alone = one_task(runs([REWARD]), study(metrics=[first])).row(0, named=True)
    assert (alone["verdict"], alone["p_holm"]) == (verdict, alone["p_value"])
    many = [first, *(REWARD.__class__(f"m{i}", "reward", "increase") for i in range(20))]
    beside = one_task(runs(many), study(metrics=many)).row(0, named=True)
    assert beside["p_value"] == alone["p_value"]
    assert beside["p_holm"] == pytest.approx(21 * alone["p_value"])
    assert beside["verdict"] == "not shown"
    assert "after Holm's correction over the primary claims of all tasks" in beside["reasons"]


def test_resampling_ps_below_their_floor_are_refused_with_the_floor():
    forks = [steps_run(f"{i}", at, float(i), 5.0 * i + (1 + i if at else 0)) for i in range(5) for at in (50, None)]
    detail = effects_detail(analysed(forks))
    flip = detail.filter(name="sign-flip").row(0, named=True)
    assert (flip["p_value"], flip["p_floor"]) == (None, 1 / 16)
    assert "refused: needs 6 pairs (n = 5), its smallest p is 0.0625" in flip["note"]
    arms = _arms(3, 9)
    detail = effects_detail(analysed(arms))
    labels = detail.filter(name="label permutation").row(0, named=True)
    assert (labels["p_value"], labels["p_floor"]) == (None, pytest.approx(1 / 220))
    arms = _arms(4, 4)
    detail = effects_detail(analysed(arms))
    assert detail.filter(name="label permutation")["p_value"].to_list() == [pytest.approx(2 / 70)]


def test_tasks_without_a_control_give_no_effect_across_them():
    two = study(task(key="walk"), task(key="run"))
    effects = analysed({"walk": _lines(3), "run": _arms(3, 3)}, two).effects
    row = effects.filter(task="*").row(0, named=True)
    assert (row["design"], row["change"], row["verdict"]) == ("none", None, "cannot say")
    assert "walk is not in it (no control arm)" in row["reasons"]
