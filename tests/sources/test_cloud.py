"""The W&B source against the loopback server: what is listed, fetched and kept."""

import math

import polars as pl
import pytest

from lib.runs import Drop
from lib.sources import Progress, Request, Unreachable, stored
from tests.support.cloud_kit import PLACE, bring, points, rows, study, walk
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.server


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


def history_requests(server: WandbServer) -> int:
    return server.count("RunParquetHistory", "HistoryPage", "GET", "HEAD")


def test_a_sweep_comes_whole_with_config_keys_and_page(server):
    server.add(PLACE, walk("a"), walk("b", rows(5, 7), state="crashed", group="g"))
    messages: list[Progress] = []
    manifest = bring(study(server), progress=messages.append)
    assert manifest.problems == ()
    assert points(manifest, "a") == {step: 2.0 * step for step in range(10)}
    assert points(manifest, "b") == {5: 10.0, 6: 12.0, 7: 14.0}
    run = manifest.runs[1]
    assert (run.id, run.state, run.sweep_id, run.group, run.tasks) == ("b", "crashed", "s1", "g", ("walk",))
    assert run.config == {"task": "walk", "seed": 1}
    assert run.url == f"{server.url}/team/walks/runs/b"
    assert run.keys == ("_step", "_timestamp", "loss") and run.fetched == ("loss",)
    assert (run.first_step, run.last_step, run.rows) == (5, 7, {"loss": 3})
    assert manifest.source == {"kind": "wandb", "entity": "team", "project": "walks", "server": server.url}
    assert messages[-1].done == messages[-1].total == 2


def test_a_first_fetch_keeps_to_its_requests(server):
    server.add(PLACE, *(walk(f"r{i:03}") for i in range(250)))
    manifest = bring(study(server))
    assert len(manifest.runs) == 250 and manifest.whole
    assert server.count("Runs") == 2
    assert server.count() <= 3 + 250 / 200 + 4 * 250


def test_live_rows_join_the_exported_ones_once(server):
    live = [
        *rows(9, 14),
        {"_step": 15, "_timestamp": 1e9 + 15, "loss": "NaN"},
        {"_step": 16, "loss": {"_type": "image"}},
    ]
    server.add(PLACE, walk("a", live=live, state="running"))
    manifest = bring(study(server))
    frame = points(manifest, "a")
    assert math.isnan(frame.pop(15))
    assert frame == {step: 2.0 * step for step in range(15)}
    assert manifest.runs[0].drops == (Drop("loss", "not a number", 1),)


def test_a_page_that_comes_short_is_asked_for_again_in_halves(server):
    server.page_cap = 7
    server.add(PLACE, walk("a", [], live=rows(0, 99), state="running"))
    assert points(bring(study(server)), "a") == {step: 2.0 * step for step in range(100)}


def test_parts_differ_in_columns_types_and_order(server):
    first = pl.DataFrame(rows(0, 4))
    second = pl.DataFrame(
        {"_step": [5, 6, 7], "_timestamp": [1, 2, 3], "loss": ["NaN", "Infinity", "-Infinity"], "x": [1, 2, 3]}
    )
    third = pl.DataFrame({"_step": [8], "_timestamp": [1e9], "loss": [7]})
    other = pl.DataFrame({"_step": [9], "_timestamp": [1e9], "y": ["text"]})
    run = walk("a", [])
    run.parts = [third, other, second, first]
    server.add(PLACE, run)
    manifest = bring(study(server))
    frame = points(manifest, "a")
    assert math.isnan(frame.pop(5))
    assert frame == {0: 0, 1: 2, 2: 4, 3: 6, 4: 8, 6: math.inf, 7: -math.inf, 8: 7}
    assert manifest.runs[0].last_step == 9


def test_only_the_named_columns_of_a_wide_export_cross_the_wire(server):
    n = 4000
    frame = {"_step": range(n), "_timestamp": [1e9 + i * 0.1 for i in range(n)]}
    frame |= {f"k{c:03}": [math.sin(i * (c + 1)) for i in range(n)] for c in range(148)}
    run = walk("a", [])
    run.parts = [pl.DataFrame(frame)]
    server.add(PLACE, run)
    named = ("k003", "k040", "k077", "k101", "k146")
    manifest = bring(study(server, named))
    assert manifest.runs[0].rows == dict.fromkeys(named, n)
    assert server.sent("GET") < 0.12 * len(run.files()[0])


def test_a_server_without_ranges_serves_all_the_same_and_the_run_says_so(server):
    server.ranges = False
    server.add(PLACE, walk("a"))
    manifest = bring(study(server))
    assert points(manifest, "a") == {step: 2.0 * step for step in range(10)}
    assert "downloaded whole" in manifest.runs[0].warnings[0]


# ---- which runs --------------------------------------------------------------------------------------------------


def test_tasks_share_a_sweep_and_a_task_has_several(server):
    server.add(PLACE, walk("a"), walk("b", config={"task": "run"}), walk("c", sweep="s2"), walk("d", sweep="s3"))
    server.add(PLACE, walk("e", config={"task": "swim"}))
    tasks = """
[[tasks]]
name = "walk"
sweep_id = ["s1", "s2"]
control_sweep_id = "s3"
total_steps = 1000
[[tasks]]
name = "run"
sweep_id = "s1"
total_steps = 1000
"""
    manifest = bring(study(server, tasks=tasks))
    assert {run.id: run.tasks for run in manifest.runs} == {
        "a": ("walk",),
        "b": ("run",),
        "c": ("walk",),
        "d": ("walk",),
    }
    assert server.count("Runs") == 3


def test_runs_are_chosen_by_group_by_filter_or_by_name(server):
    server.add(PLACE, walk("a", sweep=None, group="g", state="killed"), walk("b", sweep=None, state="failed"))
    server.add(PLACE, walk("c", sweep=None, config={"task": "run", "lr": 0.1}))
    server.add(
        PLACE, walk("d", sweep=None, config={"task": "run", "lr": 0.2}), walk("e", sweep=None, config={"task": "swim"})
    )
    tasks = """
[[tasks]]
name = "walk"
group = "g"
total_steps = 1000
[[tasks]]
name = "run"
total_steps = 1000
runs_filter = { "$or" = [{ "config.lr" = { "$gt" = 0.15 } }, { state = "crashed" }] }
[[tasks]]
name = "swim"
total_steps = 1000
"""
    manifest = bring(study(server, tasks=tasks))
    assert {run.id: run.tasks for run in manifest.runs} == {"a": ("walk",), "d": ("run",), "e": ("swim",)}


def test_runs_of_any_state_come(server):
    states = ("running", "finished", "crashed", "failed", "killed", "preempting", "preempted", "pending")
    server.add(PLACE, *(walk(state, state=state) for state in states))
    manifest = bring(study(server))
    assert [run.state for run in manifest.runs] == list(states) and manifest.whole


def test_each_metric_has_the_first_step_key_that_its_rows_hold(server):
    logged = rows(0, 3, env_step=lambda step: step * 10)
    logged += [{"_step": 4, "_timestamp": 1e9, "slow": 1.0}, {"_step": 5, "_timestamp": 1e9, "slow": 2.0}]
    server.add(PLACE, walk("a", logged))
    heading = 'step_key = ["env_step", "_step"]'
    manifest = bring(study(server, ("loss", "slow"), heading=heading))
    assert points(manifest, "a") == {0: 0.0, 10: 2.0, 20: 4.0, 30: 6.0}
    assert points(manifest, "a", "slow") == {4: 1.0, 5: 2.0}
    server.forget()
    other = bring(study(server, ("loss", "slow"), heading="step_key = '_step'"))
    assert points(other, "a") == {0: 0.0, 1: 2.0, 2: 4.0, 3: 6.0}
    assert points(manifest, "a") == {0: 0.0, 10: 2.0, 20: 4.0, 30: 6.0}


# ---- a second fetch ----------------------------------------------------------------------------------------------


def test_a_finished_run_that_has_not_changed_costs_no_request(server):
    server.add(PLACE, walk("a"), walk("b", state="crashed"))
    first = bring(study(server))
    server.forget()
    second = bring(study(server))
    assert server.counters() == {"Runs": 1}
    assert second.history().lazy().collect().equals(first.history().lazy().collect())


def test_of_a_running_run_only_the_new_rows_come(server):
    run = walk("a", rows(0, 99), live=rows(100, 109), state="running")
    server.add(PLACE, run)
    bring(study(server))
    run.live += rows(110, 119)
    server.forget()
    manifest = bring(study(server))
    assert points(manifest, "a") == {step: 2.0 * step for step in range(120)}
    assert manifest.runs[0].drops == ()
    pages = [hit for hit in server.hits if hit.op == "HistoryPage"]
    assert len(pages) == 1 and server.asked["HistoryPage"][-1]["minStep"] == 109
    # Then the live rows are exported, as a second part, and the run ends.
    run.parts.append(pl.DataFrame(run.live + rows(120, 129)))
    run.live, run.state = [], "finished"
    manifest = bring(study(server))
    assert points(manifest, "a") == {step: 2.0 * step for step in range(130)}
    assert manifest.runs[0].drops == () and manifest.runs[0].state == "finished"
    server.forget()
    bring(study(server))
    assert history_requests(server) == 0


def test_a_refresh_equals_a_fetch_anew(server):
    run = walk("a", rows(0, 9), live=[{"_step": 10, "loss": "text"}, *rows(11, 12)], state="running")
    server.add(PLACE, run)
    bring(study(server))
    run.live += [
        {"_step": 12, "_timestamp": 2e9, "loss": 1.0},
        {"_step": 13, "loss": "text"},
        {"_step": 14, "other": 1},
    ]
    grown, anew = bring(study(server)), None
    grown_points, grown_run = grown.history().lazy().collect(), grown.runs[0]
    anew = bring(study(server), refresh=True)
    assert anew.history().lazy().collect().equals(grown_points)
    assert anew.runs[0].drops == grown_run.drops and anew.runs[0].rows == grown_run.rows


def test_a_run_that_was_rewound_is_fetched_anew(server):
    run = walk("a", rows(0, 9), live=rows(10, 19), state="running")
    server.add(PLACE, run)
    bring(study(server))
    run.live = [row | {"loss": -1.0} for row in rows(5, 30)]
    frame = points(bring(study(server)), "a")
    assert frame[30] == -1.0 and frame[4] == 8.0 and len(frame) == 31


def test_a_metric_more_is_fetched_alone(server):
    logged = [
        *rows(0, 2999, extra=lambda step: step / 7, wide=lambda step: math.sin(step)),
        {"_step": 3000, "late": 1.0},
    ]
    server.add(PLACE, walk("a", logged))
    first = bring(study(server))
    assert first.runs[0].rows == {"loss": 3000}
    server.forget()
    second = bring(study(server, ("loss", "extra", "late")))
    assert server.count("RunParquetHistory") == 1
    assert points(second, "a", "extra") == {step: step / 7 for step in range(3000)}
    assert second.runs[0].rows == {"loss": 3000, "extra": 3000, "late": 1}
    anew = bring(study(server, ("loss", "extra", "late")), refresh=True)
    order = ["metric", "step"]
    assert anew.history().lazy().sort(order).collect().equals(second.history().lazy().sort(order).collect())
    server.forget()
    again = bring(study(server))
    assert history_requests(server) == 0
    assert points(again, "a") == {step: 2.0 * step for step in range(3000)}


def test_only_the_runs_asked_for_are_tried(server):
    server.add(PLACE, walk("a"), walk("b"))
    bring(study(server))
    server.forget()
    manifest = bring(study(server), refresh=True, only=("b",))
    assert server.count("RunParquetHistory") == 1 and manifest.whole
    assert points(manifest, "a") == {step: 2.0 * step for step in range(10)}


# ---- what is stored ----------------------------------------------------------------------------------------------


def test_what_is_stored_opens_without_the_server():
    with WandbServer() as server:
        server.add(PLACE, walk("a"), walk("b"))
        example = study(server)
        brought = bring(example)
    with pytest.raises(Unreachable, match="cannot be reached"):
        bring(example)
    manifest = stored(example, Request(key=KEY))
    assert manifest == brought
    assert stored(example, Request()) is None
    assert stored(study(example.source.base_url, name="another"), Request(key=KEY)) is None
