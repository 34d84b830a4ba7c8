"""What is added to a study and comes back with it: runs left out, baselines, bundles, views."""

from dataclasses import replace

import pytest

from lib.app.session import studies
from lib.runs import (
    SavedStudy,
    delete_saved,
    folder_of,
    read_saved,
    study_folders,
)
from lib.sources import fetch, write_bundle
from lib.study import Baseline, to_toml
from tests.support.app_kit import (  # noqa: F401 - a fixture
    ROOT,
    charts,
    fine,
    go,
    open_popover,
    opened_study,
    plain,
    server_state,
    view_of,
    visit,
    visitor,
)
from tests.support.studies_kit import (
    DEMO,
    add_baseline,
    chosen,
    click,
    left_out,
    mine,
    open_text,
    save_view,
    with_panel,
)

pytestmark = pytest.mark.slow


def test_runs_left_out_by_hand_come_back_with_their_study(monkeypatch):
    open_text(to_toml(mine()))
    at = visit("overview", study="demo")
    run = at.sidebar.multiselect(key="out").options[0]
    fine(at.sidebar.multiselect(key="out").set_value([run]).run())
    fine(at.sidebar.selectbox(key="study").select("mine").run())
    assert left_out(at) == []
    fine(at.sidebar.selectbox(key="study").select("demo").run())
    assert (left_out(at), view_of(at).left_out) == ([run], (run,))
    visitor(monkeypatch, "next")
    at = visit("overview")
    assert (left_out(at), view_of(at).left_out, at.query_params["out"]) == ([run], (run,), run)
    fine(at.sidebar.multiselect(key="out").set_value([]).run())
    visitor(monkeypatch, "last")
    assert left_out(visit("overview")) == []


def test_runs_that_a_link_leaves_out_are_not_kept(monkeypatch):
    run = visit("overview").sidebar.multiselect(key="out").options[0]
    visitor(monkeypatch, "reader")
    assert left_out(visit("overview", out=run)) == [run]
    visitor(monkeypatch, "next")
    assert left_out(visit("overview")) == []


def test_a_baseline_stays_with_a_shipped_study(monkeypatch):
    add_baseline(visit("rewards"))
    visitor(monkeypatch, "next")
    at = visit("rewards")
    assert "baselines" in charts(at)[0].layers
    click(at, "Remove what was added")
    visitor(monkeypatch, "last")
    assert "baselines" not in charts(visit("rewards"))[0].layers


def test_a_baseline_is_kept_beside_those_of_other_names_or_tasks_and_in_place_of_its_own():
    one, other = DEMO.tasks[:2]
    kept = SavedStudy("demo")
    for task, path, label in ((one, "1.csv", "A"), (one, "2.csv", "B"), (other, "3.csv", "A"), (one, "4.csv", "A")):
        kept = studies._with_baseline(kept, task, Baseline(path, label))
    assert [(key, b.path) for key, b in kept.baselines] == [
        (one.key, "2.csv"),
        (other.key, "3.csv"),
        (one.key, "4.csv"),
    ]


def test_an_uploaded_bundle_lies_with_its_study(monkeypatch, tmp_path):
    write_bundle(replace(DEMO, name="bundled"), fetch(DEMO), tmp_path / "b.zip")
    at = visit("new_study")
    upload = at.file_uploader(key="study_upload")
    fine(upload.upload("b.zip", (tmp_path / "b.zip").read_bytes(), "application/zip").run())
    click(at, "Open the file")
    assert chosen(at) == "bundled"
    visitor(monkeypatch, "next")
    at = visit("losses", study="bundled")
    assert charts(at)
    assert opened_study(at).source_path.parent == folder_of("bundled")


def test_a_view_with_a_name_is_saved_chosen_and_deleted(monkeypatch):
    at = visit("overview", aggregate="median", arms="control", seeds="true")
    view = view_of(at)
    save_view(at, "paper figure 2")
    visitor(monkeypatch, "next")
    at = with_panel(visit("losses"), "views")
    assert view_of(at) != view
    click(at, "paper figure 2")
    assert view_of(at) == view
    click(at, ":small[Delete]")
    assert not any(b.label == "paper figure 2" for b in at.button)
    assert read_saved(folder_of("demo"))[0].views == {}


def test_a_view_of_a_study_that_another_page_deleted_is_not_saved():
    at = with_panel(go(open_text(to_toml(mine())), "losses"), "views")
    at.text_input(key="view_name").input("paper figure 2")
    delete_saved("mine")
    click(at, "Save view")
    assert [toast.value for toast in at.toast] == ["There is no saved study named 'mine': it was renamed or deleted."]
    assert study_folders() == []
