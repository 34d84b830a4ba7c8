"""Runs that no curve shows are named above the curves, in the report and on the command line."""

from dataclasses import replace

import pytest

from lib.app.widgets.markdown import escaped
from lib.curves import View
from lib.report import report_page, study_results
from lib.sources import fetch
from lib.study import Evidence
from tests.support.app_kit import fine, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import StudyParts, bundle, run

pytestmark = pytest.mark.slow

NOT_DRAWN = "walk: 2 runs not drawn: twin (copy of run r1-0.5) and r2-0.5 (left out by declaration: sensor fault)."


@pytest.fixture
def study(tmp_path):
    """Three detached runs, of which the study leaves one out, and a copy of the first."""
    runs = [run(seed, 0.5, 10.0) for seed in (1, 2, 3)]
    evidence = Evidence(leave_out=(("r2-0.5", "sensor fault"),))
    return bundle(tmp_path, StudyParts().study(evidence=evidence), [*runs, replace(runs[0], id="twin")])


@pytest.mark.parametrize("page", ["overview", "rewards", "losses"])
def test_a_page_of_curves_names_the_runs_it_does_not_draw(study, page):
    at = visit(page, own=study)
    assert [c.value for c in at.main.caption if "not drawn" in c.value] == [escaped(NOT_DRAWN)]


def test_the_notebook_s_arithmetic_draws_copies(study):
    at = visit("rewards", own=study, exact="true")
    assert [c.value for c in at.main.caption if "not drawn" in c.value] == [
        escaped("walk: 1 run not drawn: r2-0.5 (left out by declaration: sensor fault).")
    ]


def test_a_run_left_out_by_hand_is_named_by_the_view_alone(study):
    at = visit("rewards", own=study)
    fine(at.multiselect(key="out").select("twin").run())
    assert [c.value for c in at.main.caption if "twin" in c.value] == []


def test_the_report_names_them(study):
    results = study_results(study, fetch(study), View())
    assert results.data.warnings == [NOT_DRAWN]
    assert f"<li>{NOT_DRAWN}</li>" in report_page(results)
