"""What stands behind the effects: frames for the page, the long table, sentences and the checklist."""

import math
from dataclasses import replace

import polars as pl
import pytest

from lib.effects import Check, checklist, claim, effects_detail, encoder_table
from lib.effects.detail_table import DETAIL
from lib.effects.rivals import rivals
from lib.effects.study_analysis import TaskRuns, analyse_runs
from lib.study import DetachRule, Evidence, Metric, Signal, Task
from tests.support.effects_kit import LOSS, REWARD, Run, analysed, history, steps_run, study, task, treatments

AFTERS = ((11, 10), (22, 20), (33, 30))


def _forks(metric="reward", every=10):
    return [
        steps_run(f"{seed}", at, float(seed + 1), float(after), metric, every)
        for seed, pair in enumerate(AFTERS)
        for at, after in zip((50, None), pair, strict=True)
    ]


def _arms(n=3):
    runs = [steps_run(f"{i}", 50, 10.0 + i, 20.0 + 3 * i) for i in range(n)]
    return runs + [steps_run(f"{i}", None, 50.0 + i, 51.0 + 2 * i) for i in range(n)]


def _lines(n=3, jump=2.0):
    return [Run(f"{i}", 50, {"reward": [(s, s + (jump + i if s > 50 else 0)) for s in range(101)]}) for i in range(n)]


def _task(runs, of=None, evidence=None, **options):
    return analysed(runs, of, evidence, **options).tasks[0]


def _claim(runs, of=None, evidence=None):
    of = of or study()
    return claim(analysed(runs, of, evidence).effects.row(0, named=True), of, treatments(runs))


def test_per_run_of_fork_pairs():
    frame = _task(_forks()).per_run
    assert frame.select("arm", "seed", "pair", "before", "after", "change", "effect").rows() == [
        ("detached", "0", "0", 1.0, 11.0, 10.0, 1.0),
        ("detached", "1", "1", 2.0, 22.0, 20.0, 2.0),
        ("detached", "2", "2", 3.0, 33.0, 30.0, 3.0),
        ("control", "0", "0", 1.0, 10.0, 9.0, None),
        ("control", "1", "1", 2.0, 20.0, 18.0, None),
        ("control", "2", "2", 3.0, 30.0, 27.0, None),
    ]
    assert frame["effect_pct"].drop_nulls().to_list() == [pytest.approx(5), pytest.approx(10), pytest.approx(15)]
    assert frame.select("rows_before", "rows_after").unique().rows() == [(2, 5)]


def test_per_run_of_arms_takes_the_controls_mean_off():
    # d of the controls is 1, 2, 3 and of the detached 10, 12, 14
    assert _task(_arms()).per_run["effect"].drop_nulls().to_list() == [8.0, 10.0, 12.0]


def test_per_run_of_log_metrics_is_on_their_own_scale():
    frame = _task(_forks("loss"), study(metrics=[LOSS])).per_run
    first = frame.row(0, named=True)
    assert (first["before"], first["after"]) == (pytest.approx(1.0), pytest.approx(11.0))
    assert (first["change"], first["effect"]) == (pytest.approx(10.0), pytest.approx(0.1))


def test_pair_differences_by_hand():
    frame = _task(_forks()).differences
    assert frame["step"].to_list() == [float(s) for s in range(0, 101, 10)]
    assert frame.filter(pl.col("step") <= 50)["difference"].to_list() == [0.0] * 6
    last = frame.row(-1, named=True)
    reach = 4.302652729911275 / math.sqrt(3)
    assert (last["difference"], last["n"]) == (2.0, 3)
    assert (last["ci_low"], last["ci_high"]) == (pytest.approx(2 - reach), pytest.approx(2 + reach))
    assert _task(_arms()).differences.is_empty()


def test_jump_fits_meet_the_jump():
    frame = _task(_lines()).fits
    run = frame.filter(seed="1")
    assert run.select("side", "jump", "rows").unique().sort("side").rows() == [
        ("after", pytest.approx(3.0), 10),
        ("before", pytest.approx(3.0), 11),
    ]
    ends = run.filter(step=50.0)["fit"].to_list()
    assert ends == [pytest.approx(50.0), pytest.approx(53.0)]
    assert run["step"].min(), run["step"].max() == (40.0, 60.0)


def test_the_placebo_holds_the_real_step_once():
    frame = _task(_lines()).placebo
    real = frame.filter("real")
    assert real.select("step", "jump", "n").rows() == [(50.0, pytest.approx(3.0), 3)]
    far = frame.filter(~pl.col("real") & ~pl.col("overlaps"))
    assert far["jump"].abs().max() < 1e-9
    assert frame.filter("overlaps")["step"].min() > 40
    assert frame.filter(pl.col("step").is_in([40.0, 60.0])).select("step", "overlaps").rows() == [
        (40.0, False),
        (60.0, True),
    ]


def _gap_study():
    names = ("train/x", "val/x", "val/y")
    return study(metrics=[Metric(n, "loss", "decrease", scale="log") for n in names])


def test_the_gap_is_a_ratio_of_ratios():
    # validation is twice the train loss before the detach; after it 3 times where detached, 6 times where not
    runs = []
    for i in range(3):
        for at, after in ((50, 3.0 + 0.1 * i), (None, 6.0)):
            train = [(s, (1.0 + i) * (1 + s / 1e3 if s <= 20 else 1.0)) for s in range(0, 101, 5)]
            val = [(s, (1.0 + i) * (2.0 if s <= 50 else after)) for s in range(0, 101, 10)]
            runs.append(Run(f"{i}", at, {"train/x": train, "val/x": val}))
    frame = _task(runs, _gap_study()).gap
    row = frame.row(0, named=True)
    assert frame["metric"].to_list() == ["val/x : train/x"]
    assert (row["design"], row["before"]) == ("fork", pytest.approx(2.0))
    assert row["after"] == pytest.approx((3.0 * 3.1 * 3.2) ** (1 / 3))
    assert row["change"] == pytest.approx((3.0 * 3.1 * 3.2) ** (1 / 3) / 6 - 1)
    assert (row["verdict"], row["p_holm"]) == (None, None)
    line = encoder_table([_task(runs, _gap_study())]).row(0, named=True)
    assert (line["name"], line["without"]) == ("val/x over train/x", pytest.approx(6.0))
    assert line["text"] == "2 before the detach, 3.1 after it (6 without it): change -48% [-52, -44], 3 fork pairs"


def test_effects_detail_holds_every_number_once():
    runs = _forks()
    detail = effects_detail(analysed(runs))
    assert detail.schema == DETAIL
    kept = detail.filter(kind="run", name="effect")
    assert kept.select("seed", "pair", "value").rows() == [("0", "0", 1.0), ("1", "1", 2.0), ("2", "2", 3.0)]
    assert detail.filter(kind="run").height == 6 * 3 + 3
    assert detail.filter(kind="sensitivity")["name"].to_list() == [
        "sign-flip",
        "difference in differences, the pairs taken as unpaired",
        "ANCOVA",
    ]


def test_unpaired_runs_are_listed():
    runs = [*_forks(), steps_run("9", None, 77.0, 78.0)]
    analysis = analysed(runs)
    unpaired = effects_detail(analysis).filter(kind="unpaired").select("run_id", "note").rows()
    assert unpaired == [("9-None", "no run that is compared shares its history")]
    row = analysis.effects.row(0, named=True)
    assert (row["n_control"], row["reasons"].split("; ")[-1]) == (3, "1 run without a fork pair is not in it")


def test_claims_say_what_was_found():
    better = [
        steps_run(f"{i}", at, float(i), 10.0 * (i + 1) + (10 + i / 10 if at else 0))
        for i in range(3)
        for at in (50, None)
    ]
    assert _claim(better) == (
        "On walk, detaching the encoder at 50 steps raised reward by 10.10, 50.5% of the control's level "
        "(95% CI 9.85 to 10.35, 3 fork pairs, window: every step after the detach). Note: sample size not declared."
    )
    worse = study(metrics=[Metric("reward", "reward", "decrease", label="Reward")])
    assert _claim(better, worse).endswith(
        "window: every step after the detach); it was expected to fall. Note: sample size not declared."
    )


def test_claims_turn_the_interval_of_a_fall():
    runs = [
        steps_run(f"{i}", at, 1.0 + i, (1.0 + i) * (0.5 * 1.01**i if at else 1.0), "loss")
        for i in range(3)
        for at in (50, None)
    ]
    sentence = _claim(runs, study(metrics=[LOSS]))
    assert sentence.startswith(
        "On walk, detaching the encoder at 50 steps lowered loss by 49.5% (95% CI 48.2% to 50.7%, 3 fork"
    )


def test_claims_never_say_no_effect():
    assert _claim(_forks()) == (
        "On walk, detaching the encoder at 50 steps was not shown to raise reward: the change was +2.0, 10% higher than the "
        "control's level (95% CI -0.5 to +4.5, 3 fork pairs, window: every step after the detach). "
        "Reason: the 95% interval includes 0; sample size not declared."
    )


def test_a_jump_is_never_called_an_effect():
    sentence = _claim(_lines(4, jump=20))
    assert sentence.startswith("On walk, reward rose at once by 21.5")
    assert "without a control arm this is a jump at that step, which may have other causes." in sentence
    assert all(word not in sentence for word in ("detaching the encoder", "effect", "helped", "supported"))


def test_claims_that_cannot_be_made_say_why():
    assert _claim(_lines(1)) == (
        "On walk, it cannot be said whether reward jumped at the detach (observed: +2.00, 4.44% higher than the level "
        "before). Reason: n = 1: too few runs for any inference (+2)."
    )
    sentence = _claim(_forks(), evidence=Evidence(settle=0.1))
    assert "it cannot be said whether detaching the encoder at 50 steps changed reward (observed: " in sentence
    assert "Reason: exploratory: window changed after looking" in sentence


def test_a_fall_keeps_its_sign():
    # differences -5, -5.25 and -5.5 of levels 30, 35 and 40; with a wider spread the interval includes 0
    def falls(spread):
        levels = [(30.0 + 5 * i, 30.0 + 5 * i - 5.25 + spread * (i - 1)) for i in range(3)]
        return [
            steps_run(f"{i}", at, 1.0 + i, after if at else control)
            for i, (control, after) in enumerate(levels)
            for at in (50, None)
        ]

    assert "was not shown to raise reward: the change was -5, 15% lower than the control's level (95% CI -" in _claim(
        falls(5.0)
    )
    assert _claim(falls(0.25)) == (
        "On walk, detaching the encoder at 50 steps lowered reward by 5.25, 15% of the control's level (95% CI 4.63 to "
        "5.87, 3 fork pairs, window: every step after the detach); it was expected to rise. Note: sample size not declared."
    )


def test_counts_of_one_are_singular():
    runs = [steps_run(f"{i}", 50, 10.0 + i, 20.0 + 3 * i) for i in range(3)] + [steps_run("9", None, 50.0, 51.0)]
    assert "3 detached against 1 control run" not in _claim(runs)
    broken = Run("0", 50, {"reward": [*_lines()[0].points["reward"], (102, math.nan)]})
    sentence = _claim([broken, *_lines()[1:]])
    assert (
        "; 1 row that is not finite is left out" in sentence or "Note: 1 row that is not finite is left out" in sentence
    )


def _check(name, task_analysis) -> Check:
    return next(check for check in checklist(task_analysis) if check.name == name)


def _failed(task_analysis):
    return [check for check in checklist(task_analysis) if not check.passed]


def test_every_condition_of_a_whole_study_is_met():
    whole = analysed(_forks(), study(evidence=Evidence(planned=3))).tasks[0]
    assert _failed(whole) == []
    assert _check("Planned size", whole).text == "3 of 3 planned pairs."
    assert "3 of them fork pairs" in _check("Control arm", whole).text


def test_the_checklist_names_what_is_missing_and_what_would_mend_it():
    few = _task(_lines(2), evidence=Evidence(before=0.3), left_out=("x",))
    assert [c.name for c in _failed(few)] == [
        "Control arm",
        "Seeds",
        "Window declared",
        "Runs left out",
        "Planned size",
    ]
    assert all(c.remedy for c in _failed(few))
    assert _check("Window declared", few).text.startswith("Exploratory: window changed after looking")


def test_running_runs_that_do_not_count_are_no_finished_ones():
    runs = [replace(r.upto(40), state="running") for r in _forks()]
    task_analysis = _task(runs)
    finished = _check("Runs finished", task_analysis)
    assert (finished.passed, finished.text) == (False, "6 runs are still running, and no other counts.")
    assert "Runs to the end" not in [check.name for check in checklist(task_analysis)]


def test_the_checklist_says_which_claims_are_corrected_together():
    assert _check("Claims corrected", _task(_forks())).text == (
        "Holm's correction, at most 5% wrong in each family: the primary claims of all tasks."
    )
    roles = [replace(REWARD, key=role, role=role) for role in ("secondary", "guardrail")]
    two = analysed({"walk": _forks(), "run": _forks()}, study(task(), task(key="run"), metrics=[REWARD, *roles]))
    assert _check("Claims corrected", two.tasks[0]).text == (
        "Holm's correction, at most 5% wrong in each family: the primary claims of all tasks; the secondary claims of all "
        "tasks; the primary claims across tasks; the secondary claims across tasks. Guardrails get no verdict: guardrail."
    )


def test_the_points_check_says_how_often_to_log():
    sparse = [Run(r.seed, 50, {"reward": r.points["reward"][::4]}) for r in _lines(3)]
    points = _check("Points per side", _task(sparse))
    assert not points.passed
    assert "Log at least every 2 steps" in points.remedy


def test_the_points_check_quotes_the_rows_of_its_design():
    # every 10 steps: 40 and 50 lie in the window before the detach, 60 to 100 in the one after
    assert _check("Points per side", _task(_forks())).text == (
        "Every run has at least 5 rows after the detach, which is where fork pairs differ."
    )
    assert _check("Points per side", _task(_arms())).text == (
        "Every run has at least 2 rows before and 5 after the detach in the windows."
    )
    # every step: 41 to 51 and 52 to 60 lie within 10 steps of the detach, its own row before it
    assert _check("Points per side", _task(_lines())).text == (
        "Every run has at least 10 rows a side within 10 steps of the detach."
    )


def test_a_run_left_out_for_two_metrics_is_named_once():
    runs = [Run(r.seed, r.detach_step, dict.fromkeys(("reward", "other"), r.points["reward"])) for r in _arms()]
    short = Run("9", 50, {"reward": [(s, 1.0) for s in range(0, 59, 2)], "other": [(s, 1.0) for s in range(0, 56, 5)]})
    text = _check("Runs counted", _task([*runs, short], study(metrics=[REWARD, replace(REWARD, key="other")]))).text
    assert text.count("seed 9 of detached") == 1


def test_short_and_left_out_runs_fail_their_checks():
    runs = [Run(r.seed, r.detach_step, {"reward": [p for p in r.points["reward"] if p[0] <= 80]}) for r in _arms()]
    short = Run("9", 50, {"reward": [(s, 1.0) for s in range(0, 59, 2)]})
    task_analysis = _task([*runs, short])
    counted, whole = _check("Runs counted", task_analysis), _check("Runs to the end", task_analysis)
    assert "seed 9 of detached (ends within 10% of training after the detach (last row at 58))" in counted.text
    assert counted.remedy == "Train on until 10% of training beyond the detach."
    assert "80 (reward) of 100 steps" in whole.text
    assert not counted.passed and not whole.passed


@pytest.mark.parametrize("signal", ["agrees", "disagrees", "not logged", "not reached", "too sparse", "changes", ""])
def test_a_signal_that_does_not_agree_fails_its_check(signal):
    walk = Task(name="walk", total_steps=100, detach=DetachRule(step=50, signal=Signal("lr")))
    treated = [replace(t, signal=signal) for t in treatments(_forks())]
    runs = TaskRuns(history(_forks()), treated, configs={})
    check = _check("Detach seen", analyse_runs(study(walk), {"walk": runs}).tasks[0])
    assert check.passed == (signal in ("agrees", ""))
    assert signal or check.text == "The detach steps are read from lr itself."


@pytest.mark.parametrize(
    ("config", "schedules"),
    [
        ({"noise_until": 45}, [("noise_until", (45.0,), True)]),
        ({"noise_until": 61}, []),
        ({"lr": {"warmup": [10, 55]}}, [("lr.warmup", (55.0,), True)]),
        ({"milestones": "10, 5.5e1; 90"}, [("milestones", (55.0,), True)]),
        ({"milestones": "10 0.55"}, [("milestones", (0.55,), True)]),
        ({"start": "2026-11-50"}, []),
        ({"batch_size": 49}, []),
        ({"batch_size": 50}, [("batch_size", (50.0,), True)]),
        ({"detach_step": 50}, []),
        ({"decay_steps": True, "steps": 100}, []),
    ],
)
def test_rival_schedules_are_found_in_configs(config, schedules):
    runs = _forks()
    both = _task(runs, configs={r.name: config for r in runs})
    assert [(r.key, r.values, r.shared) for r in rivals(both)] == schedules
    assert _check("Rival schedules", both).passed
    detached_alone = _task(runs, configs={r.name: config for r in runs if r.detach_step})
    assert _check("Rival schedules", detached_alone).passed == (not schedules)
