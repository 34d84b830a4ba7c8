"""How many runs an effect or a margin needs, and what they cost."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from lib.__main__ import main
from lib.effects import ALL_TASKS, pilots, pilots_of, plan, power_curve, typed_pilot
from lib.effects.compare.estimators import across
from lib.effects.plan import power
from lib.effects.spread import Pace, Spread, task_spread
from lib.report import start_text
from lib.study import Metric, load_study
from tests.effects.test_equivalence import arms
from tests.support.effects_kit import analysed, study, task
from tests.support.effects_kit import steps_run as run


def forks():
    """Three pairs over 100 steps, detached at 50: differences 1, 2 and 3 of levels 10, 20 and 30."""
    return [run(f"{i}", at, float(i), 10.0 * (i + 1) + (i + 1.0 if at else 0.0)) for i in range(3) for at in (50, None)]


def planned(analysis, *changes, make=plan):
    return make(analysis.study, pilots(analysis), *([changes] if changes else []))


def row(needed, design, target):
    return needed.filter(design=design, target=target).row(0, named=True)


def fork_spread(variance=1.0):
    """Pairs of runs over 100 steps, detached at 50."""
    return task_spread("fork", [variance], 100, 50.0)


def test_fork_pairs_follow_the_noncentral_t():
    # the differences' sd is 1, the controls' level 20: 10% is 2 sd, for which G*Power's table has 5 pairs, 25% is 5 sd
    needed = planned(analysed(forks()))
    ten = row(needed, "fork", "a change of 10%")
    assert (ten["n"], ten["runs"], ten["steps"]) == (5, 10, 5 * 150)
    # the rows of these runs are a second and a step apart
    assert ten["hours"] == pytest.approx(750 / 3600)
    assert ten["text"] == "5 fork pairs: 10 runs, 750 environment steps, 0.208 hours of training"
    assert row(needed, "fork", "a change of 25%")["n"] == 3


def test_arms_count_both_arms_and_their_spreads():
    # each arm's d has variance 2 / 3; a change of 10% of 101.5 is 10.15: 12 sd of a run
    needed = planned(analysed(arms(0.0)), 1.0)
    few = row(needed, "did", "a change of 1%")
    sizes = np.arange(3, 201)
    expected = sizes[power(task_spread("did", [2 / 3, 2 / 3], 100, 50.0), 1.015, sizes) >= 0.8][0]
    assert (few["n"], few["runs"], few["steps"]) == (expected, 2 * expected, 200 * expected)
    assert few["text"].startswith(f"{expected} seeds in each arm: ")


def test_simulated_power_is_the_planned_one():
    rng, n = np.random.default_rng(3), 6
    planned = float(power(fork_spread(), 1.5, np.array([n]))[0])
    values = rng.normal(1.5, 1.0, (20_000, n))
    from scipy import stats

    result = stats.ttest_1samp(values, 0, axis=1)
    assert ((result.pvalue < 0.05) & (result.statistic > 0)).mean() == pytest.approx(planned, abs=0.01)


def test_a_margin_is_one_sided_and_needs_a_control_arm():
    of = study(metrics=[Metric("reward", "reward", "increase", margin_abs=2.0)])
    needed = planned(analysed(forks(), of))
    margin = row(needed, "fork", "at most 2 worse")
    from scipy import stats

    sizes = np.arange(3, 201)
    reach = stats.nct.sf(stats.t.ppf(0.95, sizes - 1), sizes - 1, 2.0 * np.sqrt(sizes))
    assert margin["n"] == sizes[reach >= 0.8][0]
    assert set(needed.filter(target="at most 2 worse")["design"]) == {"fork", "did"}


def test_a_wide_margin_takes_as_many_as_a_change_of_its_size():
    metric = Metric("reward", "reward", "increase", margin=0.2)
    of = study(metrics=[metric])
    needed = plan(of, [typed_pilot(of.tasks[0], metric, {"fork": 10.0}, in_percent=True)], [20.0])
    assert len(set(needed["n"])) == 1


def test_a_curve_has_every_size_and_never_falls():
    curve = planned(analysed(forks()), 10.0, make=power_curve).filter(design="fork")
    assert curve["n"].to_list() == list(range(3, 201))
    assert curve["power"].is_sorted()
    assert curve.row(0, named=True)["steps"] == 3 * 150


def test_a_detach_that_saves_time_costs_fewer_hours():
    # 100 steps at 2 per second and, detached, 50 at 5 per second; arms take the 50 before the detach once more
    pace = Pace(attached=2.0, detached=5.0)
    hours = {d: task_spread(d, [1.0, 1.0], 100, 50.0, pace).hours * 3600 for d in ("fork", "did", "jump")}
    assert hours == {"fork": pytest.approx(60), "did": pytest.approx(85), "jump": pytest.approx(35)}
    assert task_spread("fork", [1.0], 100, 50.0).cost(2) == (4, 300, None)


def test_a_percent_is_one_of_what_the_claims_of_a_design_take():
    # 10, 11 and 12 before the detach; after it controls of 20, 30 and 40
    runs = [run(f"{i}", at, 10.0 + i, 20.0 + 10 * i + (i if at else 0)) for i in range(3) for at in (50, None)]
    of = study(metrics=[Metric("reward", "reward", "increase", margin=0.1)])
    [pilot] = pilots(analysed(runs, of))
    assert {s.design: s.base for s in pilot.spreads} == {"fork": 30.0, "did": 11.0}
    arm = next(s for s in pilot.spreads if s.design == "did")
    sizes = np.arange(3, 201)
    needed = sizes[power(arm, 0.9 * 11.0, sizes) >= 0.8][0]
    assert row(planned(analysed(runs, of), 90.0), "did", "a change of 90%")["n"] == needed


def test_several_tasks_share_one_claim():
    # In each task differences 1, 2, 3 of levels 10, 20, 30: variance 1, level 20. The first task's rows span 31 and the
    # second's ten times as many, with ten times the level and the spread: the same in units of its range.
    of = study(task(), task(key="run"))
    ten_times = [replace(r, points={k: [(s, 10 * v) for s, v in p] for k, p in r.points.items()}) for r in forks()]
    analysis = analysed({"walk": forks(), "run": ten_times}, of)
    walk, _, both = pilots(analysis)
    assert (both.task, both.tasks) == (ALL_TASKS, 2)
    [fork] = [s for s in both.spreads if s.design == "fork"]
    assert fork.base == pytest.approx(20 / walk.span)
    assert fork.variances == (pytest.approx(1 / (2 * walk.span) ** 2),) * 2
    assert (fork.runs, fork.steps) == (4, 300.0)
    text = planned(analysis, 10.0).filter(task=ALL_TASKS, design="fork")["text"][0]
    assert text == "3 fork pairs in each of 2 tasks: 12 runs, 900 environment steps, 0.25 hours of training"


@pytest.mark.parametrize("variances", [(1.0, 1.0), (1.0, 16.0), (1.0, 0.2, 0.1, 3.0)])
def test_several_groups_have_the_power_of_studies_that_estimate_their_spreads(variances):
    rng, n, size = np.random.default_rng(5), 3, 3 * math.sqrt(sum(variances) / 3)
    groups = [rng.normal(0, math.sqrt(variance), (20_000, n)) for variance in variances]
    groups[0] += size
    estimate = across(groups, [groups[0][:, :0]] * len(groups))
    result = ((estimate.p < 0.05) & (estimate.value > 0)).mean()
    assert power(Spread("fork", variances, 2, 150.0), size, np.array([n]))[0] == pytest.approx(result, abs=0.01)


def test_claims_of_a_family_are_corrected_at_worst_by_their_number():
    from scipy import stats

    of = study(metrics=[Metric("reward", "reward", "increase"), Metric("other", "reward", "increase")])
    ten = row(planned(analysed(forks(), of), 10.0), "fork", "a change of 10%")
    sizes = np.arange(3, 201)
    reach = stats.nct.sf(stats.t.ppf(1 - 0.05 / 4, sizes - 1), sizes - 1, 2.0 * np.sqrt(sizes))
    assert (ten["claims"], ten["n"], ten["n_corrected"]) == (2, 5, sizes[reach >= 0.8][0])


def test_a_guardrail_is_planned_by_its_margin_alone():
    of = study(metrics=[Metric("reward", "reward", "increase", role="guardrail", margin_abs=2.0)])
    assert set(planned(analysed(forks(), of))["target"]) == {"at most 2 worse"}


def test_a_typed_spread():
    metric = Metric("reward", "reward", "increase")
    of = study(metrics=[metric])
    pilot = typed_pilot(of.tasks[0], metric, {"fork": 5.0, "did": 10.0}, in_percent=True)
    # 10% are 2 sd of a pair's difference: 5 pairs, as above
    assert row(plan(of, [pilot], [10.0]), "fork", "a change of 10%")["n"] == 5
    assert [s.variances for s in pilot.spreads] == [(25.0,), (100.0, 100.0)]
    log = typed_pilot(of.tasks[0], replace(metric, scale="log"), {"jump": 10.0}, in_percent=True)
    assert log.spreads[0].variances == (pytest.approx(math.log(1.1) ** 2),)


def test_a_study_without_runs_takes_the_task_of_its_name_or_the_widest():
    wide = [replace(r, points={k: [(s, v + 3 * int(r.seed) * (s > 50)) for s, v in p] for k, p in r.points.items()})
            if r.detach_step else r for r in forks()]  # fmt: skip
    other = analysed({"walk": forks(), "run": wide}, study(task(), task(key="run")))
    new = study(task(1000, "walk"), task(1000, "swim"))
    own = [p for p in pilots_of(new, other) if p.task != ALL_TASKS]
    variances = {p.task: {s.design: s.variances for s in p.spreads}["fork"] for p in own}
    # differences 1, 2, 3 in walk, and 1, 5, 9 in run
    assert variances == {"walk": (1.0,), "swim": (16.0,)}
    assert {s.steps for p in own for s in p.spreads if s.design == "fork"} == {1500}


def test_too_few_runs_tell_no_spread():
    assert planned(analysed(forks()[:4])).is_empty()


def test_no_percent_of_a_level_near_0():
    runs = [run(f"{i}", at, 0.0, 100.0 * (i - 1) + (i if at else 0.0)) for i in range(3) for at in (50, None)]
    ten = row(planned(analysed(runs)), "fork", "a change of 10%")
    assert (ten["n"], ten["text"]) == (None, "the level is too near 0 for a percent of it")


@pytest.mark.slow
def test_the_command_prints_a_line_for_every_target(capsys):
    assert main(["plan", "demo", "--change", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = (
        "cartpole-swingup, Train Consistency Loss: a change of 10%: 7 fork pairs: 14 runs, 1,050,000 environment steps"
    )
    [of_line] = [printed for printed in lines if printed.startswith(line)]
    assert of_line.endswith(" hours of training; 13 if corrected for 15 claims")
    assert "For Cartpole Swingup, a change of 10% in every metric that allows it:" in lines
    assert "for seed in range(1, 14):" in lines
    assert main(["plan", "demo", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["target"] for row in rows} == {"a change of 10%", "a change of 25%"}


@pytest.mark.slow
def test_another_studys_spread_is_planned_with(tmp_path, capsys):
    text = '[study]\nname = "new"\ntitle = "New"\n[source]\nkind = "offline"\npath = "."\n' + "".join(
        f'[[metrics]]\nkey = "{key}"\nfamily = "loss"\nexpect = "decrease"\nscale = "log"\nmargin = 0.1\n'
        for key in ("train/consistency_loss",)
    ) + '[[tasks]]\nname = "walk"\ntotal_steps = 100\n'  # fmt: skip
    (tmp_path / "new.toml").write_text(text)
    assert main(["plan", str(tmp_path / "new.toml"), "--spread-of", "demo"]) == 0
    out = capsys.readouterr().out
    # No task of the demo is named walk: that of the widest spread by fork pairs, acrobot-swingup, stands for it. Steps are
    # its own: 100 of each pair's control and the 50 after the detach.
    assert "walk, train/consistency_loss: a change of 10%: 11 fork pairs: 22 runs, 1,650 environment steps, " in out
    assert "walk, train/consistency_loss: no worse than 10%: " in out


@pytest.mark.slow
def test_a_study_without_runs_is_told_what_to_do(tmp_path, capsys):
    text = '[study]\nname = "new"\ntitle = "New"\n[source]\nkind = "offline"\npath = "."\n[[metrics]]\nkey = "other"\n'
    text += 'family = "reward"\nexpect = "increase"\n[[tasks]]\nname = "walk"\ntotal_steps = 100\n'
    (tmp_path / "new.toml").write_text(text)
    assert main(["plan", str(tmp_path / "new.toml")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert " holds no .wandb file: " in last
    assert last.endswith(" To plan with the runs of another study, name it with --spread-of.")
    assert main(["plan", str(tmp_path / "new.toml"), "--spread-of", "demo"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "No metric of new has three runs or more in demo: name another study with --spread-of."


@pytest.mark.parametrize("change", ["0", "x", "100", "nan"])
def test_a_change_that_is_none_is_refused(change, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["plan", "demo", "--change", change])
    assert exit_.value.code == 2
    assert "is not a change in percent" in capsys.readouterr().err


def test_what_starts_the_runs():
    demo = load_study("demo")
    task = demo.tasks[0]
    assert start_text(demo, task, "did", 2) == (
        'program: train.py\nmethod: grid\nparameters:\n  "task": {value: "acrobot-swingup"}\n'
        '  "seed": {values: [1, 2]}\n  "detach_encoder_ratio": {values: [0, 0.5]}'
    )
    forked = start_text(demo, task, "fork", 6)
    compile(forked, "forks", "exec")
    assert "fork_from=f'{control.id}?_step=50000'" in forked
    remaining = replace(task, detach=replace(task.detach, step=20_000, ratio_counts="remaining"))
    assert '"detach_encoder_ratio": {values: [0.8]}' in start_text(demo, remaining, "jump", 2)


def test_no_spread_at_all_is_full_power():
    assert power(fork_spread(0.0), 1.0, np.array([3])).tolist() == [1.0]
    assert math.isclose(float(power(fork_spread(), 0.0, np.array([5]))[0]), 0.025, abs_tol=1e-4)
