"""What is wrong with a study of W&B, or with its runs, in one sentence each."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import wandb

from lib.runs import points_of, write_run
from lib.sources import Request, SourceError, fetch
from tests.support.cloud_kit import PLACE, TASK, bring, points, rows, study, walk
from tests.support.wandb_server import KEY, FakeRun, WandbServer

pytestmark = pytest.mark.server


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


def wrong(server: WandbServer, key: str | None = KEY, **changes: str) -> str:
    text = json.dumps({"tasks": TASK} | changes)
    tasks = json.loads(text)["tasks"]
    with pytest.raises(SourceError) as raised:
        fetch(study(server, tasks=tasks), Request(key=key, deadline=60.0))
    return str(raised.value)


def test_each_mistake_is_one_sentence(server):
    server.add(PLACE, walk("a"), walk("b", sweep="empty", config={"task": "other"}))
    server.sweeps[PLACE].add("bare")
    assert (
        wrong(server, tasks=TASK.replace("s1", "typo"))
        == "There is no sweep 'typo' in team/walks: check sweep_id in the study."
    )
    assert wrong(server, tasks=TASK.replace("s1", "bare")).startswith("No run of task 'walk' in sweep bare")
    assert wrong(server, tasks=TASK.replace("s1", "empty")).startswith("No run of task 'walk' in sweep empty")
    with pytest.raises(SourceError, match=r"^No run has 'env\.id' in its config: check task_key\.$"):
        fetch(replace(study(server), task_key="env.id"), Request(key=KEY))
    assert "There is no W&B key" in wrong(server, key=None) and "WANDB_API_KEY" in wrong(server, key=None)
    assert "does not accept this key" in wrong(server, key="b" * 40)
    assert "does not accept this key" in wrong(server, key="short")
    server.private[PLACE] = set()
    assert "There is no project team/walks" in wrong(server)


def test_a_task_without_runs_is_a_problem_where_another_has_some(server):
    server.add(PLACE, walk("a"))
    manifest = bring(study(server, tasks=TASK + TASK.replace("walk", "run")))
    assert [problem.task for problem in manifest.problems] == ["run"]
    assert len(manifest.runs) == 1 and not manifest.whole


def test_a_run_without_history_and_a_metric_without_run_are_said(server):
    server.add(PLACE, walk("a"), walk("b", []))
    manifest = bring(study(server, ("loss", "typo")))
    assert manifest.runs[1].warnings == ("the run has no history",)
    assert [p.message for p in manifest.problems] == ["No run logged 'typo': check the metric's key."]


def test_a_run_whose_id_is_no_file_name_is_kept_apart(server):
    server.add(PLACE, walk("a.b"), FakeRun("a:b", rows=rows(0, 2), config={"task": "walk"}, sweep="s1"))
    manifest = bring(study(server))
    assert len({run.file for run in manifest.runs}) == 2 and len(points(manifest, "a:b")) == 3


def test_a_finished_run_stored_by_an_earlier_version_is_not_read_again(server):
    server.add(PLACE, walk("a"))
    before = bring(study(server))
    (stored,) = before.runs
    rows = points_of(before.history().lazy().collect())
    write_run(Path(before.folder), replace(stored, stamp=""), rows, {"stamp": stored.stamp})
    requests = server.count("RunParquetHistory")
    assert points(bring(study(server)), "a") == points(before, "a")
    assert server.count("RunParquetHistory") == requests


def test_the_wandb_client_lists_the_same_runs(server):
    server.add(PLACE, walk("a"), walk("b", rows(5, 7), state="crashed", group="g", config={"task": "walk", "lr": 0.1}))
    api = wandb.Api(api_key=KEY, overrides={"base_url": server.url})
    listed = list(api.runs(PLACE, filters={"sweep": "s1"}, order="+created_at", lazy=False))
    runs = bring(study(server)).runs
    assert [(run.id, run.name, run.state, run.group or None, run.config, run.sweep_id) for run in runs] == [
        (run.id, run.name, run.state, run.group or None, run.config, run.sweep_name) for run in listed
    ]
