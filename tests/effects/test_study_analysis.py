"""What stands behind the effects: frames for the page, the long table and sentences."""

import math

import polars as pl
import pytest

from lib.effects import claim, effects_detail, encoder_table, fit_lines, shared_reasons
from lib.effects.detail_table import DETAIL
from lib.study import Evidence, Metric
from tests.support.analysis_kit import arm_runs, fork_runs, line_runs, task_analysis_of
from tests.support.effects_kit import LOSS, REWARD, Run, analysed, steps_run, study, treatments_of


def _claim(runs, of=None, evidence=None):
    of = of or study()
    return claim(analysed(runs, of, evidence).effects.row(0, named=True), of, treatments_of(runs))


def test_per_run_of_fork_pairs():
    frame = task_analysis_of(fork_runs()).per_run
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
    assert task_analysis_of(arm_runs()).per_run["effect"].drop_nulls().to_list() == [8.0, 10.0, 12.0]


def test_per_run_of_log_metrics_is_on_their_own_scale():
    frame = task_analysis_of(fork_runs("loss"), study(metrics=[LOSS])).per_run
    first = frame.row(0, named=True)
    assert (first["before"], first["after"]) == (pytest.approx(1.0), pytest.approx(11.0))
    assert (first["change"], first["effect"]) == (pytest.approx(10.0), pytest.approx(0.1))


def test_pair_differences_by_hand():
    frame = task_analysis_of(fork_runs()).differences
    assert frame["step"].to_list() == [float(s) for s in range(0, 101, 10)]
    assert frame.filter(pl.col("step") <= 50)["difference"].to_list() == [0.0] * 6
    last = frame.row(-1, named=True)
    reach = 4.302652729911275 / math.sqrt(3)
    assert (last["difference"], last["n"]) == (2.0, 3)
    assert (last["ci_low"], last["ci_high"]) == (pytest.approx(2 - reach), pytest.approx(2 + reach))
    assert task_analysis_of(arm_runs()).differences.is_empty()


def test_jump_fits_meet_the_jump():
    fits = task_analysis_of(line_runs()).fits.filter(seed="1")
    (run,) = fits.iter_rows(named=True)
    assert (run["detach_step"], run["half_width"], run["jump"]) == (50, 10.0, pytest.approx(3.0))
    assert (run["rows_before"], run["rows_after"]) == (11, 10)
    assert [run[f"level_{side}"] for side in ("before", "after")] == [pytest.approx(50.0), pytest.approx(53.0)]
    assert [run[f"slope_{side}"] for side in ("before", "after")] == [pytest.approx(1.0), pytest.approx(1.0)]
    lines = fit_lines(fits, REWARD)
    assert lines.select("side", "rows").unique().sort("side").rows() == [("after", 10), ("before", 11)]
    assert lines.filter(step=50.0)["fit"].to_list() == [pytest.approx(50.0), pytest.approx(53.0)]
    assert lines.filter(step=40.0)["fit"].to_list() == [pytest.approx(40.0)]
    assert (lines["step"].min(), lines["step"].max()) == (40.0, 60.0)


def test_the_placebo_holds_the_real_step_once():
    frame = task_analysis_of(line_runs()).placebo
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
    frame = task_analysis_of(runs, _gap_study()).gap
    row = frame.row(0, named=True)
    assert frame["metric"].to_list() == ["val/x : train/x"]
    assert (row["design"], row["before"]) == ("fork", pytest.approx(2.0))
    assert row["after"] == pytest.approx((3.0 * 3.1 * 3.2) ** (1 / 3))
    assert row["change"] == pytest.approx((3.0 * 3.1 * 3.2) ** (1 / 3) / 6 - 1)
    assert (row["verdict"], row["p_holm"]) == (None, None)
    line = encoder_table([task_analysis_of(runs, _gap_study())]).row(0, named=True)
    assert (line["name"], line["without"]) == ("val/x over train/x", pytest.approx(6.0))
    assert line["text"] == "2 before the detach, 3.1 after it (6 without it): change -48% [-52, -44], 3 fork pairs"


def test_effects_detail_holds_every_number_once():
    runs = fork_runs()
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
    runs = [*fork_runs(), steps_run("9", None, 77.0, 78.0)]
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


def test_what_holds_for_every_claim_is_said_once():
    size = "sample size not declared"
    row = analysed(fork_runs(), study()).effects.row(0, named=True)
    assert shared_reasons([row, row | {"reasons": f"short; {size}"}]) == [size]
    assert shared_reasons([row]) == [], "one claim says its own"
    assert claim(row, study(), shared=[size]).endswith(" Reason: the 95% interval includes 0.")


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
    assert _claim(fork_runs()) == (
        "On walk, detaching the encoder at 50 steps was not shown to raise reward: the change was +2.0, 10% higher than the "
        "control's level (95% CI -0.5 to +4.5, 3 fork pairs, window: every step after the detach). "
        "Reason: the 95% interval includes 0; sample size not declared."
    )


def test_a_jump_is_never_called_an_effect():
    sentence = _claim(line_runs(4, jump=20))
    assert sentence.startswith("On walk, reward rose at once by 21.5")
    assert "without a control arm this is a jump at that step, which may have other causes." in sentence
    assert all(word not in sentence for word in ("detaching the encoder", "effect", "helped", "supported"))


def test_claims_that_cannot_be_made_say_why():
    assert _claim(line_runs(1)) == (
        "On walk, it cannot be said whether reward jumped at the detach (observed: +2.00, 4.44% higher than the level "
        "before). Reason: n = 1: too few runs for any inference (+2)."
    )
    sentence = _claim(fork_runs(), evidence=Evidence(settle=0.1))
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
    broken = Run("0", 50, {"reward": [*line_runs()[0].points["reward"], (102, math.nan)]})
    sentence = _claim([broken, *line_runs()[1:]])
    assert (
        "; 1 row that is not finite is left out" in sentence or "Note: 1 row that is not finite is left out" in sentence
    )
