"""Which runs a comparison counts: copies, reruns, crashed and running runs, runs left out by hand or by declaration."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.effects import checklist, claim, effects_detail
from lib.runs import BranchPoint
from lib.study import DetachRule, Evidence, Task
from lib.study.model import Randomised
from tests.support.effects_kit import LOSS, REWARD, Run, analysed, steps_run, study, treatments_of

NUMBERS = ("design", "n_arm", "n_control", "before", "after", "change", "ci_low", "ci_high", "p_value", "verdict")
few = settings(max_examples=15, deadline=None)


def _arms(n=4, lift=10.0, **options):
    """Runs with histories of their own: d of the detached is about `lift`, that of the controls about 1."""
    runs = [steps_run(f"{i}", 50, 10.0 + i, 10.0 + lift + 1.5 * i, **options) for i in range(n)]
    return runs + [steps_run(f"{i}", None, 50.0 + i, 51.0 + 1.2 * i, **options) for i in range(n)]


def _forks(n=4, lift=5.0):
    return [
        steps_run(f"{i}", at, 10.0 + i, 20.0 + 3 * i + (lift + 0.3 * i if at else 0))
        for i in range(n)
        for at in (50, None)
    ]


def _row(runs, of=None, **options):
    return analysed(runs, of, **options).effects.row(0, named=True)


def _numbers(row):
    return {name: row[name] for name in NUMBERS}


def _check(runs, name, of=None, **options):
    return next(c for c in checklist(analysed(runs, of, **options).tasks[0]) if c.name == name)


@few
@given(st.sampled_from([_arms, _forks]), st.data())
def test_a_copy_of_any_run_changes_no_number(make, data):
    runs = make()
    of = data.draw(st.sampled_from(runs))
    copies = [replace(of.upto(data.draw(st.integers(40, 100))), again=f" copy {i}") for i in range(2)]
    row = _row(data.draw(st.permutations([*runs, *copies])))
    assert _numbers(row) == _numbers(_row(runs))
    assert f"copy of run {of.name}" in row["reasons"]


@few
@given(
    st.sampled_from([_arms, _forks]),
    st.sampled_from([50, None]),
    st.integers(1, 9),
    st.sampled_from(["crashed", "failed"]),
)
def test_a_run_that_crashed_early_changes_no_estimate(make, at, rows, state):
    crashed = Run("9", at, {"reward": [(10 * s, 1.0 + s * s) for s in range(rows)]}, state=state)
    row, whole = _row([*make(), crashed]), _row(make())
    assert [row[n] for n in NUMBERS[:8]] == [whole[n] for n in NUMBERS[:8]]
    assert "ended early" in row["reasons"] or "ends within 10% of training after the detach" in row["reasons"]


def test_a_copy_is_told_in_claim_table_and_checklist():
    runs = [*_arms(), replace(_arms()[0], again="b")]
    analysis = analysed(runs)
    out = effects_detail(analysis).filter(kind="excluded").select("run_id", "seed", "note").rows()
    assert out == [("0-50b", "0", "copy of run 0-50")]
    assert "left out: detached seed 0, copy of run 0-50" in claim(
        analysis.effects.row(0, named=True), study(), treatments_of(runs)
    )
    check = _check(runs, "Runs counted")
    assert check.text == "Not counted for some metric: seed 0 of detached (copy of run 0-50)."
    assert check.remedy == ""


def test_runs_of_one_seed_that_differ_count_with_a_caveat():
    runs = [replace(r, config={"seed": int(r.seed)}) for r in _arms()]
    again = replace(steps_run("0", 50, 11.5, 22.0), again="b", config={"seed": 0})
    row = _row([*runs, again])
    assert row["n_arm"] == 5
    assert "detached seed 0 counts 2 times (runs 0-50 and 0-50b)" in row["reasons"]
    check = _check([*runs, again], "Runs counted")
    assert "0-50b (seed 0 of detached)" in check.text
    other = replace(again, config={"seed": 0, "mode": "baseline"})
    assert "counts 2 times (runs 0-50 and 0-50b, which differ in mode)" in _row([*runs, other])["reasons"]
    assert check.remedy == "Give every run a seed of its own."


def test_a_superseded_run_is_out_and_asks_for_no_rerun():
    runs = [replace(r, config={"seed": int(r.seed), "lr": 0.1}) for r in _arms()]
    dead = replace(
        steps_run("0", 50, 11.5, 22.0).upto(70), again="b", state="crashed", config={"seed": 0, "lr": "1e-1"}
    )
    row = _row([*runs, dead])
    assert _numbers(row) == _numbers(_row(runs))
    assert "superseded by run 0-50" in row["reasons"]
    assert _check([*runs, dead], "Runs to the end").passed


# --- ends ---


def test_an_early_end_in_one_arm_takes_the_verdict_and_keeps_the_numbers():
    runs = _arms()
    crashed = replace(steps_run("7", 50, 12.0, 25.0).upto(80), state="crashed")
    row, whole = _row([*runs, crashed]), _row(runs)
    assert (whole["verdict"], row["verdict"], row["p_value"]) == ("supported", "cannot say", None)
    assert [row[n] for n in ("change", "ci_low", "ci_high")] == [whole[n] for n in ("change", "ci_low", "ci_high")]
    assert row["reasons"].startswith("runs ended early in unequal numbers (1 detached, 0 control)")
    check = _check([*runs, crashed], "Runs to the end")
    assert (check.passed, check.needed) == (False, True)
    assert check.remedy.startswith("Rerun what ended early")


def test_an_arm_that_ended_early_as_a_whole_says_so_and_asks_for_longer_runs():
    runs = [run.upto(70) if run.detach_step else run for run in _arms()]
    row = _row(runs)
    assert (row["design"], row["n_arm"], row["verdict"]) == ("none", 0, "cannot say")
    assert row["reasons"].startswith(
        "no run of the arm counts; runs ended early in unequal numbers (4 detached, 0 control): "
    )
    assert "left out: detached seeds 0, 1, 2, 3, ended early (last row at 70)" in row["reasons"]
    check = _check(runs, "Runs to the end")
    assert (check.passed, check.needed) == (False, True)
    assert _check(runs, "Points per side").text == "No run of an arm counts for reward."


def test_a_run_that_is_still_running_is_called_no_run_of_its_own():
    runs = [replace(r, config={"seed": int(r.seed)}) for r in _arms()]
    again = replace(steps_run("0", 50, 11.5, 22.0).upto(70), again="b", state="running", config={"seed": 0})
    check = _check([*runs, again], "Runs counted")
    assert check.text == "Not counted for some metric: seed 0 of detached (still running (last row at 70))."
    assert check.remedy == "Wait until what is running has finished."


def test_early_ends_in_equal_numbers_keep_the_verdict():
    crashed = [
        replace(steps_run("7", at, 12.0, after).upto(80), state="crashed") for at, after in ((50, 25.0), (None, 13.0))
    ]
    row = _row([*_arms(), *crashed])
    assert (row["verdict"], row["n_arm"], row["n_control"]) == ("supported", 4, 4)
    assert "left out: detached seed 7, ended early (last row at 80)" in row["reasons"]


def test_runs_that_ended_early_show_what_they_would_change():
    # The detached runs rise by 10, 10.5, 11, 11.5 and the one that crashed by 13, the controls by 1, 1.2, 1.4, 1.6 and 1:
    # 11.2 - 1.24, variances 1.325 and 0.068, so a standard error of 0.528 with 4.41 degrees of freedom, and t = 2.68.
    crashed = [
        replace(steps_run("7", at, 12.0, after).upto(80), state="crashed") for at, after in ((50, 25.0), (None, 13.0))
    ]
    row = _row([*_arms(), *crashed])
    note = "cut at step 80, with the runs that ended early, the change is +10.0 (95% CI +8.5 to +11.4)"
    assert note in row["reasons"].split("; ")


def test_a_verdict_needs_the_sign_of_the_cut_comparison():
    # Whole runs rise by 10 more than the controls, the one that stopped at 80 fell by 100: cut there, the mean falls
    crashed = [
        replace(steps_run("7", at, 90.0, after).upto(80), state="crashed") for at, after in ((50, -10.0), (None, 91.0))
    ]
    row = _row([*_arms(), *crashed])
    assert (row["verdict"], row["change"] > 0) == ("cannot say", True)
    assert "cut at step 80, with the runs that ended early, the change has the other sign" in row["reasons"]


def test_a_running_run_that_is_behind_is_set_apart():
    running = replace(steps_run("7", 50, 12.0, 25.0).upto(80), state="running")
    row = _row([*_arms(), running])
    assert _numbers(row) == _numbers(_row(_arms()))
    assert "left out: detached seed 7, still running (last row at 80)" in row["reasons"]


def test_a_running_run_that_is_compared_takes_the_verdict():
    running = replace(steps_run("7", 50, 12.0, 25.0), state="running")
    row = _row([*_arms(), running])
    assert (row["n_arm"], row["verdict"]) == (5, "cannot say")
    assert row["reasons"].startswith("1 run is still running")
    assert not _check([*_arms(), running], "Runs finished").passed


def test_where_none_is_finished_the_runs_are_compared_up_to_the_first():
    runs = [replace(r.upto(80 if r.seed == "0" else 100), state="running") for r in _arms()]
    row = _row(runs)
    assert (row["n_arm"], row["n_control"], row["verdict"]) == (4, 4, "cannot say")
    assert "compared up to step 80 of 100" in row["reasons"]
    assert row["reasons"].startswith("8 runs are still running")


def test_runs_that_all_end_together_are_whole():
    runs = [r.upto(80) for r in _arms()]
    row = _row(runs)
    assert (row["n_arm"], row["verdict"]) == (4, "supported")
    assert "compared up to step 80 of 100" in row["reasons"]


@pytest.mark.parametrize(
    ("last", "every", "counts"),
    [
        (80, 10, True),  # two of its own spacings before the run's end
        (80, 5, False),  # four of them
        (75, 25, True),
    ],
)
def test_a_metric_is_short_where_it_stops_more_than_two_spacings_before_its_run(last, every, counts):
    runs = [replace(r, end=100) for r in _arms(every=5)]
    sparse = Run("7", 50, {"reward": [(s, 12.0 if s <= 50 else 25.0) for s in range(0, last + 1, every)]}, end=100)
    row = _row([*runs, sparse])
    assert row["n_arm"] == (5 if counts else 4)
    assert ("ended early" in row["reasons"]) != counts


def test_a_metric_that_breaks_off_in_one_arm_is_an_early_end():
    # The loss is NaN from 65 on in one detached run, which itself goes on
    def run(seed, at, factor, broken=False):
        levels = [(s, 1.0 + int(seed) if s <= 50 else (1.0 + int(seed)) * factor) for s in range(0, 101, 5)]
        return Run(seed, at, {"loss": [(s, float("nan") if broken and s > 60 else v + s / 1e4) for s, v in levels]})

    runs = [run(f"{i}", at, factor + i / 50) for i in range(4) for at, factor in ((50, 0.5), (None, 0.9))]
    row = _row([*runs, run("7", 50, 0.5, broken=True)], study(metrics=[LOSS]))
    assert (row["n_arm"], row["verdict"]) == (4, "cannot say")
    assert "runs ended early in unequal numbers (1 detached, 0 control)" in row["reasons"]


# --- left out by hand, by declaration ---


def test_a_run_left_out_by_hand_makes_every_claim_exploratory():
    analysis = analysed(_arms(), left_out=("7-50",))
    row = analysis.effects.row(0, named=True)
    assert (row["verdict"], row["change"] > 0) == ("cannot say", True)
    assert row["reasons"].startswith("exploratory: run 7-50 left out by hand")
    assert "exploratory: run 7-50 left out by hand" in claim(row, study(), treatments_of(_arms()))
    two = analysed(_arms(), left_out=("b", "a")).effects.row(0, named=True)
    assert two["reasons"].startswith("exploratory: runs a and b left out by hand")


def test_a_run_left_out_by_declaration_keeps_the_verdict():
    wild = steps_run("7", 50, 12.0, -500.0)
    declared = study(evidence=Evidence(leave_out=((wild.name, "the reward was wired wrongly"),)))
    row = _row([*_arms(), wild], declared)
    assert _numbers(row) == _numbers(_row(_arms()))
    assert "left out: detached seed 7, left out by declaration: the reward was wired wrongly" in row["reasons"]
    assert _check([*_arms(), wild], "Runs left out", declared).passed


# --- fork pairs ---


def test_sparse_rewards_do_not_pair():
    runs = [Run(f"{i}", at, {"reward": [(s, 0.0 if s <= 50 else 5.0 + i + (at or 0) / 10) for s in range(0, 101, 5)]})
            for i in range(4) for at in (50, None)]  # fmt: skip
    assert _row(runs)["design"] == "did"


@pytest.mark.parametrize(("rows", "values", "design"), [(5, 3, "fork"), (4, 3, "did"), (5, 2, "did"), (9, 2, "did")])
def test_pairs_need_five_rows_of_three_values(rows, values, design):
    steps = [*range(0, 5 * rows, 5), 50, 60, 80, 100]
    runs = [
        Run(f"{i}", at, {"reward": [(s, i + float(s // 5 % values) if s < 50 else 20.0 + 2 * i + (at or 0) / 10) for s in steps]})
        for i in range(3) for at in (50, None)
    ]  # fmt: skip
    assert _row(runs)["design"] == design


def test_rows_of_one_metric_pair_what_another_leaves_open():
    def run(seed, at):
        rewards = [(s, 0.0 if s <= 50 else 5.0 + seed + (at or 0) / 10) for s in range(0, 101, 10)]
        return Run(f"{seed}", at, {"reward": rewards, "loss": [(s, 1.0 + seed + s / 50) for s in range(0, 101, 10)]})

    runs = [run(i, at) for i in range(3) for at in (50, None)]
    assert _row(runs, study(metrics=[REWARD, LOSS]))["design"] == "fork"
    # Equal at every step: one row that differs is enough
    odd = replace(runs[0], points={**runs[0].points, "reward": [(0, 1e-9), *runs[0].points["reward"][1:]]})
    assert _row([odd, *runs[1:]], study(metrics=[REWARD, LOSS]))["design"] == "did"


def _lineage(parents, forks):
    """Three pairs of which almost nothing was logged before the detach, with these branch points."""
    runs = []
    for i in range(3):
        points = [(45, 1.0), (60, 10.0 + 2 * i), (80, 11.0 + 2 * i), (100, 12.0 + 2 * i)]
        lifted = [(s, v + (5 + i / 10 if s > 50 else 0)) for s, v in points]
        runs.append(Run(f"c{i}", None, {"reward": points}, branch_point=parents(i)))
        runs.append(Run(f"d{i}", 50, {"reward": lifted}, branch_point=forks(i)))
    return runs


def test_lineage_pairs_where_few_rows_precede_the_detach():
    def of_control(i):
        return BranchPoint(f"c{i}-None", 50)

    def of_trunk(i):
        return BranchPoint(f"trunk{i}", 50)

    assert _row(_lineage(lambda i: None, lambda i: None))["design"] == "did"
    child = analysed(_lineage(lambda i: None, of_control)).tasks[0].comparisons[0]
    assert [(p.detached, p.control) for p in child.pairs] == [(f"d{i}-50", f"c{i}-None") for i in range(3)]
    assert _row(_lineage(of_trunk, of_trunk))["design"] == "fork"
    assert _row(_lineage(of_trunk, lambda i: BranchPoint(f"trunk{i}", 40)))["design"] == "did"
    assert _row(_lineage(of_trunk, lambda i: BranchPoint(f"trunk{i + 1}", 50)))["design"] == "did"


def test_lineage_does_not_pair_what_differs_before_the_detach():
    runs = _lineage(lambda i: None, lambda i: BranchPoint(f"c{i}-None", 40))
    runs[1] = replace(runs[1], points={"reward": [(45, 1.5), *runs[1].points["reward"][1:]]})
    assert _row(runs)["design"] == "did"


def test_the_same_seed_is_preferred():
    runs = _forks(3)
    twin = replace(runs[1], seed="9", points={"reward": [(s, v + (s > 50)) for s, v in runs[1].points["reward"]]})
    pairs = analysed([twin, *runs]).tasks[0].comparisons[0].pairs
    assert {(p.detached, p.control) for p in pairs} == {(f"{i}-50", f"{i}-None") for i in range(3)}


# --- randomised steps ---


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((50,) * 6, "6 runs have only 1 detach step"),
        ((30, 30, 50, 50, 70, 70), ""),
        ((30, 30, 30, 50, 50, 50), "6 runs have only 2 detach steps"),
        ((40, 45, 50, 55, 58, 60), "the detach steps are only 20 steps apart"),
        ((30, 40, 50, 60, 70, 80), "80 lies outside the design's 30 to 70"),
        ((20, 40, 50, 60, 70, 80), "20 and 80 lie outside the design's 30 to 70"),
    ],
)
def test_only_steps_that_look_drawn_get_the_onset_test(steps, reason):
    randomised = study(Task("walk", 100, detach=DetachRule(ratio_key="r", randomised=Randomised(0.3, 0.7))))
    runs = [
        Run(f"{i}", at, {"reward": [(s, s + (i + 5 if s > at else 0.0)) for s in range(101)]})
        for i, at in enumerate(steps)
    ]
    row = _row(runs, randomised)
    assert row["design"] == ("jump" if reason else "onset")
    check = _check(runs, "Detach steps drawn", randomised)
    assert check.passed == (not reason)
    if reason:
        assert f"no onset test, for the detach steps do not look drawn: {reason}" in row["reasons"]
        assert reason in check.text
