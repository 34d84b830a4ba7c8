"""Listing what several addresses name on a W&B server, and the one study that they make."""

from dataclasses import replace

import pytest

from lib.discover import arms, inspect_server, parse_addresses, preview, propose
from lib.sources import Request, SourceError, fetch
from lib.study import load_study, parse_study, to_toml
from tests.support.app_kit import PROJECT, fill
from tests.support.discover_kit import finding
from tests.support.wandb_server import KEY, FakeRun, WandbServer

pytestmark = pytest.mark.server


@pytest.fixture
def server():
    with WandbServer() as server:
        yield server


def inspect(server: WandbServer, *paths: str):
    """What is listed where these lines are pasted, as links to the server."""
    return inspect_server(parse_addresses("\n".join(f"{server.url}/{path}" for path in paths)), KEY)


def agent(name: str, sweep: str, **more) -> FakeRun:
    """A run of walker-walk that logged its reward ten times."""
    rows = [{"_step": step, "eval/episode_reward": float(step)} for step in range(100, 1001, 100)]
    config = {"task": "walker-walk", "seed": 1, "steps": 1000} | more.pop("config", {})
    return FakeRun(name, rows=rows, config=config, sweep=sweep, **more)


def test_the_original_notebooks_two_sweeps_make_its_study(server):
    fill(server, seeds=2)
    inspection = inspect(server, f"{PROJECT}/sweeps/8lsl2o4p?nw=me", f"{PROJECT}/sweeps/nqfufp3t")
    assert inspection.title == "tdmpc2-tdmpc2 8lsl2o4p nqfufp3t"
    assert len(inspection.runs) == 4
    study, original = propose(inspection).study, load_study("detach_encoder")
    # Its colours are its own: some of them are alike to the colour-blind.
    assert study.metrics == tuple(replace(metric, color="") for metric in original.metrics)
    by_name = {task.name: task for task in study.tasks}
    assert {task.name for task in original.tasks} == set(by_name)
    for task in original.tasks:
        proposed = by_name[task.name]
        assert (proposed.sweep_id, proposed.control_sweep_id) == (task.sweep_id, ())
        assert (proposed.title, proposed.total_steps, proposed.window) == (task.title, task.total_steps, task.window)
    manifest = fetch(parse_study(to_toml(study)), Request(key=KEY))
    assert manifest.whole
    assert sorted(run.id for run in manifest.runs) == ["8lsl2o4p-1", "8lsl2o4p-2", "nqfufp3t-1", "nqfufp3t-2"]


def test_a_detached_and_a_control_sweep_of_one_task(server):
    for seed in (1, 2):
        server.add("team/p", agent(f"d{seed}", "half", config={"seed": seed, "detach_encoder_ratio": 0.5}))
        server.add("team/p", agent(f"c{seed}", "never", config={"seed": seed}))
    inspection = inspect(server, "team/p/sweeps/never", "team/p/sweeps/half")
    proposal = propose(inspection)
    (task,) = proposal.study.tasks
    assert (task.sweep_id, task.control_sweep_id) == (("half",), ("never",))
    assert finding(proposal, "control sweeps of walker-walk").value == "never"
    assert arms(preview(proposal.study, inspection)).rows() == [
        ("walker-walk", "detached", 2, "1, 2", "500"),
        ("walker-walk", "control", 2, "1, 2", ""),
    ]


def test_a_sweep_of_controls_alone_is_the_tasks_sweep(server):
    server.add("team/p", agent("c", "never", config={"detach_encoder_ratio": 0}))
    (task,) = propose(inspect(server, "team/p/sweeps/never")).study.tasks
    assert (task.sweep_id, task.control_sweep_id) == (("never",), ())


def test_a_group_is_the_tasks_group(server):
    server.add("team/p", agent("a", "s", group="half / wide"))
    server.add("team/p", agent("b", "s", group="other"))
    inspection = inspect(server, "team/p/groups/half%20%2F%20wide/workspace")
    assert [run.id for run in inspection.runs] == ["a"]
    proposal = propose(inspection)
    assert (proposal.study.tasks[0].group, proposal.study.tasks[0].sweeps) == ("half / wide", ())
    assert [run.id for run in fetch(proposal.study, Request(key=KEY)).runs] == ["a"]


def test_runs_lead_to_their_sweeps_and_a_sweep_named_twice_is_listed_once(server):
    server.add("team/p", agent("a", "s"))
    server.add("team/p", agent("b", "t"))
    inspection = inspect(server, "team/p/runs/a", "team/p/runs/b", "team/p/sweeps/s", "team/p")
    assert [run.id for run in inspection.runs] == ["a", "b"]
    assert inspection.title == "p s t"
    assert inspection.notes == (
        "Run a is in sweep s: all of its runs are shown.",
        "Run b is in sweep t: all of its runs are shown.",
    )


def test_a_run_in_no_sweep_stands_for_its_project_alone(server):
    server.add("team/p", agent("a", None))
    server.add("team/p", agent("b", "t"))
    inspection = inspect(server, "team/p/runs/a")
    assert len(inspection.runs) == 2
    assert inspection.notes == ("Run a is in no sweep: every run of the project is shown.",)
    with pytest.raises(SourceError, match="Run a is in no sweep, and a study names sweeps"):
        inspect(server, "team/p/runs/a", "team/p/sweeps/t")


@pytest.mark.parametrize(
    ("path", "message"), [("groups/gone", "There is no group 'gone'"), ("sweeps/gone", "There is no sweep 'gone'")]
)
def test_one_address_that_names_nothing_is_said(server, path, message):
    server.add("team/p", agent("a", "s"))
    with pytest.raises(SourceError, match=message):
        inspect(server, "team/p/sweeps/s", f"team/p/{path}") if "sweeps" in path else inspect(server, f"team/p/{path}")


@pytest.mark.parametrize("number", [int, str])
def test_nested_configs_and_calls_from_a_projects_page_to_curves(server, number):
    for seed, ratio in ((1, "0.5"), (2, None)):
        rows = [
            {"_step": i, "global_step": number(100 * i), "eval/return": i, "wm/consistency": 1 / i}
            for i in range(1, 11)
        ]
        config = {"env": {"id": "walk", "seed": seed}, "algo": {"detach_encoder_ratio": ratio, "total_steps": "1e3"}}
        summary = {"global_step": number(1000), "eval/return": 10, "wm/consistency": 0.1}
        server.add("team/p", FakeRun(f"r{seed}", rows=rows, config=config, summary=summary))
    proposal = propose(inspect(server, "team/p"))
    study = proposal.study
    assert (study.task_key, study.seed_key, study.step_key) == ("env.id", "env.seed", ("global_step",))
    assert [(metric.key, metric.family) for metric in study.metrics] == [
        ("eval/return", "reward"),
        ("wm/consistency", "loss"),
    ]
    manifest = fetch(study, Request(key=KEY))
    assert manifest.whole
    steps, values = manifest.history().series("r1", "eval/return")
    assert steps.tolist() == [*range(100, 1001, 100)]
    assert values.tolist() == [*range(1, 11)]
