"""One effect, or one jump, over several tasks."""

import math
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from lib.effects import claim, effects_detail
from lib.study import Evidence
from tests.support.effects_kit import LOSS, REWARD, Run, analysed, steps_run, study, task

TWO = study(task(key="walk"), task(key="run"), metrics=[REWARD])
LOSSES = study(task(key="walk"), task(key="run"), metrics=[LOSS])


def _early(level):
    return [(s, level * (1 + s // 10 % 3)) for s in range(0, 51, 10)]


def _pairs(factors, metric="loss"):
    """Fork pairs: the detached run's values after the detach are the control's times a factor."""
    return [
        Run(f"{i}", at, {metric: _early(1.0 + i) + [(s, 10.0 * (f if at else 1)) for s in range(60, 101, 10)]})
        for i, f in enumerate(factors)
        for at in (50, None)
    ]


def _arms(detached, control):
    """Arms of loss runs with these ratios of after and before; no two histories are the same."""
    runs = [steps_run(f"{i}", 50, 1.0 + i, (1.0 + i) * ratio, "loss") for i, ratio in enumerate(detached)]
    return runs + [steps_run(f"{i}", None, 51.0 + i, (51.0 + i) * ratio, "loss") for i, ratio in enumerate(control)]


def _lines(jumps, scale=1.0):
    """Detached runs on a straight line that steps up at the detach."""
    return [
        Run(f"{i}", 50, {"reward": [(s, scale * (s + (jump if s > 50 else 0))) for s in range(101)]})
        for i, jump in enumerate(jumps)
    ]


def _across(runs, of):
    return analysed(runs, of).effects.filter(task="*").row(0, named=True)


def test_tasks_with_fork_pairs_enter_with_their_paired_estimate():
    factors = {"walk": [0.5, 0.6, 0.8], "run": [0.7, 0.9, 1.1]}
    logs = [np.log(f) for f in factors.values()]
    row = _across({key: _pairs(f) for key, f in factors.items()}, LOSSES)
    test = stats.ttest_ind(logs[0], -logs[1], equal_var=False)  # the mean of two independent means, twice over
    low, high = test.confidence_interval(0.95)
    assert (row["design"], row["n_arm"], row["n_control"]) == ("fork", 6, 6)
    assert row["change"] == pytest.approx(math.exp(np.mean([x.mean() for x in logs])) - 1)
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(math.expm1(low / 2)), pytest.approx(math.expm1(high / 2)))
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert row["method"] == "mean over 2 tasks of the difference of fork pairs, in logs; Welch-Satterthwaite t"


@pytest.mark.parametrize(
    ("evidence", "reasons"),
    [
        (Evidence(), "sample size not declared"),
        (Evidence(planned=3), None),
        (Evidence(planned=3, planned_after_looking=True), "sample size set after looking"),
        (Evidence(planned=2), "more runs than planned in walk and run"),
        (Evidence(planned=3, windows_after_looking=True), "windows set after looking"),
    ],
)
def test_what_was_not_declared_before_looking_is_a_caveat_across_tasks_too(evidence, reasons):
    factors = {"walk": [0.5, 0.6, 0.8], "run": [0.5, 0.6, 0.7]}
    analysis = analysed({key: _pairs(f) for key, f in factors.items()}, replace(LOSSES, evidence=evidence))
    row = analysis.effects.filter(task="*").row(0, named=True)
    assert (row["verdict"], row["reasons"]) == ("supported", reasons or "")
    assert claim(row, analysis.study).endswith(f" Note: {reasons}." if reasons else ").")


def test_the_signs_of_pairs_are_flipped_within_tasks():
    factors = [[0.5, 0.6, 0.8], [0.7, 0.9, 1.1]]
    analysis = analysed(dict(zip(("walk", "run"), map(_pairs, factors), strict=True)), LOSSES)
    labels = effects_detail(analysis).filter(task="*").row(0, named=True)
    logs = np.log(np.concatenate(factors))
    far = [abs(np.dot(signs, logs)) >= abs(logs.sum()) - 1e-12 for signs in product((1, -1), repeat=6)]
    assert (labels["p_floor"], labels["p_value"]) == (2 / 64, np.mean(far))


def test_a_task_of_pairs_and_one_of_arms_by_hand():
    pairs, detached, control = [0.5, 0.6, 0.8], [0.5, 0.55, 0.7], [0.9, 1.0, 1.2]
    analysis = analysed({"walk": _pairs(pairs), "run": _arms(detached, control)}, LOSSES)
    row = analysis.effects.filter(task="*").row(0, named=True)
    groups = [np.log(group) for group in (pairs, detached, control)]
    shares = np.array([group.var(ddof=1) / 3 for group in groups])
    value = (groups[0].mean() + groups[1].mean() - groups[2].mean()) / 2
    reach = stats.t.ppf(0.975, shares.sum() ** 2 / (shares**2 / 2).sum()) * math.sqrt(shares.sum()) / 2
    assert (row["design"], row["n_arm"], row["n_control"]) == ("did", 6, 6)
    assert row["change"] == pytest.approx(math.expm1(value))
    assert row["ci_high"] == pytest.approx(math.expm1(value + reach))
    assert row["method"].startswith(
        "mean over 2 tasks of the difference of fork pairs (1 task) or the difference in differences (1 task), in logs"
    )
    arms = np.concatenate(groups[1:])
    statistics = [
        np.dot(signs, groups[0]) + 2 * arms[list(chosen)].sum() - arms.sum()
        for signs in product((1, -1), repeat=3)
        for chosen in combinations(range(6), 3)
    ]
    labels = effects_detail(analysis).filter(task="*").row(0, named=True)
    assert labels["p_floor"] == 2 / (8 * 20)
    assert labels["p_value"] == np.mean(np.abs(statistics) >= abs(6 * value) - 1e-12)


def test_pairs_that_give_no_test_leave_their_task_out():
    row = _across({"walk": _pairs([0.5] * 3), "run": _pairs([0.5, 0.6, 0.8])}, LOSSES)
    assert (row["design"], row["verdict"]) == ("none", "cannot say")
    assert "walk is not in it (all pairs give the same number: no spread to judge by)" in row["reasons"]


def test_detached_runs_alone_give_a_jump_across_tasks():
    jumps = {"walk": [5.0, 6.0, 7.0], "run": [10.0, 14.0, 18.0]}
    runs = {key: _lines(values, 1000.0 if key == "run" else 1.0) for key, values in jumps.items()}
    row = _across(runs, TWO)
    scaled = []
    for key, values in jumps.items():
        rows = np.concatenate([[v for _, v in run.points["reward"]] for run in runs[key]])
        low, high = np.quantile(rows, (0.05, 0.95))
        scaled.append(np.array(values) * (1000.0 if key == "run" else 1.0) / (high - low))
    test = stats.ttest_ind(scaled[0], -scaled[1], equal_var=False)
    assert (row["design"], row["control"], row["n_arm"], row["n_control"]) == ("jump", None, 6, 0)
    assert row["change"] == pytest.approx(np.mean([x.mean() for x in scaled]))
    assert row["ci_low"] == pytest.approx(test.confidence_interval(0.95).low / 2)
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert (row["p_floor"], row["verdict"], row["holm_family"]) == (None, "supported", "across:primary")
    assert row["reasons"] == "no control arm: a jump at the detach may have other causes; sample size not declared"
    assert effects_detail(analysed(runs, TWO)).filter(task="*").is_empty()
    sentence = claim(row, TWO)
    assert sentence.startswith("Across 2 tasks, reward rose at once by ")
    assert "effect" not in sentence and "detaching the encoder" not in sentence


def test_a_jump_across_tasks_has_the_h_of_many_runs():
    # level up to 44 and from 57 on, a straight line between: no jump within 5 steps, 12 and more over 10
    def bent(jumps):
        return [
            Run(f"{i}", 50, {"reward": [(s, min(max(s, 44), 56) + (jump if s > 50 else 0)) for s in range(101)]})
            for i, jump in enumerate(jumps)
        ]

    runs = {"walk": bent([2.0, 3.0, 4.0]), "run": bent([2.0, 3.0, 4.0])}
    across, alone = analysed(runs, TWO).effects.sort("task").head(2).iter_rows(named=True)
    rows = np.concatenate([[v for _, v in run.points["reward"]] for run in runs["walk"]])
    low, high = np.quantile(rows, (0.05, 0.95))
    assert across["change"] == pytest.approx(3.0 / (high - low))
    assert "h = 5% of its steps" in across["method"]
    assert alone["change"] > 4


def test_a_running_run_bars_the_jump_across_tasks_too():
    runs = {"walk": _lines([5.0, 6.0, 7.0]), "run": _lines([6.0, 7.0, 8.0])}
    runs["walk"][0] = replace(runs["walk"][0], state="running")
    row = _across(runs, TWO)
    assert (row["p_value"], row["verdict"]) == (None, "cannot say")


def test_two_runs_of_a_task_are_enough_for_a_jump_across_tasks():
    # one degree of freedom a task: jumps of 5, 7 and of 6, 8 in tasks of like scale
    row = _across({"walk": _lines([5.0, 7.0]), "run": _lines([6.0, 8.0])}, TWO)
    assert (row["design"], row["n_arm"]) == ("jump", 4)
    assert row["p_value"] is not None
    alone = _across({"walk": _lines([5.0, 7.0]), "run": _lines([6.0])}, TWO)
    assert (alone["design"], alone["verdict"]) == ("none", "cannot say")
    assert "run is not in it (n = 1: too few runs for any inference (+6))" in alone["reasons"]


def test_a_task_with_a_control_arm_is_not_in_the_jump_of_the_others():
    three = study(*(task(key=key) for key in ("walk", "run", "hop")), metrics=[REWARD])
    row = _across({"walk": _lines([5, 6, 7]), "run": _lines([5, 6, 7]), "hop": _rewards()}, three)
    assert (row["design"], row["n_arm"]) == ("jump", 6)
    assert "hop is not in it (it has a control arm)" in row["reasons"]


def test_effects_across_tasks_by_hand():
    # Each task's reward spans the same range; log losses need no scale: the mean of log ratios

    def runs(factor):
        t = [steps_run(f"{i}", 50, 1.0 + i, (1.0 + i) * factor * 1.05**i, "loss") for i in range(3)]
        return t + [steps_run(f"{i}", None, 5.0 + i, (5.0 + i) * 1.02**i, "loss") for i in range(3)]

    analysis = analysed({"walk": runs(0.5), "run": runs(0.8)}, LOSSES)
    row = analysis.effects.filter(task="*").row(0, named=True)
    each = analysis.effects.filter(pl.col("task") != "*")
    assert row["change"] == pytest.approx(math.exp(each["change"].log1p().mean()) - 1)
    assert (row["design"], row["n_arm"], row["n_control"]) == ("did", 6, 6)
    assert row["p_floor"] == pytest.approx(2 / 400)
    assert row["verdict"] == "supported"
    assert claim(row, LOSSES).startswith("Across 2 tasks, detaching the encoder lowered loss by ")
    labels = effects_detail(analysis).filter(task="*", name="labels within tasks").row(0, named=True)
    assert labels["p_value"] == pytest.approx(2 / 400)


def _rewards():
    runs = [steps_run(f"{i}", 50, 10.0 + i, 20.0 + 3 * i) for i in range(3)]
    return runs + [steps_run(f"{i}", None, 50.0 + i, 51.0 + 2 * i) for i in range(3)]


def test_linear_metrics_across_tasks_are_in_units_of_their_range():
    small, large = (
        _rewards(),
        [Run(r.seed, r.detach_step, {"reward": [(s, 1000 * v) for s, v in r.points["reward"]]}) for r in _rewards()],
    )
    row = analysed({"walk": small, "run": large}, TWO).effects.filter(task="*").row(0, named=True)
    values = pl.Series([v for r in small for _, v in r.points["reward"]])
    span = values.quantile(0.95, "linear") - values.quantile(0.05, "linear")
    assert row["change"] == pytest.approx(10.0 / span)  # both tasks: d of 10, 12, 14 against 1, 2, 3
    assert "units of the range" in row["method"]
