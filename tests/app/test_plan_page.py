"""The Plan page: before there are runs, from a pilot, below the planned size, at it and beyond."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lib.report import planned_study
from lib.study import Evidence, Metric, Source, Study, load_study, parse_study, to_toml
from tests.support.app_kit import charts, fine, go, opened_study, plain, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import REWARD, RunData, StudyParts, bundle, run

pytestmark = pytest.mark.slow


def pairs(n: int) -> list[RunData]:
    """Fork pairs: of each seed a run that was detached half-way and the same run without."""
    return [run(seed, ratio, 10.0) for seed in range(1, n + 1) for ratio in (0.5, 0.0)]


def plan_page(tmp_path, runs: list[RunData], planned: int | None = None, *metrics: Metric, **query: str) -> AppTest:
    options = StudyParts(metrics=metrics) if metrics else StudyParts()
    of = bundle(tmp_path, options.study(evidence=Evidence(planned=planned)), runs)
    return visit("plan", own=of, **query)


def words(at: AppTest) -> list[str]:
    """The texts of the page that are no headings."""
    return [plain(e.value) for kind in ("markdown", "info", "caption") for e in at.main.get(kind)]


def fresh() -> Study:
    """A study of the demo's metrics whose runs are still to be made."""
    metrics = (Metric("train/consistency_loss", "loss", "decrease", scale="log"), REWARD)
    return StudyParts(metrics=metrics).study(name="fresh", source=Source("wandb", entity="me", project="p"))


def test_a_study_without_runs_takes_another_studys_spread():
    at = visit("plan", own=fresh())
    spread = at.selectbox(key="plan_spread")
    assert spread.options == ["typed", "demo", "detach_encoder"]
    assert charts(at) == []
    fine(spread.select("demo").run())
    # The demo's widest task by fork pairs is acrobot-swingup: 11 pairs show 10%, as `python -m lib plan demo` says. A run of
    # this study has 1,000 steps.
    rows = at.dataframe[0].value
    assert rows[["design", "n", "runs", "environment steps"]].values.tolist()[0] == ["fork pairs", 11, 22, 16_500]
    assert charts(at)[0].rows("needed")["n"].to_list()[0] == 11
    assert "range(1, 12)" in at.code[0].value
    fine(at.selectbox(key="plan_spread").select("detach_encoder").run())
    assert "detach_encoder has no runs here yet: open it and fetch them." in words(at)


def test_a_typed_spread_and_the_size_declared_before_looking():
    at = visit("plan", own=fresh(), plan_metric="Eval Reward")
    fine(at.number_input(key="plan_typed_fork").set_value(5.0).run())
    # 10% are 2 sd of a pair's difference: 5 pairs
    assert at.dataframe[0].value[["design", "n", "runs"]].values.tolist() == [["fork pairs", 5, 10]]
    fine(at.button(key="plan_declare").click().run())
    assert opened_study(at).evidence == Evidence(planned=5)
    assert at.button(key="plan_declare").disabled


def test_a_pilot_plans_itself_and_its_size_is_marked(tmp_path):
    at = plan_page(tmp_path, pairs(4))
    caveat = "No size is declared, so a claim carries that caveat: declare one below, before the next runs."
    assert f"4 pairs finished. {caveat}" in words(at)
    assert at.selectbox(key="plan_spread").value == "this study's runs"
    assert at.dataframe[0].value["design"].to_list() == ["fork pairs", "two arms"]
    designs = at.main.get("button_group")[-1]
    assert [option.content for option in designs.proto.options] == [
        "fork pairs",
        "two arms",
        "detached only (the jump)",
    ]
    fine(at.number_input[1].set_value(8).run())
    fine(at.button(key="plan_declare").click().run())
    assert opened_study(at).evidence == Evidence(planned=8, planned_after_looking=True)
    assert any(text.startswith("**4 of 8 pairs finished**; at 8 the interval will be about ±") for text in words(at))


def test_below_the_planned_size_intervals_hold_at_every_look(tmp_path):
    runs = pairs(7)
    runs[-1] = replace(runs[-1], state="running")
    at = plan_page(tmp_path, runs, 8)
    text = "**6 of 8 pairs finished, 1 run still running**; at 8 the interval will be about ±"
    assert any(shown.startswith(text) for shown in words(at))
    looks = charts(at)[0].rows("interval")
    assert looks["n"].to_list() == [5, 6]
    assert looks["ci_low"][1] < looks["estimate"][1] < looks["ci_high"][1]
    assert "Each interval holds at every look. There is no verdict before the planned size." in words(at)
    go(at, "overview")
    assert "Where the planned runs stand" in [link.proto.label for link in at.get("page_link")]


def test_before_the_fifth_pair_there_is_no_interval(tmp_path):
    at = plan_page(tmp_path, pairs(4), 6)
    assert "The first interval that holds at every look comes with the fifth of the pairs." in words(at)


@pytest.mark.parametrize(
    ("planned", "text"), [(5, "5 of 5 pairs finished."), (4, "5 pairs finished, where 4 were planned.")]
)
def test_at_the_planned_size_and_beyond_the_page_says_so(tmp_path, planned, text):
    at = plan_page(tmp_path, pairs(5), planned)
    assert text in words(at)
    assert ["interval" in chart.layers for chart in charts(at)] == [False]
    go(at, "overview")
    assert "Where the planned runs stand" not in [link.proto.label for link in at.get("page_link")]


def test_a_claim_of_several_needs_more(tmp_path):
    at = plan_page(tmp_path, pairs(4), None, plan_change="0.1")
    alone = at.dataframe[0].value["n"].to_list()
    fine(at.toggle(key="plan_corrected").set_value(True).run())
    assert sum(at.dataframe[0].value["n"]) > sum(alone)
    [caption] = [text for text in words(at) if "power at 5% / 2: the worst that Holm's correction" in text]
    assert caption.endswith(" Add the runs that may crash.")


def test_the_designs_and_a_typed_spread_are_in_the_address():
    at = visit("plan", own=fresh(), plan_metric="Eval Reward", plan_typed_fork="5.0", plan_typed_did="8.0")
    assert at.dataframe[0].value["design"].to_list() == ["fork pairs", "two arms"]
    at = visit("plan", own=fresh(), plan_metric="Eval Reward", plan_typed_fork="5.0", plan_designs="fork pairs")
    assert at.dataframe[0].value["design"].to_list() == ["fork pairs"]


def test_a_plan_of_a_task_whose_steps_are_drawn_is_one_of_a_fixed_step():
    at = visit("plan", task="Cartpole Swingup, random detach", plan_metric="Train Episode Reward")
    note = (
        "Cartpole Swingup, random detach draws its detach steps: this plan is for new runs that are detached at "
        "step 50,000, by a t test; there is none for the onset test."
    )
    assert [text.endswith(note) for text in words(at) if "draws its detach steps" in text] == [True]
    assert '"detach_encoder_ratio": {values: [0, 0.5]}' in at.code[0].value
    demo = load_study("demo")
    drawn = demo.task("cartpole-random-detach")
    fixed = planned_study(demo, [drawn.key], "did", Evidence(planned=8)).task(drawn.key)
    assert fixed == replace(drawn, detach=replace(drawn.detach, randomised=None), sweep_id=())


def test_a_guardrail_is_planned_by_its_margin(tmp_path):
    guardrail = replace(REWARD, role="guardrail")
    at = plan_page(tmp_path, pairs(4), None, guardrail)
    assert "A guardrail gets no verdict of a change: declare its margin on the Study page." in words(at)


def test_a_margin_is_planned_without_a_jump(tmp_path):
    at = plan_page(tmp_path, pairs(4), None, replace(REWARD, margin=0.05), plan_target="no worse than the margin")
    assert [row[0] for row in at.dataframe[0].value.values.tolist()] == ["fork pairs", "two arms"]
    assert charts(at)[0].alt.startswith("Power to show no worse than 5% over the number of runs.")


def test_the_study_file_of_a_plan_opens_its_runs():
    of = parse_study(to_toml(planned_study(fresh(), ["walk"], "fork", Evidence(planned=6))))
    assert (of.evidence.planned, of.tasks[0].group, of.tasks[0].detach.ratio_key) == (6, "forks", "ratio")
