"""The New study page against a W&B server: from an address to curves."""

import time
from dataclasses import replace

import polars as pl
import pytest

from lib.discover import inspect_server, server_at
from lib.discover.address import WandbAddress
from lib.sources import SourceError, Unreachable
from lib.study import DetachRule, load_study, parse_study
from tests.support.app_kit import (  # noqa: F401 - a fixture
    PROJECT,
    ROOT,
    TASKS,
    charts,
    fill,
    fine,
    go,
    opened_study,
    plain,
    refusal,
    server_state,
    visit,
)
from tests.support.build_kit import give_key, list_runs, paste, questions, table, wait
from tests.support.wandb_server import KEY, FakeRun, WandbServer

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]


@pytest.fixture
def server():
    with WandbServer() as server:
        yield server


@pytest.mark.server
def test_from_a_sweep_address_to_curves(server):
    fill(server, seeds=2)
    at = paste(f"{server.url}/{PROJECT}/sweeps/nqfufp3t?nw=me")
    assert server.hits == []
    at = list_runs(give_key(at))
    arms = table(at, "seeds")
    assert arms.to_dict("records") == [
        {"task": "acrobot-swingup", "arm": "unknown", "runs": 2, "seeds": "1, 2", "detach step": ""}
    ]
    assert server.count("RunParquetHistory", "GET") == 0
    fine(at.text_input(key="build1_acrobot-swingup_step_None").input("50000").run())
    assert table(at, "seeds")["arm"].tolist() == ["detached"]
    assert table(at, "seeds")["detach step"].tolist() == ["50,000"]
    fine(at.button(key="build1_open").click().run())
    assert at.sidebar.selectbox(key="study").value == "tdmpc2-tdmpc2_nqfufp3t"
    assert [e.value for e in at.error] == []
    wait(go(at, "rewards"))
    (chart,) = charts(at)
    assert chart.legend == ["Train Episode Reward (MA 1,000)", "Eval Episode Reward"]
    assert chart.arms == ["detached"]
    assert chart.rows("line").height > 0
    assert server.leaks == []


@pytest.mark.server
def test_the_original_notebooks_two_sweeps_are_pasted_as_the_client_prints_them(server):
    fill(server, seeds=1)
    sweeps = [f"{server.url}/{PROJECT}/sweeps/{sweep}" for sweep in ("8lsl2o4p", "nqfufp3t")]
    at = paste("\n".join(f"wandb: 🧹 View sweep at: {sweep}" for sweep in sweeps))
    at = list_runs(give_key(at))
    for task, _, total in TASKS:
        fine(at.text_input(key=f"build1_{task}_step_None").input(str(total // 2)).run())
    fine(at.text_input(key="build1_title").input("Both tasks").run())
    fine(at.button(key="build1_open").click().run())
    own_study = opened_study(at)
    original = load_study("detach_encoder")
    assert {(t.name, t.sweeps, t.total_steps, t.detach) for t in own_study.tasks} == {
        (t.name, t.sweeps, t.total_steps, t.detach) for t in original.tasks
    }
    assert own_study.metrics == tuple(replace(metric, color="") for metric in original.metrics)
    assert [e.value for e in wait(at).error] == []


@pytest.mark.server
def test_one_of_two_sweeps_is_named_as_the_control(server):
    for sweep in ("half", "never"):
        for seed in (1, 2):
            rows = [{"_step": step, "eval/return": float(step)} for step in (500, 1000)]
            config = {"task": "walk", "seed": seed, "steps": 1000}
            server.add("team/p", FakeRun(f"{sweep}{seed}", rows=rows, config=config, sweep=sweep))
    at = list_runs(give_key(paste(f"{server.url}/team/p/sweeps/half\n{server.url}/team/p/sweeps/never")))
    assert table(at, "seeds")["arm"].tolist() == ["unknown"]
    fine(at.text_input(key="build1_walk_step_None").input("500").run())
    fine(at.multiselect(key="build1_walk_controls").select("never").run())
    arms = table(at, "seeds")[["arm", "runs", "detach step"]]
    assert arms.to_numpy().tolist() == [["detached", 2, "500"], ["control", 2, ""]]
    (task,) = parse_study(at.code[-1].value).tasks
    assert (task.sweep_id, task.control_sweep_id) == (("half",), ("never",))


@pytest.mark.server
def test_what_is_not_taken_and_what_is_asked_stand_on_the_page(server):
    for name, scale in (("a", 0.0), ("b", 2.0)):
        rows = [{"_step": 10, "eval/return": 1.0, "wm/consistency": 1.0, "wm/reward_loss": 1.0, "eval/return_std": 0.5}]
        config = {"task": "walk", "seed": 1, "steps": 10, "enc_lr_step_ratio": 0.5, "enc_lr_step_scale": scale}
        server.add("team/p", FakeRun(name, rows=rows, config=config, sweep="s"))
    at = list_runs(give_key(paste(f"{server.url}/team/p/sweeps/s")))
    texts = [m.value.replace("\\", "") for m in at.markdown]
    assert ":small[Not taken because consistency losses are logged: wm/reward_loss.]" in texts
    assert ":small[Not taken because 'std' in its name says that it is no level: eval/return_std.]" in texts
    [question] = questions(at)
    assert question.startswith("Which value of enc_lr_step_scale leaves a run alone, besides 1: 2, or none?")
    assert refusal(at, "build1_open") == ["Answer what is asked above first."]
    fine(at.button_group(key="build1_enc_lr_step_scale_unchanged").select("2").run())
    assert "[tasks.detach.unchanged_when]\nenc_lr_step_scale = 2" in at.code[-1].value


@pytest.mark.server
def test_a_project_with_several_tasks_and_one_left_out(server):
    fill(server, seeds=1)
    at = list_runs(give_key(paste(f"{server.url}/{PROJECT}")))
    assert sorted(table(at, "seeds")["task"]) == ["acrobot-swingup", "humanoid_h1-balance_simple-v0"]
    fine(at.multiselect(key="build1_task_tasks").unselect("humanoid_h1-balance_simple-v0").run())
    assert table(at, "seeds")["task"].tolist() == ["acrobot-swingup"]


@pytest.mark.server
def test_an_ambiguous_ratio_must_be_answered_before_the_study_opens(server):
    config = {"task": "walk", "seed": 1, "steps": 1000, "detach_encoder_ratio": 0.3}
    server.add("team/p", FakeRun("r1", rows=[{"_step": 1000, "train/loss": 0.5}], config=config, sweep="s"))
    at = list_runs(give_key(paste(f"{server.url}/team/p/sweeps/s")))
    assert refusal(at, "build1_open") == ["Answer what is asked above first."]
    assert "elapsed detaches at step 300, remaining at step 700" in questions(at)[0]
    fine(at.button_group(key="build1_detach_encoder_ratio_counts").select("remaining").run())
    assert table(at, "seeds")["detach step"].tolist() == ["700"]
    # A typed step that the config overrides says so, and can be used.
    fine(at.text_input(key="build1_walk_typed").input("4e2").run())
    assert table(at, "seeds")["detach step"].tolist() == ["700"]
    assert ":orange[:small[config says 700 in 1 run]]" in [m.value for m in at.markdown]
    fine(at.checkbox(key="build1_walk_typed_alone").check().run())
    assert table(at, "seeds")["detach step"].tolist() == ["400"]
    assert parse_study(at.code[-1].value).tasks[0].detach == DetachRule(400)


@pytest.mark.server
def test_metrics_are_corrected_with_validation_beside_the_field(server):
    rows = [{"_step": 10, "train/consistency_loss": 1.0, "train/episode_reward": 2.0, "progress": 1.0}]
    server.add("team/p", FakeRun("r1", rows=rows, config={"task": "walk", "seed": 1, "steps": 10}, sweep="s"))
    at = list_runs(give_key(paste(f"{server.url}/team/p/sweeps/s")))
    metrics = at.multiselect(key="build1_metrics")
    assert metrics.options == ["progress", "train/consistency_loss", "train/episode_reward"]
    assert metrics.value == ["train/episode_reward", "train/consistency_loss"]
    fine(metrics.select("progress").run())
    fine(at.text_input(key="build1_progress_label").input("Train Episode Reward").run())
    assert [e.value for e in at.error] == ["Another metric has this label: give it one of its own."]
    assert refusal(at, "build1_open") == ["Answer what is asked above first."]
    fine(at.text_input(key="build1_progress_label").input("Distance").run())
    fine(at.selectbox(key="build1_progress_expect").select("decrease").run())
    assert [e.value for e in at.error] == []
    code = next(c.value for c in at.code if "Distance" in c.value)
    assert 'key = "progress"\nfamily = "reward"\nexpect = "decrease"\nlabel = "Distance"' in code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://wandb.ai/entity", "names no project"),
        ("https://wandb.ai/entity/project/reports/x", "A report names no runs"),
        ("ftp://wandb.ai/entity/project", "not a web address"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_in_place_and_the_text_stays(text, message):
    at = paste(text)
    for _ in range(2):
        assert len(at.error) == 1 and message in at.error[0].value
        assert at.text_area(key="build_place").value == text
        list_runs(at)


@pytest.mark.server
def test_errors_of_the_server_are_one_sentence_each(server):
    server.add(PROJECT, FakeRun("r1", sweep="s1"))
    place = WandbAddress("thomasevers9", "tdmpc2-tdmpc2", server=server.url)
    for key, button, sentence in [
        ("b" * 40, place, "does not accept this key"),
        (
            KEY,
            WandbAddress("thomasevers9", "tdmpc2-tdmpc2", sweep="gone", server=server.url),
            "There is no sweep 'gone'",
        ),
        (KEY, WandbAddress("thomasevers9", "tdmpc2-tdmpc2", run="gone", server=server.url), "There is no run 'gone'"),
        (KEY, WandbAddress("thomasevers9", "hidden", server=server.url), "There is no project thomasevers9/hidden"),
    ]:
        with pytest.raises(SourceError, match=sentence):
            inspect_server(button, key)
    with pytest.raises(Unreachable, match="cannot be reached"):
        inspect_server(WandbAddress("a", "b", server="http://127.0.0.1:9"), KEY)


@pytest.mark.server
def test_a_silent_server_ends_at_the_deadline(server):
    server.add("team/p", FakeRun("r1"))
    server.latency = 30.0
    start = time.monotonic()
    with pytest.raises(Unreachable, match="within 2 s"):
        inspect_server(WandbAddress("team", "p", server=server.url), KEY, deadline=2)
    assert time.monotonic() - start < 5
    server.latency = 0.0


@pytest.mark.server
def test_the_deployments_key_is_never_sent_to_a_place_that_is_pasted(server, monkeypatch):
    fill(server, seeds=1)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    at = list_runs(paste(f"{server.url}/{PROJECT}/sweeps/nqfufp3t"))
    assert [plain(e.value) for e in at.error] == [f"Enter a key for {server.url} to see {PROJECT}."]
    assert server.hits == []


def test_a_deployment_bound_to_one_server_says_so(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.lab.example")
    with pytest.raises(SourceError, match=r"reads https://wandb\.lab\.example"):
        server_at(WandbAddress("a", "b", server="https://api.wandb.ai"))
    assert server_at(WandbAddress("a", "b")) == "https://wandb.lab.example"


@pytest.mark.server
def test_a_run_leads_to_its_sweep(server):
    fill(server, seeds=2)
    inspection = inspect_server(WandbAddress(*PROJECT.split("/"), run="nqfufp3t-1", server=server.url), KEY)
    assert [run.id for run in inspection.runs] == ["nqfufp3t-1", "nqfufp3t-2"]
    assert inspection.notes == ("Run nqfufp3t-1 is in sweep nqfufp3t: all of its runs are shown.",)
    assert inspection.runs[0].last_step == 100_001
    assert "train/consistency_loss" in inspection.runs[0].keys


@pytest.mark.server
def test_the_logged_learning_rate_is_read_where_it_tells_what_the_ratio_counts(server):
    rows = [{"_step": s, "train/encoder_lr": 0.1 if s < 700 else 0.0, "train/loss": 1.0} for s in range(0, 1001, 100)]
    config = {"task": "walk", "seed": 1, "steps": 1000, "detach_encoder_ratio": 0.3}
    server.add("team/p", FakeRun("r1", rows=rows, config=config, sweep="s", summary={"train/loss": 1.0, "n": -2}))
    inspection = inspect_server(WandbAddress("team", "p", sweep="s", server=server.url), KEY)
    assert inspection.falls == {"r1": (600, 700)}
    assert inspection.lowest == {"train/loss": 1.0, "n": -2.0}
    assert not inspection.whole


@pytest.mark.server
def test_a_logged_key_is_added_to_the_current_study_and_needs_the_visitors_own_key(server, monkeypatch):
    fill(server, seeds=1)
    for run in server.projects[PROJECT].values():
        run.parts[0] = run.parts[0].with_columns((2 * pl.col("train/consistency_loss")).alias("train/value_loss"))
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    at = visit("study", study="detach_encoder")
    fine(at.button(key="first_fetch").click().run())
    wait(at)
    at.session_state["edit_form"] = True
    fine(at.run())
    metrics = next(m for m in at.multiselect if m.label == "Metrics" and m not in at.sidebar.multiselect)
    assert metrics.options[-1] == "train/value_loss"
    fine(metrics.select("train/value_loss").run())
    server.forget()
    fine(at.button(key="edit_open").click().run())
    assert at.sidebar.selectbox(key="study").value == "detach_encoder-own"
    assert server.hits == []
    give_key(at)
    fine(next(b for b in at.button if b.label == "Use this key").click().run())
    fine(at.button(key="first_fetch").click().run())
    wait(at)
    go(at, "losses")
    assert "Train Value Loss" in charts(at)[0].legend
