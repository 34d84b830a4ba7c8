"""Each design on runs of a few numbers: who is compared with whom, the estimate, the interval, the verdict."""

import math

import pytest
from scipy import stats

from lib.study import DetachRule, Evidence, Metric, Task
from lib.study.model import Randomised
from tests.support.effects_kit import LOSS, REWARD, Run, one_task, steps_run, study


def _forks(afters, befores=None):
    """Pairs of runs with a history of their own each: (detached after, control after) per seed."""
    befores = befores or range(1, len(afters) + 1)
    return [
        run
        for seed, (before, (detached, control)) in enumerate(zip(befores, afters, strict=True))
        for run in (
            steps_run(f"{seed}", 50, float(before), detached),
            steps_run(f"{seed}", None, float(before), control),
        )
    ]


def test_fork_pairs_by_hand():
    # delta = 1, 2, 3: mean 2, se 1/sqrt(3)
    row = one_task(_forks([(11, 10), (22, 20), (33, 30)])).row(0, named=True)
    reach = 4.302652729911275 / math.sqrt(3)
    assert (row["design"], row["n_arm"], row["n_control"], row["control"]) == ("fork", 3, 3, "control")
    assert (row["before"], row["after"]) == (2.0, 22.0)
    assert row["change"] == 2.0
    assert row["change_pct"] == pytest.approx(10.0)  # of the controls' 20
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(2 - reach), pytest.approx(2 + reach))
    assert row["p_value"] == row["p_holm"] == pytest.approx(stats.ttest_1samp([1, 2, 3], 0).pvalue)
    assert row["p_floor"] == 0.25
    assert row["verdict"] == "not shown"
    assert row["reasons"].startswith("the 95% interval includes 0")


def test_fork_pairs_are_found_by_history_not_by_seed():
    runs = _forks([(11, 10), (22, 20), (33, 30)])
    shuffled = [Run(f"s{i}", r.detach_step, r.points) for i, r in enumerate(runs)]
    assert one_task(shuffled).row(0, named=True)["design"] == "fork"

    def moved(run):
        nudge = 0.5 if run.detach_step else 0
        return Run(run.seed, run.detach_step, {"reward": [(s, v + nudge * (s == 40)) for s, v in run.points["reward"]]})

    apart = [moved(r) for r in runs]
    assert one_task(apart).row(0, named=True)["design"] == "did"


def test_a_row_at_the_detach_need_not_be_equal():
    runs = [
        Run(
            r.seed,
            r.detach_step,
            {"reward": [(s, v + (7 if r.detach_step and s == 50 else 0)) for s, v in r.points["reward"]]},
        )
        for r in _forks([(11, 10), (22, 20), (33, 30)])
    ]
    row = one_task(runs).row(0, named=True)
    assert (row["design"], row["before"]) == ("fork", 2 + 7 / 2)  # the rows at 40 and 50 of each run


def test_did_by_hand():
    # d = 2, 4, 6 against 0, 1, 2: the Welch example of the estimators; no two histories are equal
    runs = [steps_run(f"{i}", 50, 10.0 + i, 10.0 + i + d) for i, d in enumerate((2, 4, 6))]
    runs += [steps_run(f"{i}", None, 20.0 + i, 20.0 + i + d) for i, d in enumerate((0, 1, 2))]
    row = one_task(runs).row(0, named=True)
    reach = stats.t.ppf(0.975, 50 / 17) * math.sqrt(5 / 3)
    assert (row["design"], row["n_arm"], row["n_control"]) == ("did", 3, 3)
    assert (row["before"], row["after"], row["change"]) == (11.0, 15.0, 3.0)
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(3 - reach), pytest.approx(3 + reach))
    assert row["change_pct"] == pytest.approx(100 * 3 / 11)
    assert row["p_floor"] == pytest.approx(2 / 20)
    assert row["verdict"] == "not shown"


def test_verdicts_follow_the_expected_direction():
    rising = one_task(_forks([(20, 10), (31, 20), (40, 30)])).row(0, named=True)
    falling = one_task(_forks([(10, 20), (20, 31), (30, 40)])).row(0, named=True)
    assert (rising["verdict"], falling["verdict"]) == ("supported", "contradicted")
    assert rising["change"] == -falling["change"] == pytest.approx(31 / 3)


def test_log_metrics_are_ratios_of_geometric_means():
    # detached halves the loss of every pair, give or take: ratios 1/2, 1/2 * 1.1, 1/2 / 1.1
    runs = []
    for seed, (level, ratio) in enumerate(((1.0, 0.5), (2.0, 0.55), (4.0, 0.5 / 1.1))):
        runs += [
            steps_run(f"{seed}", 50, level, level * ratio, "loss"),
            steps_run(f"{seed}", None, level, level, "loss"),
        ]
    row = one_task(runs, study(metrics=[LOSS])).row(0, named=True)
    reach = 4.302652729911275 * math.log(1.1) / math.sqrt(3)
    assert row["change"] == pytest.approx(-0.5)
    assert row["change_pct"] == pytest.approx(-50)
    assert row["ci_low"] == pytest.approx(0.5 * math.exp(-reach) - 1)
    assert row["ci_high"] == pytest.approx(0.5 * math.exp(reach) - 1)
    assert (row["before"], row["after"]) == (pytest.approx(2.0), pytest.approx(1.0))
    assert row["verdict"] == "supported"


def _ramp(seed, slope, jump, at=50, every=1):
    """A straight line that jumps at the detach."""
    return Run(seed, at, {"reward": [(s, slope * s + (jump if s > at else 0)) for s in range(0, 101, every)]})


def test_jump_by_hand():
    # Lines leave nothing but the jumps 1, 2, 3
    row = one_task([_ramp("0", 1, 1), _ramp("1", 2, 2), _ramp("2", 3, 3)]).row(0, named=True)
    reach = 4.302652729911275 / math.sqrt(3)
    assert (row["design"], row["control"], row["n_arm"], row["n_control"]) == ("jump", None, 3, 0)
    assert row["change"] == pytest.approx(2.0)
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(2 - reach), pytest.approx(2 + reach))
    assert row["p_floor"] is None
    assert "no control arm" in row["reasons"]


def test_each_run_jumps_at_its_own_step():
    runs = [_ramp("0", 1, 1, at=40), _ramp("1", 2, 2, at=50), _ramp("2", 3, 3, at=60)]
    assert one_task(runs).row(0, named=True)["change"] == pytest.approx(2.0)


def test_onset_uses_the_design():
    rule = DetachRule(ratio_key="r", randomised=Randomised(0.3, 0.7))
    randomised = study(Task(name="walk", total_steps=1000, detach=rule))
    runs = [
        Run(f"{i}", at, {"reward": [(s, s / 100 + (5 + i if s > at else 0)) for s in range(0, 1001, 5)]})
        for i, at in enumerate((320, 410, 520, 640))
    ]
    row = one_task(runs, randomised).row(0, named=True)
    assert (row["design"], row["n_arm"]) == ("onset", 4)
    assert row["change"] == pytest.approx(6.5)
    assert row["p_floor"] == 1 / 10_000
    assert row["p_value"] < 0.01
    assert row["verdict"] == "supported"
    again = one_task(list(reversed(runs)), randomised).row(0, named=True)
    assert again["p_value"] == row["p_value"]


def test_windows_are_in_steps_and_settle_is_left_out():
    # after the detach 100 for 10 steps, then the level: settled, the 100 must not count
    def run(seed, at, level):
        points = [(s, 0.0 if s <= 50 else 100.0 if s <= 60 and at else level) for s in range(0, 101, 5)]
        return Run(seed, at, {"reward": [(0, float(seed)), *points[1:]]})

    runs = [run(f"{i}", 50, 10.0 + i) for i in range(3)] + [run(f"{i}", None, 4.0 + i * i) for i in range(3)]
    evidence = Evidence(settle=0.1)
    row = one_task(runs, study(evidence=evidence)).row(0, named=True)
    assert (row["after"], row["change"]) == (11.0, pytest.approx(11 - 17 / 3))
    short = Evidence(after=10, settle=10)  # (60, 70]
    assert one_task(runs, study(evidence=short)).row(0, named=True)["after"] == 11.0


def test_the_after_window_ends_where_the_shortest_run_does():
    def run(seed, at, last):
        return Run(seed, at, {"reward": [(s, float(seed) if s < 50 else float(s)) for s in range(0, last + 1, 5)]})

    runs = [run(f"{i}", 50, 95 if i == 0 else 100) for i in range(3)]
    runs += [run(f"{i}", None, 100) for i in range(3)]
    row = one_task(runs).row(0, named=True)
    assert row["after"] == 75.0  # 55, 60, ... 95 of every run


@pytest.mark.parametrize(("design", "every", "after"), [("did", 5, 77.5), ("jump", 1, 75.5)])
def test_a_run_that_is_not_compared_does_not_end_the_others(design, every, after):
    """It ends at 96 and has no row where its design looks; the others' rows at 100 count all the same."""

    def run(seed, at):
        return Run(seed, at, {"reward": [(s, float(seed) + s % 3 if s <= 50 else s) for s in range(0, 101, every)]})

    late = Run("9", 50, {"reward": [(s, float(s)) for s in (90, 95, 96)]})
    controls = [run(f"{i}", None) for i in range(4, 7)] if design == "did" else []
    row = one_task([run(f"{i}", 50) for i in range(3)] + [late] + controls).row(0, named=True)
    assert (row["design"], row["n_arm"], row["after"]) == (design, 3, after)
    assert "left out: detached seed 9" in row["reasons"]


def test_two_detach_treatments_are_each_compared_with_the_control():
    runs = _forks([(11, 10), (22, 20), (33, 30)])
    other = [Run(r.seed, r.detach_step, r.points, arm="detached 0.2" if r.detach_step else "") for r in runs]
    both = [Run(r.seed, r.detach_step, r.points, arm="detached 0.5" if r.detach_step else "") for r in runs]
    more = [r for r in other if r.detach_step] + both
    rows = one_task(more)
    assert rows["arm"].to_list() == ["detached 0.2", "detached 0.5"]
    assert rows["design"].to_list() == ["fork", "fork"]
    assert rows["p_holm"][0] == pytest.approx(2 * rows["p_value"][0])


def test_a_percent_of_nearly_nothing_is_refused():
    runs = [steps_run(f"{i}", 50, 0.01 * i, 10.0 + i) for i in range(3)]
    runs += [steps_run(f"{i}", None, 0.001 * (i + 1), 0.1 * i) for i in range(3)]
    row = one_task(runs).row(0, named=True)
    assert row["change_pct"] is None
    assert "no percent" in row["reasons"]
    assert row["verdict"] == "supported"


def test_a_metric_of_another_name_has_rows_of_its_own():
    extra = Metric("other", "reward", "decrease")
    rows = one_task(_forks([(11, 10), (22, 20), (33, 30)]), study(metrics=[REWARD, extra]))
    assert rows["metric"].to_list() == ["reward", "other"]
    assert rows.row(1, named=True)["design"] == "none"
    assert rows.row(1, named=True)["verdict"] == "cannot say"
