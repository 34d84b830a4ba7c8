"""What the detach saved: the training speed of runs whose clocks are as messy as real ones."""

import math

import numpy as np
import polars as pl
import pytest

from lib.effects import effects_detail, encoder_table
from lib.effects.price import speeds
from lib.effects.study_analysis import TaskRuns, analyse_runs
from lib.runs import HISTORY, History
from tests.support.effects_kit import Run, study, task, treatments_of

STEPS = np.arange(0, 101)


def clock(before: float, after: float, detach: int = 50) -> np.ndarray:
    """The times of rows at every step of 0 to 100, at so many seconds per step before and after the detach."""
    return np.cumsum([0.0, *(before if step <= detach else after for step in STEPS[1:])])


def told(times: np.ndarray, steps: np.ndarray = STEPS) -> tuple[list[float], int]:
    """The distinct speeds, and the pieces left out."""
    speed = speeds(steps, times, 50, 100)
    return sorted({round(v, 6) for v in speed.values.tolist()}), speed.left_out


def test_speed_is_steps_per_second_on_each_side_of_the_detach():
    speed = speeds(STEPS, clock(0.5, 0.25), 50, 100)
    assert speed.steps.tolist() == list(range(1, 101))
    assert speed.values.tolist() == [2.0] * 50 + [4.0] * 50


def test_a_pause_is_left_out_and_counted():
    times = clock(0.5, 0.25)
    times[30:] += 3600
    times[70:] += 60
    assert told(times) == ([2.0, 4.0], 2)


def test_a_resumed_run_whose_clock_goes_back_loses_that_piece_alone():
    times = clock(0.5, 0.25)
    times[60:] -= 1000
    assert told(times) == ([2.0, 4.0], 1)


def test_a_long_evaluation_every_twenty_steps_is_no_training():
    times = clock(0.5, 0.25)
    for step in range(20, 101, 20):
        times[step:] += 5
    assert told(times) == ([2.0, 4.0], 5)


def test_rows_without_a_time_are_bridged():
    times = clock(0.5, 0.25)
    times[[10, 11, 12, 80]] = math.nan
    assert told(times) == ([2.0, 4.0], 0)


def test_a_piece_that_straddles_the_detach_tells_neither_speed():
    steps = np.delete(STEPS, 50)
    speed = speeds(steps, np.delete(clock(0.5, 0.25), 50), 50, 100)
    assert speed.steps.tolist() == [*range(1, 50), *range(52, 101)]
    assert set(speed.values.tolist()) == {2.0, 4.0}


def test_a_history_that_a_fork_logged_again_was_not_trained():
    copied = clock(1e-4, 0.25)
    assert told(copied) == ([4.0], 0)
    copied[:51] = copied[50]
    assert told(copied) == ([4.0], 0)


@pytest.mark.parametrize("times", [np.full(101, 7.0), STEPS * 1e-4, np.full(101, math.nan)])
def test_what_was_written_after_the_fact_tells_no_speed(times):
    assert told(times) == ([], 0)


def runs_of(pace: dict[str, tuple[float, float]], shared: bool = True) -> tuple[list[Run], History]:
    """Runs of these seconds per step before and after step 50: `1d` is seed 1 detached, `1c` its control.

    Shared histories make them fork pairs.
    """
    runs, rows = [], []
    for name, seconds in pace.items():
        seed, arm = name[:-1], name[-1]
        own = float(seed) if shared else float(seed) + (arm == "c") / 2
        run = Run(seed, 50 if arm == "d" else None, {"reward": [(int(s), own + math.sin(s)) for s in STEPS]})
        runs.append(run)
        points = zip(run.points["reward"], clock(*seconds).tolist(), strict=True)
        rows += [(run.name, "reward", step, value, time) for (step, value), time in points]
    return runs, History.of_frame(pl.DataFrame(rows, schema=HISTORY, orient="row"))


def analysed(pace: dict[str, tuple[float, float]], shared: bool = True):
    runs, history = runs_of(pace, shared)
    return analyse_runs(study(task()), {"walk": TaskRuns(history, treatments_of(runs), {r.name: {} for r in runs})})


def encoder(analysis) -> dict:
    """The only row of a study with one metric: its training speed."""
    [row] = encoder_table(analysis.tasks).to_dicts()
    return row


def price(pace: dict[str, tuple[float, float]], shared: bool = True):
    [price] = analysed(pace, shared).tasks[0].prices
    return price


PAIRS = {
    "1d": (0.5, 0.25), "1c": (0.5, 0.5), "2d": (0.5, 0.2), "2c": (0.5, 0.4), "3d": (0.5, 0.1), "3c": (0.5, 0.4)
}  # fmt: skip


def test_fork_pairs_are_compared_as_pairs_and_hours_follow():
    """Ratios 2, 2 and 4: their geometric mean is 16 ** (1 / 3); t with 2 degrees of freedom is 4.302653."""
    of_pairs = price(PAIRS)
    assert of_pairs.comparison.design == "fork"
    assert of_pairs.comparison.estimate == pytest.approx(math.log(16) / 3)
    reach = 4.302653 * (math.log(2) / math.sqrt(3)) / math.sqrt(3)
    assert of_pairs.comparison.interval == pytest.approx((math.log(16) / 3 - reach, math.log(16) / 3 + reach), rel=1e-6)
    without = (2 * 2.5 * 2.5) ** (1 / 3)
    assert of_pairs.without_detach == pytest.approx(without)
    assert of_pairs.after == pytest.approx((4 * 5 * 10) ** (1 / 3))
    assert of_pairs.run_hours == pytest.approx(100 / without / 3600)
    assert of_pairs.saved[0] == pytest.approx(50 / without / 3600 * (1 - 16 ** (-1 / 3)))
    assert of_pairs.saved[1] < of_pairs.saved[0] < of_pairs.saved[2]
    assert of_pairs.caveats == ()


def test_a_run_that_slows_anyway_is_held_against_controls_that_do_too():
    """All runs take twice as long after step 50; the detached ones, on a machine half as fast, no longer than that."""
    pace = {"1d": (1.0, 2.0), "2d": (1.2, 2.4), "3d": (0.8, 1.6), "4c": (0.5, 1.0), "5c": (0.6, 1.2), "6c": (0.4, 0.81)}
    of_arms = price(pace, shared=False)
    assert of_arms.comparison.design == "did"
    assert of_arms.comparison.estimate == pytest.approx(math.log(2.025 / 2) / 3)
    assert of_arms.caveats == (
        "before the detach the arms ran at other speeds already (1.01 against 2.03 steps per second): "
        "other machines, or another load",
    )


def test_copied_histories_hide_whether_machines_are_alike():
    pace = {name: (1e-5, after) for name, (_, after) in PAIRS.items()}
    assert price(pace).comparison.estimate == pytest.approx(math.log(16) / 3)
    assert price(pace).caveats[0].startswith("the speed before the detach is not told")


def test_without_a_control_arm_it_is_the_jump_at_the_detach():
    alone = price({"1d": (0.5, 0.25), "2d": (0.5, 0.2), "3d": (0.5, 0.1)})
    assert alone.comparison.design == "jump"
    assert alone.comparison.estimate == pytest.approx(math.log(2 * 2.5 * 5) / 3)


def test_runs_without_a_clock_are_named_and_tell_nothing():
    pace = dict.fromkeys(("1d", "2d", "3d", "1c", "2c", "3c"), (0.0, 0.0))
    untold = price(pace)
    assert sorted(untold.silent_runs) == ["1-50", "1-None", "2-50", "2-None", "3-50", "3-None"]
    assert untold.saved == ()


def test_details_have_each_runs_speed_and_what_was_saved():
    detail = effects_detail(analysed(PAIRS)).filter(pl.col("metric") == "steps per second")
    runs = detail.filter(pl.col("kind") == "speed", pl.col("name") == "after").sort("run_id")
    assert runs["value"].to_list() == pytest.approx([4.0, 2.0, 5.0, 2.5, 10.0, 2.5])
    prices = detail.filter(pl.col("kind") == "price")
    assert prices["name"].to_list() == ["after", "without", "change", "hours saved"]
    assert prices["value"][2] == pytest.approx(16 ** (1 / 3) - 1)


def test_one_step_per_second_is_one():
    row = encoder(analysed(dict.fromkeys(PAIRS, (1.0, 1.0))))
    assert row["text"].startswith("1 before the detach, 1 step per second after it (1 without it): ")


def test_what_was_saved_is_one_line_with_its_interval():
    """100 steps at 2.32 per second are 43 s; of the 21.5 s after the detach 1 - 16 ** (-1 / 3) are saved."""
    row = encoder(analysed(PAIRS))
    assert row["text"] == (
        "2 before the detach, 5.85 steps per second after it (2.32 without it): change +152% [-7, +581], 3 fork pairs; "
        "-13 s [-18, +2] of 43 s training per run"
    )
    assert row["note"] == ""


def test_a_jump_has_the_words_of_one():
    row = encoder(analysed({"1d": (0.5, 0.25), "2d": (0.5, 0.2), "3d": (0.5, 0.1)}))
    assert row["text"].startswith("2 before the detach, 5.85 steps per second after it: at once +192% [")
    assert ", 3 runs, no control arm; " in row["text"]
    assert row["note"].startswith("No control arm: a jump at the detach may have other causes")


def test_runs_that_do_not_tell_say_so_in_a_clause():
    row = encoder(analysed(dict.fromkeys(PAIRS, (0.0, 0.0))))
    assert (row["text"], row["note"]) == ("cannot be told", "No run tells its speed: rows have no usable times.")
    half = encoder(analysed(PAIRS | {"4d": (0.5, 0.25), "4c": (0.0, 0.0)}))
    assert half["note"] == "1 run without a fork pair is not in it; 1 run without usable times."
