"""Runs read on the workers of the cluster that a deployment names."""

import pytest

from lib.runs import store_root
from lib.sources.cloud import history
from tests.support.app_kit import fetched, fine, server_state, unopened  # noqa: F401 - a fixture

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_the_workers_of_the_cluster_in_the_secrets_read_the_runs(cloud, dask_cluster, monkeypatch):
    def fail(*_) -> None:
        raise AssertionError("a run is read here")

    monkeypatch.setattr(history._Reader, "read", fail)
    at = unopened("overview", study="detach_encoder")
    at.secrets["cluster"] = {"scheduler": dask_cluster.address}
    fine(at.run())
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    assert [e.value for e in (*at.error, *at.warning)] == []
    assert any("6 runs" in e.value for e in at.sidebar.markdown)
    # The workers have kept the runs' bins beside them.
    assert len({path.name for path in store_root().rglob("computed/*/*")}) == 6
    monkeypatch.setattr("lib.workers._CONNECT", 0.5)
    at.secrets["cluster"] = {"scheduler": "tcp://127.0.0.1:9"}
    fine(at.switch_page("pages/study.py").run())
    fine(at.button(key="fetch_new").click().run())
    fetched(at)
    assert at.error[0].value == "The cluster's scheduler does not answer: check that it runs, and its address."
