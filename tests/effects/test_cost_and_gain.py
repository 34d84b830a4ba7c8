"""One line of gain, cost and training time."""

from dataclasses import replace

import polars as pl
import pytest

from lib.effects import cost_and_gain
from lib.effects.effects_table import EFFECTS
from lib.study import Study
from tests.effects.test_price import PAIRS, analysed
from tests.effects.test_summary import FALL, STEEPER, STUDY, row

UNTOLD = dict.fromkeys(PAIRS, (0.0, 0.0))
FASTER = {"1d": (0.5, 0.25), "1c": (0.5, 0.5), "2d": (0.5, 0.2), "2c": (0.5, 0.4), "3d": (0.5, 0.2), "3c": (0.5, 0.5)}


def line(*rows: dict, pace: dict = UNTOLD, study: Study = STUDY) -> str:
    return cost_and_gain(analysed(pace), pl.DataFrame(list(rows), schema=EFFECTS), study)


def test_gain_cost_and_what_the_runs_do_not_tell():
    gains = row("walk", "a", "supported", FALL), row("run", "a", "supported", STEEPER)
    unshown = row("walk", "r", "not shown", (-5.2, -16.7, 6.2), change_pct=-2.6), row("run", "r", "cannot say")
    assert line(*unshown, *gains) == (
        "Losses 26-29% lower; rewards at most 8% lower (95%); the runs do not tell what detaching saved in training time."
    )


def test_a_loss_of_reward_is_a_cost_with_its_interval():
    worse = row("*", "r", "contradicted", (-0.08, -0.12, -0.04))
    assert line(worse, row("*", "a", "supported", FALL)).startswith(
        "Losses 26% lower [20, 32]; rewards 8% of the range lower [4, 12]; "
    )


def test_an_interval_that_leaves_no_harm_bounds_none():
    gain = row("walk", "r", "not shown", (5.0, 1.0, 9.0), change_pct=5.0)
    assert line(gain).startswith("Rewards not shown to change; ")


def test_what_was_lost_in_a_task_is_not_hidden_by_the_mean_over_tasks():
    mean = row("*", "r", "not shown", (-0.01, -0.04, 0.02))
    lost = row("walk", "r", "contradicted", (-20.0, -29.0, -11.0), change_pct=-20.0)
    result = line(mean, lost, row("run", "r", "supported", (13.0, 12.0, 14.0), change_pct=13.0))
    assert result.startswith(
        "Rewards at most 4% of the range lower (95%) across tasks but 20% lower [11, 29] on walk; "
    )
    assert line(mean, row("run", "r", "not shown", (1.0, -2.0, 4.0))).startswith(
        "Rewards at most 4% of the range lower (95%); "
    )


def test_a_change_of_exactly_0_is_bounded_in_the_unit_of_the_metric():
    unshown = row("walk", "r", "not shown", (0.0, -3.0, 3.0), change_pct=0.0)
    assert line(unshown).startswith("Rewards at most 3 lower (95%); ")


def test_a_bound_has_the_decimals_of_its_interval_and_does_not_read_0():
    assert line(row("walk", "a", "not shown", (-0.126, -0.238, 0.0016))).startswith(
        "Losses at most 0.2% higher (95%); "
    )
    assert line(row("walk", "a", "not shown", (-0.026, -0.238, 0.1164))).startswith("Losses at most 12% higher (95%); ")


def test_training_time_has_its_interval_and_the_time_saved():
    """Ratios 2, 2 and 2.5; 50 of 100 steps at 2.15 per second are 23.2 s without the detach."""
    assert line(row("walk", "a", "supported", FALL), pace=FASTER) == (
        "Losses 26% lower [20, 32]; training speed +115% [+56, +197], 12 s less per run."
    )
    assert line(row("walk", "a", "supported", FALL), pace=PAIRS).endswith("; training speed +152% [-7, +581].")


@pytest.mark.parametrize("design", ["jump", "none"])
def test_without_a_control_arm_nothing_is_gained_or_lost(design):
    alone = {name: pace for name, pace in FASTER.items() if name.endswith("d")}
    text = line(row("walk", "a", "supported", FALL, design), pace=alone)
    assert text.startswith("Training speed +") and " at once, " in text


def test_what_the_headline_says_is_not_said_again():
    guarded = row("walk", "r", "cannot say", (-1.0, -2.0, 1.0), role="guardrail", equivalence="no worse", margin=0.05)
    reward, *losses = STUDY.metrics
    study = replace(STUDY, metrics=(replace(reward, role="guardrail", margin=0.05), *losses))
    text = line(row("walk", "a", "supported", FALL), guarded, study=study)
    assert text == "The runs do not tell what detaching saved in training time."
