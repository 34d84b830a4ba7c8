"""Runs of a server that went back: resumed from a checkpoint, rewound with or without a trace; and beside other sources."""

import itertools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.runs import Drop, Manifest, Points
from lib.runs import write_run as write_stored
from lib.sources import Request, bundled_study, fetch, write_bundle
from lib.study import Study, parse_study
from tests.support.cloud_kit import PLACE, bring, points, rows, study, walk
from tests.support.wandb_files import exit_message, row_message, run_message, write_run
from tests.support.wandb_server import FakeRun, WandbServer

pytestmark = pytest.mark.server

GLOBAL = 'step_key = "global_step"'
#: A run of its own for each example: what is stored of another one may have its stamp.
NAMES = itertools.count()


@pytest.fixture(scope="module")
def running_server():
    with WandbServer() as started:
        yield started


@pytest.fixture
def server(running_server):
    running_server.projects, running_server.sweeps, running_server.asked = {}, {}, {}
    running_server.forget()
    return running_server


def job(first: int, last: int, loss: float, clock: float = 0.0, wandb_step: int | None = None) -> list[dict[str, Any]]:
    """What a job of a run logs, a row per step; `_step` counts on from `wandb_step`, or is the step."""
    return [
        {
            "_step": step if wandb_step is None else wandb_step + step - first,
            "_timestamp": 1e9 + clock + step,
            "global_step": step,
            "loss": loss,
        }
        for step in range(first, last + 1)
    ]


def constant(loss: float, first: int, last: int) -> dict[int, float]:
    return dict.fromkeys(range(first, last + 1), loss)


# ---- rows that a restart supersedes ------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [100.0, -100.0])
@pytest.mark.parametrize("resumed_live", [True, False])
def test_a_run_resumed_from_a_checkpoint_loses_the_rows_beyond_it(server, clock, resumed_live):
    """`_step` goes on, the study's step goes back to 61, and the second job has not come as far as the first."""
    first, second = job(0, 80, 1.0), job(61, 70, 2.0, clock, wandb_step=81)
    late = {"_step": 60, "_timestamp": 1e9, "global_step": 60, "reward": 5.0}
    first.insert(60, late)
    for at, row in enumerate(first):
        row["_step"] = at
    for row in second:
        row["_step"] += 1
    more = {"live": second} if resumed_live else {"parts": [pl.DataFrame(second)]}
    server.add(PLACE, walk("a", first, **more))
    manifest = bring(study(server, ("loss", "reward"), heading=GLOBAL))
    assert points(manifest, "a") == constant(1.0, 0, 60) | constant(2.0, 61, 70)
    assert points(manifest, "a", "reward") == {60: 5.0}
    assert manifest.runs[0].drops == (Drop("loss", "superseded: the run went back to step 61", 20),)


@pytest.mark.parametrize("clock", [100.0, -100.0])
@pytest.mark.parametrize("turned", [True, False])
def test_a_run_rewound_without_a_trace_loses_the_rows_beyond_it_however_its_parts_overlap(server, clock, turned):
    first, second = job(0, 80, 1.0), job(61, 90, 2.0, clock)
    parts = [pl.DataFrame(part) for part in (first[:31], first[31:], second[:5], second[5:])]
    server.add(PLACE, walk("a", [], parts=parts[::-1] if turned else parts))
    manifest = bring(study(server))
    assert points(manifest, "a") == constant(1.0, 0, 60) | constant(2.0, 61, 90)
    assert manifest.runs[0].drops == (Drop("loss", "superseded: the run went back to step 61", 20),)


def test_a_trace_says_where_a_rewound_run_goes_on_though_its_next_row_is_later(server):
    first, second = job(0, 80, 1.0), job(65, 70, 2.0)
    server.add(PLACE, walk("a", first, live=second, branch_point=("a", 60)))
    manifest = bring(study(server))
    assert points(manifest, "a") == constant(1.0, 0, 60) | constant(2.0, 65, 70)
    assert manifest.runs[0].drops == (Drop("loss", "superseded: the run went back to step 60", 20),)
    assert manifest.runs[0].branch_point is None
    server.forget()
    assert points(bring(study(server)), "a") == points(manifest, "a")
    assert server.counters() == {"Runs": 1}


def test_a_rewound_run_of_which_the_server_holds_the_new_rows_alone_is_left_as_it_is(server):
    server.add(PLACE, walk("a", [*job(0, 60, 1.0), *job(61, 70, 2.0)], branch_point=("a", 60)))
    manifest = bring(study(server))
    assert points(manifest, "a") == constant(1.0, 0, 60) | constant(2.0, 61, 70)
    assert manifest.runs[0].drops == ()


def test_a_late_evaluation_is_no_restart(server):
    logged = [*job(0, 50, 1.0), {"_step": 51, "_timestamp": 1e9, "global_step": 20, "eval/loss": 3.0}]
    logged += [row | {"_step": row["_step"] + 1} for row in job(51, 80, 1.0)]
    server.add(PLACE, walk("a", logged))
    manifest = bring(study(server, ("loss", "eval/loss"), heading=GLOBAL))
    assert points(manifest, "a") == constant(1.0, 0, 80) and points(manifest, "a", "eval/loss") == {20: 3.0}
    assert manifest.runs[0].drops == ()


def test_rows_that_two_parts_hold_are_one(server):
    logged = rows(0, 99)
    parts = [pl.DataFrame(part) for part in (logged[:60], logged[40:])]
    server.add(PLACE, walk("a", [], parts=parts, live=logged[95:]))
    manifest = bring(study(server))
    assert points(manifest, "a") == {step: 2.0 * step for step in range(100)}
    assert manifest.runs[0].drops == ()


@pytest.mark.parametrize("first_metric", ["loss", "eval/loss"])
def test_a_metric_more_of_a_run_that_went_back_is_cut_as_the_others(server, first_metric):
    def both(logged: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | ({"eval/loss": row["loss"]} if row["global_step"] % 10 == 3 else {}) for row in logged]

    server.add(PLACE, walk("a", both([*job(0, 80, 1.0), *job(61, 70, 2.0, wandb_step=81)])))
    bring(study(server, (first_metric,), heading=GLOBAL))
    keys = ("loss", "eval/loss")
    manifest = bring(study(server, keys, heading=GLOBAL))
    assert points(manifest, "a") == constant(1.0, 0, 60) | constant(2.0, 61, 70)
    assert points(manifest, "a", "eval/loss") == {3: 1.0, 13: 1.0, 23: 1.0, 33: 1.0, 43: 1.0, 53: 1.0, 63: 2.0}
    assert {drop.metric: drop.count for drop in manifest.runs[0].drops} == {"loss": 20, "eval/loss": 2}


@st.composite
def restarted(draw: st.DrawFn, with_wandb_step: bool) -> tuple[list[list[dict[str, Any]]], dict[int, float]]:
    """The jobs of a run, each going back behind the last one's end, and what counts of them.

    Their clocks differ, but where `_step` repeats as well: nothing else tells the order of three jobs in several parts.
    """
    jobs, counts, wandb_step = [], dict[int, float](), 0
    for number in range(draw(st.integers(1, 4))):
        back = draw(st.integers(6, 20)) if counts else 0
        first = max(0, max(counts, default=-1) + 1 - back)
        logged = job(
            first, first + draw(st.integers(8, 40)), float(number),
            draw(st.integers(-500, 500)) if with_wandb_step else 1000.0 * number,
            wandb_step if with_wandb_step else None,
        )  # fmt: skip
        wandb_step += len(logged)
        jobs.append(logged)
        counts = {step: loss for step, loss in counts.items() if step < first}
        counts |= {row["global_step"]: row["loss"] for row in logged}
    return jobs, counts


WILD = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@WILD
@given(data=st.data(), with_wandb_step=st.booleans())
def test_any_cutting_of_a_restarted_run_into_parts_and_live_rows_gives_back_the_run(server, data, with_wandb_step):
    jobs, counts = data.draw(restarted(with_wandb_step))
    logged = [row for rows in jobs for row in rows]
    starts = [sum(map(len, jobs[:place])) for place in range(len(jobs))]
    # Where `_step` repeats a part is of one job, for its rows lie in the order of their steps.
    cuts = sorted(
        {0, *data.draw(st.lists(st.integers(0, len(logged)), max_size=4)), *(() if with_wandb_step else starts)}
    )
    pieces = [logged[start:end] for start, end in zip(cuts, [*cuts[1:], len(logged)], strict=True)]
    pieces = [piece for piece in pieces if piece]
    live = pieces.pop() if data.draw(st.booleans()) else []
    parts = [pl.DataFrame(piece) for piece in pieces]
    random.Random(data.draw(st.integers(0, 99))).shuffle(parts)
    server.projects = {}
    server.add(PLACE, FakeRun("a", parts=parts, live=live, config={"task": "walk"}, sweep="s1"))
    manifest = bring(study(server, heading=GLOBAL), refresh=True)
    assert points(manifest, "a") == counts


@WILD
@given(data=st.data(), with_wandb_step=st.booleans())
def test_a_restarted_run_fetched_while_it_goes_on_is_the_run_fetched_at_once(server, data, with_wandb_step):
    jobs, counts = data.draw(restarted(with_wandb_step))
    logged = [row for rows in jobs for row in rows]
    server.projects = {}
    example = study(server, heading=GLOBAL)
    exported = data.draw(st.integers(0, len(logged)))
    grown = walk(f"r{next(NAMES)}", [], state="running")
    server.add(PLACE, grown)
    for seen in sorted(data.draw(st.lists(st.integers(0, len(logged)), max_size=3))):
        grown.live = logged[:seen]
        bring(example)
    if exported:
        grown.parts = [pl.DataFrame(logged[:exported])]
    grown.live = logged[exported:]
    bring(example)
    grown.state = data.draw(st.sampled_from(["running", "finished"]))
    manifest = bring(example)
    assert points(manifest, grown.id) == counts
    anew = bring(example, refresh=True)
    assert anew.history().lazy().collect().equals(manifest.history().lazy().collect())
    assert anew.runs[0].drops == manifest.runs[0].drops


def test_a_run_that_an_earlier_version_stored_with_its_superseded_rows_is_read_again(server):
    server.add(PLACE, walk("a", [*job(0, 80, 1.0), *job(61, 70, 2.0, wandb_step=81)]))
    before = bring(study(server, heading=GLOBAL))
    run = replace(before.runs[0], drops=(Drop("loss", "repeated step", 10),))
    wrong = pl.DataFrame({"step": [0], "value": [9.0], "time": [0.0]})
    write_stored(Path(before.folder), run, [Points("loss", wrong)])
    for requests in (1, 0):
        server.forget()
        assert points(bring(study(server, heading=GLOBAL)), "a") == constant(1.0, 0, 60) | constant(2.0, 61, 70)
        assert server.count("RunParquetHistory") == requests


# ---- the same rows from every source -----------------------------------------------------------------------------

METRICS = ("loss", "reward")


def offline(folder, **more: str) -> Study:
    text = '[study]\nname = "study"\ntitle = "Walks"\n' + more.get("heading", "")
    text += f'\n[source]\nkind = "offline"\npath = "{folder}"\n'
    text += "".join(f'[[metrics]]\nkey = "{key}"\nfamily = "loss"\nexpect = "decrease"\n' for key in METRICS)
    return parse_study(text + '[[tasks]]\nname = "walk"\ntotal_steps = 1000\n')


def write_job(folder, run_id: str, logged: list[dict[str, Any]], number: int = 0, **more: Any) -> None:
    messages = [run_message(run_id, {"task": "walk"}, start=number, **more), *map(row_message, logged), exit_message()]
    write_run(folder, messages, run_id, f"20260101_00000{number}")


def history(manifest: Manifest, run_id: str = "a") -> list[tuple]:
    frame = manifest.history().lazy().collect().filter(pl.col("run_id") == run_id)
    return frame.sort("metric", "step").rows()


TEXTS = ["1", "-2.5", "1e3", "NaN", "Infinity", "-Infinity", " 7", "0x10", "word", "", "1_000", ".5", "+4", "1e400"]


def test_text_numbers_give_the_same_history_from_an_export_live_rows_and_a_file(server, tmp_path):
    logged = [{"_step": step, "_timestamp": 1e9 + step, "loss": text} for step, text in enumerate(TEXTS)]
    logged += [row | {"_step": row["_step"] + 50, "reward": "0.25"} for row in logged]
    write_job(tmp_path, "a", logged)
    expected = fetch(offline(tmp_path), Request())
    for exported in (len(logged), 0, 20):
        server.add(PLACE, walk("a", logged[:exported], live=logged[exported:]))
        manifest = bring(study(server, METRICS), refresh=True)
        assert str(history(manifest)) == str(history(expected))
        assert manifest.runs[0].drops == expected.runs[0].drops
        assert manifest.runs[0].drops[0].metric == "loss" and manifest.runs[0].rows["loss"] >= 12


def test_a_resumed_run_is_the_same_from_a_server_and_from_its_files(server, tmp_path):
    first, second = job(0, 80, 1.0), job(61, 70, 2.0, clock=-500.0, wandb_step=81)
    write_job(tmp_path, "a", first)
    write_job(tmp_path, "a", second, number=1)
    server.add(PLACE, walk("a", first, live=second))
    manifest = bring(study(server, METRICS, heading=GLOBAL))
    expected = fetch(offline(tmp_path, heading=GLOBAL), Request())
    assert history(manifest) == history(expected) and manifest.runs[0].drops == expected.runs[0].drops


def test_a_fork_of_a_fork_is_the_same_from_a_server_from_its_files_and_from_a_bundle(server, tmp_path):
    logged = {"g": job(0, 99, 1.0), "p": job(31, 99, 2.0), "a": job(61, 99, 3.0)}
    branches = {"p": ("g", 30), "a": ("p", 60)}
    for run_id, job_rows in logged.items():
        write_job(tmp_path / "runs", run_id, job_rows, branch=branches.get(run_id))
        server.add(
            PLACE, walk(run_id, job_rows, branch_point=branches.get(run_id), sweep="s1" if run_id == "a" else "old")
        )
    example = study(server, METRICS, heading=GLOBAL)
    manifest = bring(example)
    expected = fetch(offline(tmp_path / "runs", heading=GLOBAL), Request())
    assert points(manifest, "a") == constant(1.0, 0, 30) | constant(2.0, 31, 60) | constant(3.0, 61, 99)
    assert history(manifest) == history(expected)
    write_bundle(example, manifest, tmp_path / "study.zip")
    bundle = fetch(bundled_study(tmp_path / "study.zip"), Request())
    assert history(bundle) == history(manifest)
    assert bundle.runs[0].branch_point == manifest.runs[0].branch_point == expected.runs[0].branch_point
    assert bundle.runs[0].warnings == manifest.runs[0].warnings


@pytest.mark.parametrize(("is_live", "more"), [(True, 0), (True, 20), (False, 20)])
def test_a_run_that_is_begun_anew_with_the_same_id_keeps_no_row_of_the_old_one(server, is_live, more):
    def run(logged: list[dict[str, Any]], heartbeat: str) -> FakeRun:
        runs = {"live": logged} if is_live else {}
        return walk(name, [] if is_live else logged, **runs, state="running", heartbeat=heartbeat)

    name = f"n{next(NAMES)}"
    server.add(PLACE, run(job(0, 80, 1.0), "first"))
    assert points(bring(study(server)), name) == constant(1.0, 0, 80)
    server.add(PLACE, run(job(0, 80 + more, 2.0, clock=1e6), "second"))
    assert points(bring(study(server)), name) == constant(2.0, 0, 80 + more)
