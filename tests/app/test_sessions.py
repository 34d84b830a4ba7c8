"""Two sessions: what is computed of the shipped bundle serves both, and nothing of one visitor's reaches the other."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.caching.cache_resource_api import get_resource_cache_stats_provider
from streamlit.testing.v1 import AppTest

from lib.app.session import access, cached_results
from lib.sources import bundled_study, fetch, write_bundle
from lib.study import Baseline, Study, load_study, to_toml, with_edits
from tests.support.app_kit import PROJECT, charts, fill, fine, go, plain, server_state, visit, visitor  # noqa: F401 - a fixture
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.slow


def shared() -> set[tuple[str, str]]:
    """The results in the caches for all sessions: the functions and the keys they are known by."""
    caches = get_resource_cache_stats_provider()._function_caches.get(None, {}).values()
    entries = {(cache.display_name, key) for cache in caches for key in cache._mem_cache}
    return {(name, key) for name, key in entries if not name.endswith("_shipped_study")}


def page_numbers(at: AppTest) -> list[str]:
    """The numbers of every chart on the page."""
    return [str(chart.rows("line").rows()) for chart in charts(at) if "line" in chart.layers]


@pytest.fixture(scope="module", autouse=True)
def empty_caches() -> None:
    """No test of another file has left a result in the caches for all sessions."""
    st.cache_resource.clear()


@pytest.fixture
def demo(monkeypatch) -> list[str]:
    """The Overview of the demo, as the first visitor of the server saw it."""
    visitor(monkeypatch, "first")
    at = visit("overview")
    for page in ("rewards", "runs", "study"):
        go(at, page)
    return page_numbers(go(at, "overview"))


def calls(monkeypatch, name: str) -> list[str]:
    """The calls, from here on, of a function that cached results are made with."""
    calls = []
    function = getattr(cached_results, name)

    def counted(*args, **options):
        calls.append(name)
        return function(*args, **options)

    monkeypatch.setattr(cached_results, name, counted)
    return calls


def test_the_demo_is_computed_once_for_all_sessions(demo, monkeypatch):
    call_lists = [calls(monkeypatch, name) for name in ("analyse", "task_groups", "aggregate", "runs_table")]
    entries = shared()
    visitor(monkeypatch, "second")
    assert page_numbers(visit("overview")) == demo
    visit("runs")
    assert call_lists == [[], [], [], []]
    assert shared() == entries
    assert len(entries) > 10


@pytest.fixture
def hosted(monkeypatch) -> None:
    """The deployment says that strangers use it."""
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)


def changed_copy(folder: Path) -> Study:
    study = load_study("demo")
    return replace(
        with_edits(study, title=study.title, hypothesis="", metrics=study.metrics[:1], tasks=study.tasks),
        name="demo-own",
    )


def renamed(folder: Path) -> Study:
    """A study of the shipped one's files, by the name that its copy gets."""
    study = load_study("demo")
    return replace(
        with_edits(study, title="Another", hypothesis="", metrics=study.metrics[2:], tasks=study.tasks[:1]),
        name="demo-own",
    )


def bundle(folder: Path) -> Study:
    demo = load_study("demo")
    study = replace(demo, tasks=demo.tasks[:1])
    write_bundle(study, fetch(study), folder / "own.zip")
    return replace(bundled_study(folder / "own.zip"), name="own")


def with_baseline(folder: Path) -> Study:
    study = load_study("demo")
    (folder / "b.csv").write_text("step,reward,seed\n0,1,1\n100000,700,1\n")
    task = replace(study.tasks[0], baselines=(Baseline(str(folder / "b.csv"), "mine"),))
    return replace(study, name="demo-own", tasks=(task,))


@pytest.mark.parametrize("own", [changed_copy, renamed, bundle, with_baseline])
def test_a_study_opened_in_one_session_leaves_nothing_to_the_other(own, demo, monkeypatch, tmp_path):
    entries = shared()
    visitor(monkeypatch, "second")
    at = visit("overview", own=own(tmp_path))
    assert [e.value for e in at.error] == []
    assert charts(at)
    go(at, "runs")
    assert shared() == entries
    visitor(monkeypatch, "third")
    assert page_numbers(visit("overview")) == demo


def test_an_upload_is_seen_in_its_session_alone(demo, hosted, monkeypatch, tmp_path):
    bundle(tmp_path)
    entries = shared()
    visitor(monkeypatch, "second")
    at = visit("new_study")
    fine(
        at.file_uploader(key="study_upload")
        .upload("own.zip", (tmp_path / "own.zip").read_bytes(), "application/zip")
        .run()
    )
    fine(next(button for button in at.button if button.label == "Open the file").click().run())
    assert at.sidebar.selectbox(key="study").value == "demo-own"
    assert page_numbers(go(at, "overview")) == demo[:1]
    assert shared() == entries
    visitor(monkeypatch, "third")
    assert "demo-own" not in visit("overview").sidebar.selectbox(key="study").options


def test_an_added_baseline_is_seen_in_its_session_alone(demo, hosted, monkeypatch):
    entries = shared()
    visitor(monkeypatch, "second")
    at = visit("rewards")
    content = b"step,reward,seed\n0,1,1\n50000,500,1\n100000,700,1\n"
    fine(at.file_uploader(key="baseline_upload").upload("mine.csv", content, "text/csv").run())
    fine(at.button(key="baseline_add").click().run())
    assert "baselines" in charts(at)[0].layers
    go(at, "overview")
    assert shared() == entries
    visitor(monkeypatch, "third")
    assert not any("baselines" in chart.layers for chart in charts(visit("rewards")))
    assert page_numbers(visit("overview")) == demo


def test_runs_left_out_in_one_session_count_in_the_other(demo, hosted, monkeypatch):
    visitor(monkeypatch, "second")
    at = visit("overview")
    ids = at.sidebar.multiselect(key="out").options
    fine(at.sidebar.multiselect(key="out").set_value(ids[:1]).run())
    assert page_numbers(at) != demo
    visitor(monkeypatch, "third")
    at = visit("overview")
    assert at.sidebar.multiselect(key="out").value == []
    assert page_numbers(at) == demo


@pytest.mark.server
def test_runs_that_a_key_fetched_stay_in_its_session(demo, monkeypatch):
    entries = shared()
    with WandbServer() as server:
        fill(server)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        visitor(monkeypatch, "second")
        at = visit("study", study="detach_encoder")
        at.text_input[0].set_value(KEY)
        fine(at.form_submit_button[0].click().run())
        fine(at.button(key="first_fetch").click().run())
        while at.get("progress"):
            fine(at.run())
        assert len(charts(go(at, "overview"))) == 2
        go(at, "runs")
        assert shared() == entries
        visitor(monkeypatch, "third")
        at = visit("overview", study="detach_encoder")
        assert charts(at) == []
        assert plain(at.info[0].value) == f"Enter a key for {server.url} to see **{PROJECT}**."


def runs_script():
    """Write how many runs of how many tasks the study called demo has."""
    import streamlit as st

    from lib.app.session.fetching import fetch_result
    from lib.app.session.studies import study_named

    manifest = fetch_result(study_named("demo")).manifest
    st.write(f"{len(manifest.runs)} runs, {len({task for run in manifest.runs for task in run.tasks})} tasks")


def runs_of_demo(monkeypatch, name: str) -> str:
    visitor(monkeypatch, name)
    return fine(AppTest.from_function(runs_script, default_timeout=30).run()).markdown[0].value


@pytest.fixture
def studies(monkeypatch, tmp_path) -> Path:
    """A folder of shipped studies that holds the demo."""
    study = load_study("demo")
    text = to_toml(replace(study, source=replace(study.source, path=str(study.source_path))))
    (tmp_path / "demo.toml").write_text(text)
    for module in ("lib.study.toml", "lib.app.session.access", "lib.app.session.fetching"):
        monkeypatch.setattr(sys.modules[module], "STUDIES", tmp_path)
    return tmp_path


def test_a_shipped_study_that_changes_is_read_anew(studies, monkeypatch):
    assert runs_of_demo(monkeypatch, "first") == "32 runs, 3 tasks"
    study = load_study("demo")
    (studies / "demo.toml").write_text(to_toml(replace(study, tasks=study.tasks[:1])))
    assert runs_of_demo(monkeypatch, "second") == "12 runs, 1 tasks"


def test_a_file_that_could_not_be_read_once_is_not_left_out_for_all(studies, monkeypatch):
    opens = Path.open

    def fails_on_one_run(path: Path, *options, **more):
        if path.name == "acro0001-s1-control.parquet":
            raise OSError(5, "Input/output error")
        return opens(path, *options, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", fails_on_one_run)
        assert runs_of_demo(monkeypatch, "first") == "31 runs, 3 tasks"
    assert runs_of_demo(monkeypatch, "second") == "32 runs, 3 tasks"
