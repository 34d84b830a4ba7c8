"""Forks and rewound runs on a W&B server: whose rows are theirs, what is asked for, and what is said."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import wandb

from lib.runs import BranchPoint, Drop, Problem, points_of, write_run
from lib.sources import Request, stored
from lib.sources.cloud import http
from tests.support.cloud_kit import PLACE, bring, points, rows, study, walk
from tests.support.wandb_server import KEY, FakeRun, Fault, WandbServer

pytestmark = pytest.mark.server


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


# ---- the listing -------------------------------------------------------------------------------------------------


def test_the_branch_point_is_read_from_the_raw_config_and_not_shown_in_it(server):
    server.add(PLACE, walk("p"), walk("f", branch_point=("p", 5)))
    parent, fork = bring(study(server)).runs
    assert (parent.branch_point, fork.branch_point) == (None, BranchPoint("p", 5))
    assert fork.config == parent.config == {"task": "walk", "seed": 1}
    api = wandb.Api(api_key=KEY, overrides={"base_url": server.url})
    assert api.run(f"{PLACE}/f").rawconfig["_wandb"]["branch_point"] == {"run_id": "p", "step": 5}


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ({"run_id": "p", "step": 5.0}, BranchPoint("p", 5)),
        ({"run_id": "p", "step": "5"}, BranchPoint("p", 5)),
        ({"value": {"run_id": "p", "step": 5}}, BranchPoint("p", 5)),
        ({"run_id": "p", "step": 5.5}, None),
        ({"run_id": "p", "step": "NaN"}, None),
        ({"run_id": "p"}, None),
        ({"run_id": 7, "step": 5}, None),
        ({"run_id": "", "step": 5}, None),
        ("p?_step=5", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_trace_that_is_no_branch_point_is_none(server, monkeypatch, point, expected, wrapped):
    server.add(PLACE, walk("p"), walk("f"))
    fork = server.projects[PLACE]["f"]
    node = fork.node(PLACE)
    internal = {"cli_version": "0.31.0", "branch_point": point}
    config = {"task": {"value": "walk"}, "_wandb": {"value": internal} if wrapped else internal}
    monkeypatch.setattr(fork, "node", lambda project: node | {"config": json.dumps(config)})
    assert bring(study(server)).runs[1].branch_point == expected


# ---- whose rows --------------------------------------------------------------------------------------------------

ABSENT = "the project does not hold that run any more, or this key may not see it"


def fork(run_id: str, parent: str, step: int, last: int = 9, loss: float = -1.0, **more) -> FakeRun:
    """A run that goes on from a step of its parent, its loss being another one."""
    return walk(run_id, rows(step + 1, last, loss=loss), **{"branch_point": (parent, step)} | more)


def constant(loss: float, first: int, last: int) -> dict[int, float]:
    return dict.fromkeys(range(first, last + 1), loss)


def doubles(last: int) -> dict[int, float]:
    return {step: 2.0 * step for step in range(last + 1)}


def reads_of(server: WandbServer, run_id: str) -> int:
    """How often the server was asked where a run's history lies."""
    return sum(hit.op == "RunParquetHistory" and hit.run == run_id for hit in server.hits)


@pytest.mark.parametrize("sweep", ["s1", "another", None])
def test_a_fork_begins_with_its_parents_rows_whatever_sweep_that_is_in(server, sweep):
    server.add(PLACE, walk("p", sweep=sweep), fork("f", "p", 5, last=7))
    manifest = bring(study(server))
    run = manifest.runs[-1]
    assert manifest.whole and [run.id for run in manifest.runs] == (["p", "f"] if sweep == "s1" else ["f"])
    assert points(manifest, "f") == doubles(5) | constant(-1.0, 6, 7)
    assert run.warnings == ("its rows up to step 5 are those of run p",)
    assert (run.first_step, run.last_step, run.rows, run.drops) == (0, 7, {"loss": 8}, ())
    assert server.counters()["Runs"] == (1 if sweep == "s1" else 2)
    server.forget()
    assert bring(study(server)).runs[-1].warnings == run.warnings
    assert server.counters() == {"Runs": 1}


def test_the_rows_of_a_parent_are_read_once_for_all_forks_and_itself(server):
    server.add(PLACE, *(fork(f"f{step}", "p", step) for step in range(3, 9)), walk("p"))
    server.add(PLACE, *(fork(f"g{step}", "q", step) for step in range(3, 9)), walk("q", sweep="another"))
    server.latency = 0.02
    manifest = bring(study(server))
    for step in range(3, 9):
        expected = doubles(step) | constant(-1.0, step + 1, 9)
        assert points(manifest, f"f{step}") == points(manifest, f"g{step}") == expected
    assert points(manifest, "p") == doubles(9)
    assert (reads_of(server, "p"), reads_of(server, "q"), server.count("Runs")) == (1, 1, 2)
    assert not list(Path(manifest.folder).parent.rglob(".aside-*"))


@pytest.mark.parametrize("sweep", ["s1", "another"])
@pytest.mark.parametrize(
    ("step", "expected", "note"),
    [
        (
            6,
            doubles(3) | constant(-2.0, 4, 6) | constant(-3.0, 7, 9),
            "its rows up to step 6 are those of run p, up to step 3 those of run g",
        ),
        # Forked before the first row of the parent's own.
        (
            2,
            doubles(2) | constant(-3.0, 3, 9),
            "its rows up to step 2 are those of run p, up to step 2 those of run g",
        ),
    ],
)
def test_a_fork_of_a_fork_begins_with_its_grandparents_rows(server, sweep, step, expected, note):
    server.add(PLACE, walk("g", sweep=sweep), fork("p", "g", 3, loss=-2.0, sweep=sweep))
    server.add(PLACE, fork("f", "p", step, loss=-3.0))
    manifest = bring(study(server))
    assert points(manifest, "f") == expected
    assert manifest.runs[-1].warnings == (note,)


def test_the_branch_point_counts_the_step_of_wandb_not_the_studys(server):
    parent = walk("p", rows(0, 9, global_step=lambda step: 10 * step))
    child = walk("f", rows(6, 9, global_step=lambda step: 10 * step, loss=-1.0), branch_point=("p", 5))
    server.add(PLACE, parent, child)
    manifest = bring(study(server, heading='step_key = "global_step"'))
    assert points(manifest, "f") == {10 * step: 2.0 * step if step <= 5 else -1.0 for step in range(10)}


def test_rows_of_a_parent_beyond_the_branch_point_are_not_counted(server):
    live = [{"_step": 5, "loss": {"_type": "image"}}, *rows(6, 9), {"_step": 10, "loss": "text"}]
    parent = walk("p", [*rows(0, 3), {"_step": 4, "loss": "text"}], live=live)
    server.add(PLACE, parent, fork("f", "p", 7), fork("g", "p", 4))
    manifest = bring(study(server))
    assert {run.id: run.drops for run in manifest.runs} == {
        "p": (Drop("loss", "not a number", 3),),
        "f": (Drop("loss", "not a number", 2),),
        "g": (Drop("loss", "not a number", 1),),
    }


def test_forks_that_name_each_other_come_to_an_end(server):
    server.add(PLACE, fork("a", "b", 5), fork("b", "a", 3))
    manifest = bring(study(server))
    assert points(manifest, "a") == points(manifest, "b") == constant(-1.0, 4, 9)


# ---- a parent that cannot be had ---------------------------------------------------------------------------------


def test_a_fork_whose_parent_is_gone_keeps_its_own_rows_and_says_so(server):
    server.add(PLACE, fork("f", "p", 5))
    for requests in (2, 1):
        server.forget()
        manifest = bring(study(server))
        missing = f"its rows up to step 5, those of run p, are missing: {ABSENT}"
        assert points(manifest, "f") == constant(-1.0, 6, 9)
        assert manifest.runs[0].warnings == (missing,)
        assert manifest.problems == (Problem(f"Run f: {missing}.", run_id="f"),)
        assert stored(study(server), Request(key=KEY)).problems == manifest.problems
        assert server.count("Runs") == requests
    server.add(PLACE, walk("p", sweep="another"))
    assert points(bring(study(server), refresh=True), "f") == doubles(5) | constant(-1.0, 6, 9)


def test_a_fork_whose_grandparent_is_gone_keeps_its_parents_rows(server):
    server.add(PLACE, fork("p", "g", 3), fork("f", "p", 6, loss=-2.0))
    manifest = bring(study(server))
    assert points(manifest, "f") == constant(-1.0, 4, 6) | constant(-2.0, 7, 9)
    assert manifest.runs[1].warnings == (
        "its rows up to step 6 are those of run p",
        f"its rows up to step 3, those of run g, are missing: {ABSENT}",
    )


@pytest.mark.parametrize("op", ["RunParquetHistory", "GET"])
def test_a_fork_whose_parent_may_not_be_read_keeps_its_own_rows_and_says_so(server, op):
    server.add(PLACE, walk("p", sweep="another"), fork("f", "p", 5), fork("g", "p", 7))
    server.faults = [Fault("refuse", op, "p", times=99)]
    manifest = bring(study(server))
    assert points(manifest, "f") == constant(-1.0, 6, 9) and points(manifest, "g") == constant(-1.0, 8, 9)
    missing = "its rows up to step 5, those of run p, are missing: the server refused it (403)"
    assert manifest.runs[0].warnings == (missing,)
    assert manifest.problems[0] == Problem(f"Run f: {missing}.", run_id="f")
    assert [problem.run_id for problem in manifest.problems] == ["f", "g"]


@pytest.mark.parametrize("kind", ["status", "silence"])
@pytest.mark.parametrize("state", ["finished", "running"])
def test_a_fork_whose_parent_fails_today_has_its_own_rows_until_the_next_fetch(server, kind, state, monkeypatch):
    monkeypatch.setattr(http, "PAUSES", (0.1, 0.1))
    server.add(PLACE, walk("p", sweep="another"), fork("f", "p", 5, state=state))
    server.faults = [Fault(kind, "GET", "p", times=99)]
    for _ in range(2):
        manifest = bring(study(server), deadline=2.0)
        (problem,) = manifest.problems
        assert problem.run_id == "f" and "those of run p, are missing" in problem.message
        assert points(manifest, "f") == constant(-1.0, 6, 9)
    server.faults = []
    manifest = bring(study(server))
    assert manifest.whole and points(manifest, "f") == doubles(5) | constant(-1.0, 6, 9)


def test_where_the_parents_cannot_be_listed_only_their_forks_suffer(server, monkeypatch):
    server.add(PLACE, walk("a"), fork("b", "a", 5), fork("f", "p", 5))
    plan = server.fault

    def fault(op, run):
        return Fault("status", status=400) if (op, server.count("Runs")) == ("Runs", 1) else plan(op, run)

    monkeypatch.setattr(server, "fault", fault)
    manifest = bring(study(server))
    (problem,) = manifest.problems
    assert problem.run_id == "f" and "the server answered 400" in problem.message
    assert points(manifest, "b") == doubles(5) | constant(-1.0, 6, 9)
    assert points(manifest, "f") == constant(-1.0, 6, 9)


def test_a_stored_fork_does_not_lose_its_parents_rows(server):
    server.add(PLACE, walk("p", sweep="another"), fork("f", "p", 5))
    bring(study(server))
    del server.projects[PLACE]["p"]
    manifest = bring(study(server), refresh=True)
    assert points(manifest, "f") == doubles(5) | constant(-1.0, 6, 9)
    (problem,) = manifest.problems
    assert problem.run_id == "f" and ABSENT in problem.message
    assert bring(study(server)).whole


def test_a_fetch_that_is_stopped_while_a_parent_is_silent_ends(server):
    server.add(PLACE, walk("a"), walk("p", sweep="another"), fork("f", "p", 5), fork("g", "p", 5))
    server.faults = [Fault("silence", "GET", "p", times=99)]
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    manifest = bring(study(server), cancelled=stop.is_set)
    assert {problem.run_id for problem in manifest.problems} == {"f", "g"}
    assert points(manifest, "a") == doubles(9)


# ---- a second fetch ----------------------------------------------------------------------------------------------


def test_a_fork_is_read_again_when_its_ended_parent_has_changed(server):
    server.add(PLACE, walk("p"), fork("f", "p", 5))
    bring(study(server))
    server.projects[PLACE]["p"].replace(rows(0, 9, loss=7.0), heartbeat="later")
    assert points(bring(study(server)), "f") == constant(7.0, 0, 5) | constant(-1.0, 6, 9)


def test_a_fork_is_not_read_again_because_its_parent_goes_on(server):
    parent = walk("p", state="running")
    server.add(PLACE, parent, fork("f", "p", 5))
    bring(study(server))
    parent.live += rows(10, 19)
    server.forget()
    manifest = bring(study(server))
    assert points(manifest, "p") == doubles(19) and points(manifest, "f") == doubles(5) | constant(-1.0, 6, 9)
    assert reads_of(server, "f") == 0


@pytest.mark.parametrize("sweep", ["s1", "another"])
def test_of_a_running_fork_only_its_own_new_rows_come(server, sweep):
    logged = [*rows(0, 2), {"_step": 3, "loss": "text"}, *rows(4, 9)]
    child = fork("f", "p", 5, last=99, live=rows(100, 109), state="running")
    server.add(PLACE, walk("p", logged, sweep=sweep), child)
    bring(study(server))
    child.live += rows(110, 119)
    server.forget()
    expected = doubles(5) | constant(-1.0, 6, 99) | {step: 2.0 * step for step in range(100, 130)}
    del expected[3]
    grown = bring(study(server))
    assert points(grown, "f") == {step: value for step, value in expected.items() if step < 120}
    assert reads_of(server, "p") == 0 and server.asked["HistoryPage"][-1]["minStep"] == 109
    # Then the live rows are exported, as a second part, and the run ends.
    child.parts.append(pl.DataFrame(child.live + rows(120, 129)))
    child.live, child.state = [], "finished"
    for refresh in (False, True):
        manifest = bring(study(server), refresh=refresh)
        assert points(manifest, "f") == expected
        assert manifest.runs[-1].drops == (Drop("loss", "not a number", 1),)
        assert manifest.runs[-1].warnings == ("its rows up to step 5 are those of run p",)
    server.forget()
    bring(study(server))
    assert server.counters() == {"Runs": 1}


@pytest.mark.parametrize("sweep", ["s1", "another"])
def test_a_metric_more_comes_from_the_parent_too(server, sweep):
    parent = walk("p", rows(0, 9, extra=lambda step: step / 7), sweep=sweep)
    server.add(PLACE, parent, *(walk(f, rows(6, 9, extra=-1.0), branch_point=("p", 5)) for f in ("f", "g")))
    bring(study(server))
    server.forget()
    manifest = bring(study(server, ("loss", "extra")))
    for run in ("f", "g"):
        assert points(manifest, run, "extra") == {step: step / 7 for step in range(6)} | constant(-1.0, 6, 9)
        assert points(manifest, run) == doubles(9)
    assert manifest.runs[-1].warnings == ("its rows up to step 5 are those of run p",)
    assert (reads_of(server, "p"), reads_of(server, "f"), reads_of(server, "g")) == (1, 1, 1)
    anew = bring(study(server, ("loss", "extra")), refresh=True)
    order = ["run_id", "metric", "step"]
    assert anew.history().lazy().sort(order).collect().equals(manifest.history().lazy().sort(order).collect())


def test_a_metric_more_of_a_fork_whose_parent_is_gone_is_its_own(server):
    server.add(PLACE, walk("f", rows(6, 9, extra=1.0), branch_point=("p", 5)))
    bring(study(server))
    manifest = bring(study(server, ("loss", "extra")))
    assert points(manifest, "f", "extra") == constant(1.0, 6, 9)
    assert manifest.runs[0].warnings == (f"its rows up to step 5, those of run p, are missing: {ABSENT}",)


def test_a_fork_stored_by_an_earlier_version_is_read_again(server):
    server.add(PLACE, walk("p"), fork("f", "p", 5))
    before = bring(study(server))
    history = before.history(before.runs[1:]).lazy().filter(pl.col("step") > 5).collect()
    write_run(Path(before.folder), replace(before.runs[1], branch_point=None, warnings=()), points_of(history))
    assert points(bring(study(server)), "f") == doubles(5) | constant(-1.0, 6, 9)
