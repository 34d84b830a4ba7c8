"""The view settings: which stand on which page, the pickers of tasks and metrics, and that everything follows them."""

import json
from dataclasses import replace

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session import cached_results, downloads
from lib.app.session.current import Current
from lib.curves import View, study_curves
from lib.effects import analyse
from lib.effects.price import SPEED
from lib.report import curve_names, study_results, visible_study
from lib.sources import fetch
from lib.study import load_study
from tests.support.app_kit import charts, fine, go, server_state, view_of, visit  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]

FIRST = ["Tasks", "Metrics", "Arms", "X axis", "Band", "Smoothing (steps)"]
MORE = [
    *("Aggregate over seeds", "From", "To", "Draw every seed", "Colour every run by", "Raw points behind smoothed"),
    *("Log axis for rewards", "Log axis for losses", "Notebook arithmetic", "Runs left out"),
]
NOT_OF_REWARDS = ["Log axis for losses"]
NOT_OF_LOSSES = ["Smoothing (steps)", "Raw points behind smoothed", "Log axis for rewards"]
#: By page, the settings that stand open and those under "More".
SETTINGS = {
    "overview": (["Charts", *FIRST], MORE),
    "rewards": (FIRST, [label for label in MORE if label not in NOT_OF_REWARDS]),
    "losses": ([label for label in FIRST if label not in NOT_OF_LOSSES], [m for m in MORE if m not in NOT_OF_LOSSES]),
    "detach_effect": ([label for label in FIRST if label != "X axis"], ["Aggregate over seeds", "Runs left out"]),
    "runs": (["Tasks", "Metrics"], ["Runs left out"]),
    "study": ([], []),
    "new_study": ([], []),
}


#: Widgets of the sidebar that are no view settings: those of the study and of its evidence windows.
OTHERS = ("Study", "Follow running runs", "Before", "After: the rest of the training", "After")


def labels(block) -> list[str]:
    """The labels of the view settings in a part of a page."""
    kinds = ("selectbox", "multiselect", "select_slider", "number_input", "toggle", "button_group")
    labels = [widget.label for kind in kinds for widget in getattr(block, kind)]
    return sorted(label for label in labels if label not in OTHERS and not label.startswith("Settling"))


def more(at: AppTest):
    """The expander of the settings that do not stand open."""
    return [e for e in at.sidebar.expander if e.label.startswith("More")]


@pytest.mark.parametrize("page", SETTINGS)
def test_a_page_has_the_settings_that_touch_it(page):
    first, rest = SETTINGS[page]
    at = visit(page)
    under_more = labels(more(at)[0]) if rest else []
    assert under_more == sorted(rest)
    assert labels(at.sidebar) == sorted([*first, *rest])
    assert bool(more(at)) == bool(rest)


def test_one_task_one_metric_and_one_arm_need_no_picker():
    demo = load_study("demo")
    one = replace(demo, name="one", tasks=demo.tasks[:1], metrics=demo.metrics[:1])
    assert {"Tasks", "Metrics"} & set(labels(visit("rewards", one).sidebar)) == set()


def test_settings_that_a_page_does_not_show_keep_their_values():
    at = visit("overview", aggregate="median", window="5000", metrics="eval*", seeds="true")
    view = view_of(at)
    assert view == View(aggregate="median", window=5000, metrics=("eval/episode_reward",), seeds=True)
    for page in ("study", "runs", "overview"):
        go(at, page)
        assert view_of(at) == view
        assert dict(at.query_params) == {
            "aggregate": "median",
            "window": "5000",
            "metrics": "eval*",
            "seeds": "true",
        }
    assert view_of(visit("study", aggregate="median", window="5000", metrics="eval*", seeds="true")) == view


def test_a_link_to_a_page_names_the_tasks_to_show_there():
    at = visit("overview", aggregate="median")
    at.query_params["only"] = "Acrobot Swingup"
    go(at, "rewards")
    assert view_of(at) == View(aggregate="median", tasks=("acrobot-swingup",))
    go(at, "losses")
    assert view_of(at).tasks == ("acrobot-swingup",)


def test_a_line_says_how_many_settings_under_more_are_changed():
    def note(at):
        assert [panel.label for panel in more(at)] == ["More"], "another label would be another panel to the browser"
        return [caption.value for caption in at.sidebar.caption if caption.value.endswith("under More")]

    at = visit("overview", aggregate="IQM", x="% of training")
    assert note(at) == ["1 setting changed under More"]
    fine(at.sidebar.toggle(key="log_loss").set_value(False).run())
    assert note(at) == ["2 settings changed under More"]
    fine(at.sidebar.selectbox(key="aggregate").select("mean").run())
    fine(at.sidebar.toggle(key="log_loss").set_value(True).run())
    assert note(at) == []


# ---- smoothing


def test_smoothing_has_round_steps_between_a_thousandth_and_a_tenth_of_training():
    slider = visit("rewards").sidebar.select_slider(key="window")
    assert slider.options == ["off", "own", "100", "200", "500", "1000", "2000", "5000", "10000"]
    assert slider.value == "own"


@pytest.mark.parametrize(
    ("query", "smooth", "window"),
    [
        ({}, True, None),
        ({"window": "off"}, False, None),
        ({"window": "2000"}, True, 2000),
        ({"window": "1234"}, True, 1234),
        ({"smooth": "false"}, False, None),
        ({"window": "0"}, True, None),
        ({"window": "-5"}, True, None),
    ],
)
def test_smoothing_by_the_address(query, smooth, window):
    assert (view_of(visit("rewards", **query)).smooth, view_of(visit("rewards", **query)).window) == (smooth, window)


# ---- tasks and metrics


def test_a_typed_pattern_holds_on_every_page():
    at = visit("overview")
    fine(at.sidebar.multiselect(key="metrics").set_value(["validation*", "Eval Episode Reward"]).run())
    keys = ("eval/episode_reward", "validation_all/consistency_loss", "validation_recent/consistency_loss")
    for page in SETTINGS:
        go(at, page)
        assert view_of(at).metrics == keys
    assert view_of(visit("losses", metrics="validation*")).metrics == keys[1:]


def test_charts_draw_the_tasks_and_metrics_alone():
    at = visit("rewards", only="cartpole*", metrics="Eval Episode Reward")
    assert [h.value for h in at.header] == ["Cartpole Swingup", "Cartpole Swingup, random detach"]
    assert [chart.rows("line")["metric"].unique().to_list() for chart in charts(at)] == [["Eval Episode Reward"]] * 2
    go(at, "losses")
    assert charts(at) == []
    assert [h.value for h in at.header] == []
    assert [c.value for c in at.caption if c.value.startswith("No loss")] == ["No loss metric is shown."]


def test_a_metric_keeps_its_colour_where_others_are_hidden():
    demo = load_study("demo")
    plain = replace(demo, name="plain", metrics=tuple(replace(metric, color="") for metric in demo.metrics))
    whole = charts(visit("losses", plain))[0].layers["line"]["encoding"]["color"]["scale"]
    colors = dict(zip(whole["domain"], whole["range"], strict=True))
    part = charts(visit("losses", plain, metrics="validation*"))[0].layers["line"]["encoding"]["color"]["scale"]
    assert part["domain"] == ["Val (All) Consistency", "Val (Recent) Consistency"]
    assert part["range"] == [colors[name] for name in part["domain"]]


def test_what_matches_nothing_is_said_beside_the_field():
    at = visit("rewards", metrics="chess*", only="Go")
    assert [c.value for c in at.sidebar.caption if "orange" in c.value] == [
        ":orange[No task is named Go.]", r":orange[No metric is named chess\*.]",
    ]  # fmt: skip
    assert (view_of(at).tasks, view_of(at).metrics) == ((), ())
    assert len(charts(at)) == 3


def test_the_runs_page_lists_the_tasks_and_metrics_alone():
    at = visit("runs", only="Acrobot Swingup", metrics="eval*")
    table = at.dataframe[0].value
    assert set(table["task"]) == {"Acrobot Swingup"}
    assert [name for name in table.columns if name.startswith("rows:")] == ["rows:eval/episode_reward"]
    assert any(m.value.startswith("**12 runs**") for m in at.markdown)


def test_claims_and_pickers_of_the_effect_page_are_the_parts():
    at = visit("detach_effect", only="Acrobot Swingup", metrics="validation*")
    assert [tab.label for tab in at.tabs] == ["Acrobot Swingup"]
    assert len(at.tabs[0].markdown) == 2
    assert at.selectbox(key="effect_metric").options == ["Val (All) Consistency", "Val (Recent) Consistency"]
    assert at.selectbox(key="event_metric").options == ["Val (All) Consistency", "Val (Recent) Consistency"]
    assert "Reward against loss" not in [s.value for s in at.subheader]


# ---- the numbers are those of the whole study


@pytest.fixture(scope="module")
def demo() -> Current:
    """The demo as a page has it."""
    study = load_study("demo")
    return Current(study, fetch(study), "demo", is_public=True)


PART = View(tasks=("acrobot-swingup", "cartpole-swingup"), metrics=("eval/episode_reward", "train/consistency_loss"))


def test_a_hidden_metric_changes_no_number_of_another(demo):
    whole = analyse(demo.study, demo.manifest).effects
    part = cached_results.effects(demo.with_view(PART))
    kept = pl.col("task").is_in(PART.tasks) & pl.col("metric").is_in(PART.metrics)
    assert part.equals(whole.filter(kept))
    assert part.height == 4
    numbers = part.select("p_holm", "verdict").rows()
    assert numbers == whole.filter(kept).select("p_holm", "verdict").rows()
    assert {verdict for _, verdict in numbers} == {"supported", "not shown"}


def test_claims_across_tasks_are_shown_where_all_tasks_are(demo):
    assert "*" not in set(cached_results.effects(demo.with_view(PART))["task"])
    view = replace(PART, tasks=())
    assert set(cached_results.effects(demo.with_view(view)).filter(pl.col("task") == "*")["metric"]) == set(
        PART.metrics
    )


def test_a_pick_analyses_nothing_anew(demo, monkeypatch):
    calls = []
    monkeypatch.setattr(cached_results, "analyse", lambda *args: calls.append(args) or analyse(*args))
    fresh = replace(demo, stamp="fresh")
    for view in (View(), PART, replace(PART, tasks=()), View(x="percent")):
        assert cached_results.effects(fresh.with_view(view)).height
    assert len(calls) == 1


@pytest.mark.parametrize("grid", ["aligned", "exact"])
def test_exported_curves_are_those_of_the_whole_study(demo, grid):
    view = replace(PART, grid=grid)
    whole = study_curves(demo.study, demo.manifest, View(grid=grid))
    kept = pl.col("task").is_in(PART.tasks) & pl.col("metric").is_in(PART.metrics)
    assert downloads.result_frame(demo.with_view(view), "curves").equals(whole.filter(kept))


def test_exports_follow(demo):
    shown = demo.with_view(PART)
    assert [name for name in curve_names(shown.visible_study) if "reward and" in name] == [
        "Acrobot Swingup: reward and loss", "Cartpole Swingup: reward and loss",
    ]  # fmt: skip
    grid = downloads.of_curves(shown, "combined_ablation").numbers()
    assert set(grid["task"]) == set(PART.tasks)
    assert set(grid["metric"]) == set(PART.metrics)
    assert downloads.of_study(shown, "All claims").numbers().height == 4
    assert downloads.result_frame(shown, "effects").height == 4
    detail = downloads.result_frame(shown, "effects_detail")
    # The training speed is no metric: it stays with its task.
    assert (set(detail["task"]), set(detail["metric"])) == (set(PART.tasks), {*PART.metrics, SPEED.key})
    assert downloads.result_frame(shown, "runs").height == 32


def test_gaps_are_shown_where_both_their_metrics_are(demo):
    keys = ("train/consistency_loss", "validation_all/consistency_loss")
    detail = study_results(demo.study, demo.manifest, View(metrics=keys)).effects_detail
    assert set(detail["metric"]) == {*keys, "validation_all/consistency_loss : train/consistency_loss", SPEED.key}


def test_footers_sidecars_and_the_report_say_what_is_shown(demo):
    shown = demo.with_view(PART)
    sentence = "Shown: 2 of 3 tasks and 2 of 5 metrics. "
    for download in (downloads.of_curves(shown, "combined_ablation"), downloads.of_study(shown, "All claims")):
        about = json.loads(download.sidecar())
        assert sentence in about["text"]
        assert (about["settings"]["tasks"], about["settings"]["metrics"]) == ([*PART.tasks], [*PART.metrics])
    page = downloads.report_html(shown)
    assert sentence in page
    assert "Eval Episode Reward" in page
    assert "Val (Recent) Consistency" not in page.partition("[study]")[0]
    assert "Shown:" not in json.loads(downloads.of_curves(demo, "combined_ablation").sidecar())["text"]


def test_the_visible_study_is_the_study_where_nothing_is_picked(demo):
    assert visible_study(demo.study, View()) is demo.study


def test_a_setting_that_was_taken_back_stays_so_when_its_panel_is_opened_again():
    at = visit("rewards", log_reward="true")
    fine(at.sidebar.toggle(key="log_reward").set_value(False).run())
    at.session_state["more"] = False
    fine(at.run())
    at.session_state["more"] = True
    assert not view_of(fine(at.run())).log_reward
