"""Fetching from the page: stop it, retry what failed, follow runs that are still going on."""

import polars as pl
import pytest

from lib.app.session import fetching as session_fetching
from lib.app.widgets import fetching
from tests.support.app_kit import (  # noqa: F401 - a fixture
    PROJECT,
    fetched,
    fine,
    server_state,
    until,
    view_of,
    visit,
)
from tests.support.wandb_server import Fault

pytestmark = pytest.mark.server

RUN = "nqfufp3t-1"


def test_a_fetch_can_be_stopped_and_what_came_stays(cloud):
    cloud.faults.append(Fault("silence", op="RunParquetHistory", run=RUN))
    at = visit("overview", study="detach_encoder")
    fine(at.button(key="first_fetch").click().run())
    until(at, lambda at: any(e.proto.text.startswith("5 of 6 runs") for e in at.get("progress")))
    fine(at.button(key="stop_fetch").click().run())
    fetched(at)
    assert [e.value for e in at.error] == []
    assert f"Run {RUN} was not brought up to date (the fetch was stopped)" in at.warning[0].value
    badges = [e.value for e in at.sidebar.markdown]
    assert any("6 runs" in text for text in badges)
    assert any("partial" in text for text in badges)


def test_a_run_that_failed_is_retried_alone(cloud):
    cloud.faults += [Fault("refuse", op="GET", run=RUN, times=50)]
    at = visit("overview", study="detach_encoder")
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    assert f"Run {RUN} was not brought up to date" in at.warning[0].value
    assert at.button(key="retry").label == "Retry 1 run"
    cloud.faults.clear()
    before = cloud.count("RunParquetHistory")
    fine(at.button(key="retry").click().run())
    fetched(at)
    assert cloud.count("RunParquetHistory") == before + 1
    assert [e.value for e in at.warning] == []


def test_running_runs_are_followed_without_losing_the_view(cloud, monkeypatch):
    run = cloud.projects[PROJECT][RUN]
    run.state = "running"
    at = visit("runs", study="detach_encoder", spread="min-max")
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    last = at.dataframe[0].value.set_index("run_id")["last_step"]
    assert last[RUN] == 100_001
    run.live.append({"_step": 100_500, "_timestamp": 1_800_000_000.0, "train/consistency_loss": 0.5})
    run.heartbeat = "2026-01-01T00:00:00Z"
    monkeypatch.setattr(fetching, "LIVE_EVERY", 0)
    fine(at.toggle(key="live").set_value(True).run())
    until(at, lambda at: at.dataframe[0].value.set_index("run_id")["last_step"][RUN] == 100_500)
    assert view_of(at).spread == "minmax"
    assert [e.value for e in at.error] == []


@pytest.mark.parametrize("error", [RuntimeError("/srv/secret\nx"), pl.exceptions.PanicException("panic")])
def test_a_fetch_that_fails_in_any_way_is_said_and_not_tried_again_by_itself(cloud, monkeypatch, error):
    calls = []

    def fetch(*_):
        calls.append(1)
        raise error

    monkeypatch.setattr(session_fetching, "fetch", fetch)
    at = visit("overview", study="detach_encoder")
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    fine(at.run())
    name = type(error).__name__
    assert [e.value for e in at.error] == [
        f"The fetch ended with an error of this program ({name}); its log says more."
    ]
    assert len(calls) == 1
