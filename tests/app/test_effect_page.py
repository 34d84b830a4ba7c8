"""The Detach effect page: what it claims on the demo, and everything that it refuses to say."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lib.study import Metric, Study
from tests.support.app_kit import charts, fine, forest, go, plain, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import REWARD, StudyParts, bundle, run

pytestmark = pytest.mark.slow


def effect_page(study: Study, **query: str) -> AppTest:
    """The page on a study that this session opened."""
    return visit("detach_effect", own=study, **query)


def sentences(at: AppTest) -> list[str]:
    """The claims, without their verdicts' badges."""
    return [plain(text.partition("] ")[2]) for text in _claims(at)]


def _claims(at: AppTest) -> list[str]:
    return [markdown.value for tab in at.tabs for markdown in tab.markdown]


def verdicts(at: AppTest) -> list[str]:
    """The verdicts before the claims, from their badges (`:green-badge[supported]`)."""
    return [text.partition("-badge[")[2].partition("]")[0] for text in _claims(at)]


def checks(at: AppTest) -> dict[str, str]:
    """What the checklist says, by the names of the gates: passed, failed or a caveat, and the text."""
    text = next(m.value for m in at.markdown if "**Control arm**" in m.value)
    by_name = {}
    for line in text.split("  \n"):
        mark, _, rest = line.partition(" **")
        name, _, message = rest.partition("**: ")
        state = "pass" if "check_circle" in mark else "fail" if "cancel" in mark else "caveat"
        by_name[name] = f"{state}: {message}"
    return by_name


# ---- the demo --------------------------------------------------------------------------------------------------------


def test_claims_of_the_demo():
    at = visit("detach_effect")
    messages = sentences(at)
    assert len(messages) == 20
    assert messages[13] == (
        "On Cartpole Swingup, detaching the encoder at 50,000 steps lowered Val (All) Consistency by 27.4% "
        "(95% CI 20.8% to 33.4%, 6 fork pairs, window: every step after the detach)."
    )
    assert [tab.label for tab in at.tabs] == [
        "Across tasks", "Acrobot Swingup", "Cartpole Swingup", "Cartpole Swingup, random detach",
    ]  # fmt: skip
    assert verdicts(at).count("supported") == 8


def test_forest_of_the_demo():
    at = visit("detach_effect")
    chart = forest(at)
    assert chart.rows("estimate").select("label", "verdict").rows()[12:14] == [
        ("Cartpole Swingup · Train Consistency Loss", "supported"),
        ("Cartpole Swingup · Val (All) Consistency", "supported"),
    ]
    # In pixels, 42 a claim: the page keeps that room free before it is drawn.
    assert chart.spec["height"] == 20 * 42 + 130
    assert chart.rows("refused")["label"].to_list() == ["Cartpole Swingup, random detach · Eval Episode Reward"]
    assert chart.alt == (
        "20 claims: 8 supported, 11 not shown, 1 cannot say. "
        "Largest supported change: Cartpole Swingup · Val (Recent) Consistency, -32% [-40, -22]."
    )


def test_checklist_of_the_demo():
    at = visit("detach_effect", task="Cartpole Swingup")
    by_name = checks(at)
    assert list(by_name) == [
        "Control arm", "Seeds", "Points per side", "Same settings", "Window declared", "Runs counted", "Runs left out",
        "Runs finished", "Runs to the end", "Planned size", "Detach seen", "Rival schedules", "Claims corrected",
    ]  # fmt: skip
    assert [name for name, sentence in by_name.items() if not sentence.startswith("pass: ")] == []
    assert by_name["Control arm"] == "pass: 6 runs were never detached, 6 of them fork pairs with a detached run."
    assert by_name["Window declared"] == (
        "pass: 10,000 steps before the detach against every step after it, as the study file says."
    )
    assert "How many more seeds would show it?" in [link.proto.label for link in at.get("page_link")]


def test_what_the_encoder_of_the_demo_did():
    at = visit("detach_effect", task="Cartpole Swingup")
    [text] = [m.value for m in at.markdown if "**Training speed**" in m.value]
    gap, _, speed = plain(text).split("  \n")
    assert gap == (
        "**Val (All) Consistency over Train Consistency Loss**: 1.03 before the detach, 1.03 after it (1.05 without it): "
        "change -2% [-7, +4], 6 fork pairs."
    )
    assert speed.startswith(
        "**Training speed**: 265 steps per second after the detach (276 without it): change -4% [-32, +36]"
    )


def test_a_run_left_out_by_hand_is_on_the_checklist():
    at = visit("detach_effect", out="acro0001-s1-detached")
    assert checks(at)["Runs left out"] == (
        "fail: Exploratory: run acro0001-s1-detached left out by hand. *Bring them back, or declare them with a reason in "
        "\\[evidence\\] leave_out and test on new runs.*"
    )
    assert set(verdicts(at)) == {"cannot say"}
    assert checks(at)["Control arm"] == "pass: 6 runs were never detached, 5 of them fork pairs with a detached run."


def test_a_changed_window_takes_the_verdicts_away_and_the_address_keeps_it():
    at = visit("detach_effect")
    assert "exploratory" not in " ".join(m.value for m in at.markdown)
    fine(at.number_input(key="settle").set_value(0.1).run())
    assert any("Exploratory: window changed after looking" in m.value for m in at.markdown)
    assert verdicts(at) == ["cannot say"] * 20
    assert "Of every claim: exploratory: window changed after looking." in [plain(c.value) for c in at.caption]
    assert {" lowered " in sentence or " raised " in sentence for sentence in sentences(at)} == {False}
    gate = checks(at)["Window declared"]
    assert gate.startswith("fail: Exploratory: window changed after looking: ")
    assert "Go back to the declared window, or declare this one in [evidence] and test it on new runs." in plain(gate)
    again = visit("detach_effect", settle="0.1")
    assert sentences(again) == sentences(at)
    fine(again.number_input(key="settle").set_value(0.0).run())
    assert verdicts(again).count("supported") == 8


# ---- refusals --------------------------------------------------------------------------------------------------------


def _page(tmp_path, runs, **query) -> AppTest:
    return effect_page(bundle(tmp_path, StudyParts().study(), runs), **query)


def test_one_seed_gets_no_inference(tmp_path):
    at = _page(tmp_path, [run(1, 0.5, 10.0), run(1, 0.0)])
    assert verdicts(at) == ["cannot say", "cannot say"]
    assert sentences(at)[0].startswith("On walk, it cannot be said whether detaching the encoder at 500 steps changed")
    assert sentences(at)[0].endswith(
        "Reason: n = 1: too few runs for a verdict (1 detached, 1 control, changes +10.12 against +0.01818)."
    )
    assert "CI" not in " ".join(sentences(at))
    assert checks(at)["Seeds"] == (
        "fail: 1 detached, 1 control: fewer than 3 in an arm. "
        "*Run at least 3 seeds in each arm: one allows no inference, two no verdict.*"
    )
    assert forest(at).rows("refused")["label"].to_list() == ["walk · Eval Reward", "walk · Consistency Loss"]


def test_one_seed_without_a_control_gets_no_inference(tmp_path):
    at = _page(tmp_path, [run(1, 0.5, 10.0)])
    assert verdicts(at) == ["cannot say", "cannot say"]
    assert {"Reason: n = 1: too few runs for any inference" in sentence for sentence in sentences(at)} == {True}
    assert "CI" not in " ".join(sentences(at))


def test_two_seeds_get_both_numbers_and_no_verdict(tmp_path):
    at = _page(tmp_path, [run(seed, ratio, 10.0) for seed in (1, 2) for ratio in (0.5, 0.0)])
    assert verdicts(at) == ["cannot say", "cannot say"]
    assert (
        "n = 2: too few runs for a verdict (2 detached, 2 control, changes +10.12, +10.22 against +0.01818, +0.01818)."
        in sentences(at)[0]
    )
    assert "*Run at least 3 seeds in each arm" in checks(at)["Seeds"]


def test_without_a_control_nothing_causal_is_said(tmp_path):
    at = _page(tmp_path, [run(seed, 0.5, 10.0) for seed in (1, 2, 3, 4)])
    assert sentences(at)[0].startswith("On walk, Eval Reward rose at once by ")
    assert "without a control arm this is a jump at that step, which may have other causes." in sentences(at)[0]
    assert [sentence for sentence in sentences(at) if "detaching the encoder at" in sentence] == []
    assert checks(at)["Control arm"] == (
        "fail: No run was left without a detach: only a jump at that step can be tested, and nothing causal said. "
        "*Train the same seeds without the detach (ratio 0) and name their sweep as control_sweep_id.*"
    )
    assert [s.value for s in at.subheader if s.value in ("The jump at the detach", "Pretended detach steps")] == [
        "The jump at the detach", "Pretended detach steps",
    ]  # fmt: skip


def test_sparse_evaluations_have_no_jump(tmp_path):
    at = _page(tmp_path, [run(seed, 0.5, 10.0, every=25) for seed in (1, 2, 3)])
    assert verdicts(at) == ["cannot say", "cannot say"]
    reason = "Of every claim: fewer than 5 rows a side within 100 steps of the detach (4)."
    assert reason in [plain(c.value) for c in at.caption]
    assert checks(at)["Points per side"] == (
        "fail: Fewer than 5 rows a side near the detach for Eval Reward and Consistency Loss. "
        "*Log at least every 20 steps around the detach, or add a control arm, which needs fewer rows.*"
    )
    assert "No local fit of Eval Reward: fewer than five points on a side of the detach." in [
        c.value for c in at.caption
    ]


def test_arms_are_compared_in_event_time(tmp_path):
    at = _page(tmp_path, [run(seed, ratio, 10.0) for seed in (1, 2, 3) for ratio in (0.5, 0.0)])
    event = charts(at)[-1]
    assert event.layers["line"]["encoding"]["strokeDash"]["scale"]["domain"] == ["detached", "control"]
    fine(at.sidebar.multiselect(key="arms").set_value(["control"]).run())
    assert charts(at)[-1].rows("line")["arm"].unique().to_list() == ["control"]


def test_several_detach_steps_are_claimed_one_by_one(tmp_path):
    at = _page(tmp_path, [run(seed, ratio, 10.0) for seed in (1, 2, 3) for ratio in (0.2, 0.5, 0.0)])
    assert [sentence.split(" raised ")[0] for sentence in sentences(at)[:2]] == [
        "On walk, detaching the encoder (arm 'detached 0.2') at 200 steps",
        "On walk, detaching the encoder (arm 'detached 0.5') at 500 steps",
    ]
    sentence = (
        "of every task, aligned at the detach. Detach steps differ, so the control arm has no step to be aligned at."
    )
    assert any(caption.value.endswith(sentence) for caption in at.caption)


def test_a_rival_schedule_near_the_detach_is_named(tmp_path):
    runs = [run(seed, ratio, 10.0, lr_decay_step=510 if ratio else 900) for seed in (1, 2, 3) for ratio in (0.5, 0.0)]
    message = checks(_page(tmp_path, runs))["Rival schedules"]
    assert message.startswith(
        "caveat: lr_decay_step = 510: within 100 steps of the detach, so it explains a change there"
    )


def test_of_many_claims_ten_are_said_and_one_metric_is_drawn(tmp_path):
    metrics = tuple(Metric(f"eval/reward_{i}", "reward", "increase", label=f"Reward {i}") for i in range(41))
    runs = [run(seed, ratio, 50.0, every=50) for seed in (1, 2, 3) for ratio in (0.0, 0.5)]
    runs = [replace(one, points={metric.key: one.points[REWARD.key] for metric in metrics}) for one in runs]
    at = effect_page(bundle(tmp_path, StudyParts(metrics=metrics).study(), runs), effect_metric="Reward 40")
    (tab,) = at.tabs
    (more,) = tab.expander
    assert more.label == "31 more claims"
    assert [len(more.markdown), len(tab.markdown)] == [31, 41]
    assert " raised Reward 40 by " in sentences(at)[0]
    drawn = forest(at)
    assert [row["metric"] for row in drawn.rows("estimate").to_dicts()] == ["eval/reward_40"]
    assert drawn.alt.endswith("Of 41 claims these are those of Reward 40: choose another metric above.")
    go(at, "rewards")
    text = "Charts draw 3 of 41 reward metrics: Reward 0, Reward 1 and Reward 2. Choose others under Metrics."
    assert text in [caption.value for caption in at.caption]
    fine(at.sidebar.multiselect(key="metrics").set_value(["Reward 7", "Reward 8", "Reward 9", "Reward 10"]).run())
    assert not any(caption.value.startswith("Charts draw") for caption in at.caption)
    assert charts(at)[0].legend == ["Reward 7", "Reward 8", "Reward 9", "Reward 10"]
