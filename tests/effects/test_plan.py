"""How many runs an effect or a margin needs, and what they cost."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from lib.__main__ import main
from lib.effects import plan, power_curve
from lib.effects.plan import Spread, power
from lib.report import start_text
from lib.study import Metric, load_study
from tests.effects.test_equivalence import arms
from tests.support.effects_kit import analysed, study
from tests.support.effects_kit import steps_run as run


def forks():
    """Three pairs over 100 steps, detached at 50: differences 1, 2 and 3 of levels 10, 20 and 30."""
    return [run(f"{i}", at, float(i), 10.0 * (i + 1) + (i + 1.0 if at else 0.0)) for i in range(3) for at in (50, None)]


def row(needed, design, target):
    return needed.filter(design=design, target=target).row(0, named=True)


def test_fork_pairs_follow_the_noncentral_t():
    # the differences' sd is 1, the controls' level 20: 10% is 2 sd, for which G*Power's table has 5 pairs, 25% is 5 sd
    needed = plan(analysed(forks()).tasks)
    ten = row(needed, "fork", "a change of 10%")
    assert (ten["n"], ten["runs"], ten["steps"]) == (5, 10, 5 * 150)
    assert ten["text"] == "5 fork pairs: 10 runs, 750 environment steps"
    assert row(needed, "fork", "a change of 25%")["n"] == 3


def test_arms_count_both_arms_and_their_spreads():
    # each arm's d has variance 2 / 3; a change of 10% of 101.5 is 10.15: 12 sd of a run
    needed = plan(analysed(arms(0.0)).tasks, [1.0])
    few = row(needed, "did", "a change of 1%")
    sizes = np.arange(3, 201)
    expected = sizes[power(Spread("did", 4 / 3, 100, 50.0), 1.015, sizes) >= 0.8][0]
    assert (few["n"], few["runs"], few["steps"]) == (expected, 2 * expected, 200 * expected)
    assert few["text"].startswith(f"{expected} seeds in each arm: ")


def test_simulated_power_is_the_planned_one():
    rng, n = np.random.default_rng(3), 6
    planned = float(power(Spread("fork", 1.0, 100, 50.0), 1.5, np.array([n]))[0])
    values = rng.normal(1.5, 1.0, (20_000, n))
    from scipy import stats

    found = stats.ttest_1samp(values, 0, axis=1)
    assert ((found.pvalue < 0.05) & (found.statistic > 0)).mean() == pytest.approx(planned, abs=0.01)


def test_a_margin_is_one_sided_and_needs_a_control_arm():
    of = study(metrics=[Metric("reward", "reward", "increase", margin_abs=2.0)])
    needed = plan(analysed(forks(), of).tasks)
    margin = row(needed, "fork", "no worse than 2")
    from scipy import stats

    sizes = np.arange(3, 201)
    reach = stats.nct.sf(stats.t.ppf(0.95, sizes - 1), sizes - 1, 2.0 * np.sqrt(sizes))
    assert margin["n"] == sizes[reach >= 0.8][0]
    assert set(needed.filter(target="no worse than 2")["design"]) == {"fork", "did"}


def test_a_curve_has_every_size_and_never_falls():
    curve = power_curve(analysed(forks()).tasks, [10.0]).filter(design="fork")
    assert curve["n"].to_list() == list(range(3, 201))
    assert curve["power"].is_sorted()
    assert curve.row(0, named=True)["steps"] == 3 * 150


def test_too_few_runs_tell_no_spread():
    assert plan(analysed(forks()[:4]).tasks).is_empty()


def test_no_percent_of_a_level_near_0():
    runs = [run(f"{i}", at, 0.0, 100.0 * (i - 1) + (i if at else 0.0)) for i in range(3) for at in (50, None)]
    ten = row(plan(analysed(runs).tasks), "fork", "a change of 10%")
    assert (ten["n"], ten["text"]) == (None, "the level is too near 0 for a percent of it")


def test_the_command_prints_a_line_for_every_target(capsys):
    assert main(["plan", "demo", "--change", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    wanted = (
        "cartpole-swingup, Train Consistency Loss: a change of 10%: 7 fork pairs: 14 runs, 1,050,000 environment steps"
    )
    assert wanted in lines
    assert "For Cartpole Swingup, a change of 10% in every metric that allows it:" in lines
    assert "for seed in range(1, 14):" in lines
    assert main(["plan", "demo", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["target"] for row in rows} == {"a change of 10%", "a change of 25%"}


def test_another_studys_spread_is_planned_with(tmp_path, capsys):
    text = '[study]\nname = "new"\ntitle = "New"\n[source]\nkind = "offline"\npath = "."\n' + "".join(
        f'[[metrics]]\nkey = "{key}"\nfamily = "loss"\nexpect = "decrease"\nscale = "log"\nmargin = 0.1\n'
        for key in ("train/consistency_loss",)
    ) + '[[tasks]]\nname = "walk"\ntotal_steps = 100\n'  # fmt: skip
    (tmp_path / "new.toml").write_text(text)
    assert main(["plan", str(tmp_path / "new.toml"), "--spread-of", "demo"]) == 0
    assert "Train Consistency Loss: no worse than 10%: " in capsys.readouterr().out


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
    assert power(Spread("fork", 0.0, 100, 50.0), 1.0, np.array([3])).tolist() == [1.0]
    assert math.isclose(float(power(Spread("fork", 1.0, 100, 50.0), 0.0, np.array([5]))[0]), 0.025, abs_tol=1e-6)
