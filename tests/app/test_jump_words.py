"""A study without a control arm: its changes are jumps in every text, colour and chart, and nothing is called an effect."""

import io
import json
import re
from dataclasses import replace

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from lib.curves import View
from lib.report import report_page, study_results
from lib.report.claims_json import claims_json
from lib.sources import fetch
from lib.study import Study
from tests.support.app_kit import answer_lines, forest, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import StudyParts, bundle, run

pytestmark = pytest.mark.slow

#: Names of files and of the page are no statements.
NAMES = re.compile(r"effects(_detail)?\.(csv|parquet)|detach_effect|Detach effect")
HEADLINE = "Only jumps at the detach can be tested: neither what caused them nor a gradual change can be said."
CAUSAL = re.compile(r"\w*effects?\b|\bhelped\b|\bsupported\b|\bcontradicted\b", re.IGNORECASE)


def causal_words(text: str) -> list[str]:
    return CAUSAL.findall(NAMES.sub("", text))


def page_text(at: AppTest) -> str:
    """Everything that the page's body sends to the browser, charts and tables with their rows."""
    texts = []
    for element in at.main:
        proto = getattr(element, "proto", None)
        charts = [pl.read_ipc_stream(io.BytesIO(d.data.data)).write_csv() for d in getattr(proto, "datasets", [])]
        table = [element.value.to_csv()] if element.type == "dataframe" else []
        texts += [str(proto), *charts, *table]
    return "\n".join(texts)


@pytest.fixture
def detached_only(tmp_path) -> Study:
    """Four detached runs: a reward that rises and a loss that falls at the detach, and one that falls against the wish."""
    return bundle(tmp_path, StudyParts().study(), [run(seed, 0.5, 10.0) for seed in (1, 2, 3, 4)])


@pytest.fixture
def two_tasks(tmp_path) -> Study:
    """The same in two tasks, over which jumps are pooled."""
    walk = StudyParts().task
    runs = [run(seed, 0.5, 10.0) for seed in (1, 2, 3, 4)]
    others = [replace(one, id=f"b{one.id}", config={**one.config, "task": "hop"}) for one in runs]
    study = StudyParts().study(tasks=(walk, replace(walk, name="hop")))
    return bundle(tmp_path, study, [*runs, *others])


def badges(at: AppTest) -> list[str]:
    matches = (re.match(r":\w+-badge\[.*?\]", m.value) for m in at.main.markdown)
    return [match[0] for match in matches if match]


def test_the_overview_shows_jumps(detached_only):
    at = visit("overview", own=detached_only)
    assert answer_lines(at)[:3] == [
        f"**{HEADLINE}**",
        "**Rewards** :violet-badge[jump shown] without a control arm, jumps at the detach: 10.2% up [10.0, 10.4] (4 runs).",
        "**Losses** :violet-badge[jump shown] without a control arm, jumps at the detach: 48.7% down [47.7, 49.8] (4 runs).",
    ]
    text = page_text(at)
    # The matrix is among what is searched.
    assert "walk, Eval Reward: jump shown" in text
    assert causal_words(text) == []


def test_the_claims_are_about_jumps(detached_only):
    at = visit("detach_effect", own=detached_only)
    assert badges(at) == [":violet-badge[jump shown]", ":violet-badge[jump shown]"]
    chart = forest(at)
    assert chart.rows("estimate")["verdict"].to_list() == ["jump shown", "jump shown"]
    assert chart.layers["estimate"]["encoding"]["color"]["scale"] == {"domain": ["jump shown"], "range": ["#d860fc"]}
    assert chart.alt == "2 claims: 2 jump shown."
    text = page_text(at)
    # The claims, a table's cell and a chart's row are among what is searched.
    assert all(part in text for part in ("rose at once by", "jump_pct", "walk · Eval Reward"))
    assert causal_words(text) == []


def test_the_report_shows_jumps(detached_only):
    results = study_results(detached_only, fetch(detached_only), View())
    page = report_page(results)
    assert f"<p><strong>{HEADLINE}</strong></p>" in page
    assert json.loads(claims_json(results))["headline"] == HEADLINE
    assert page.count('<td class="">jump shown</td>') == 2
    text = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    assert causal_words(text) == []


def test_with_a_control_arm_the_words_are_those_of_effects(tmp_path):
    runs = [run(seed, ratio, 10.0) for seed in (1, 2, 3, 4) for ratio in (0.5, 0.0)]
    at = visit("detach_effect", own=bundle(tmp_path, StudyParts().study(), runs))
    assert badges(at) == [":blue-badge[supported]", ":blue-badge[supported]"]
    assert "jump shown" not in page_text(at)


def test_jumps_pooled_over_tasks_are_jumps(two_tasks):
    at = visit("detach_effect", own=two_tasks)
    assert set(badges(at)) == {":violet-badge[jump shown]"}
    assert causal_words(page_text(at)) == []
    at = visit("overview", own=two_tasks)
    assert "Across tasks, Eval Reward: jump shown" in page_text(at)
    assert causal_words(page_text(at)) == []


def test_the_report_of_two_tasks_shows_jumps(two_tasks):
    page = report_page(study_results(two_tasks, fetch(two_tasks), View()))
    assert page.count('<td class="">jump shown</td>') == 6
    assert causal_words(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)) == []
