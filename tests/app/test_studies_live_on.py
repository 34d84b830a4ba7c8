"""Studies that live on, on one's own machine in the store."""

from dataclasses import replace

import pytest

from lib.app.session import access
from lib.runs import (
    StoreError,
    change_saved,
    folder_of,
    read_saved,
    saved_studies,
    study_folders,
)
from lib.sources import fetch, write_bundle
from lib.study import to_toml
from tests.support.app_kit import (  # noqa: F401 - a fixture
    ROOT,
    charts,
    fetched,
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
    chosen,
    click,
    errors,
    left_out,
    mine,
    open_text,
    save_view,
    with_panel,
)

pytestmark = pytest.mark.slow

#: The rule itself, which the kit of these tests stands in for.
KEEPS_STUDIES = access.keeps_studies


def test_an_opened_study_is_there_in_the_next_session(monkeypatch):
    assert chosen(open_text(to_toml(mine()))) == "mine"
    visitor(monkeypatch, "next")
    assert visit("overview").sidebar.selectbox(key="study").options == ["demo", "detach_encoder", "mine"]
    at = visit("losses", study="mine")
    assert (chosen(at), errors(at), opened_study(at).title) == ("mine", [], "Mine")
    assert charts(at)


@pytest.mark.parametrize("page", ["overview", "rewards", "runs", "study"])
def test_a_name_that_is_nobodys_is_told_and_is_not_the_demo(page):
    at = visit(page, study="nothing")
    assert chosen(at) == "nothing"
    assert errors(at) == ["There is no study named 'nothing' here: it was renamed, deleted or never opened here."]
    assert [link.label for link in at.page_link] == ["Open a study"]
    assert charts(at) == []
    fine(at.sidebar.selectbox(key="study").select("demo").run())
    assert (chosen(at), errors(at)) == ("demo", [])


def test_no_study_chosen_is_the_demo():
    at = visit("overview")
    assert (chosen(at), errors(at)) == ("demo", [])


def test_a_study_is_renamed_with_all_that_was_added_to_it(monkeypatch):
    at = open_text(to_toml(mine()))
    change_saved("mine", lambda saved: replace(saved, views={"v": {"seeds": True}}))
    next(field for field in at.text_input if field.label == "Name").input("Yours")
    click(at, "Rename")
    assert (chosen(at), errors(at), opened_study(at).name) == ("Yours", [], "Yours")
    assert opened_study(at).title == "Yours"
    # A click that is under way brings the name from before.
    at.session_state["study"] = "mine"
    assert (chosen(fine(at.run())), errors(at)) == ("Yours", [])
    assert read_saved(folder_of("Yours"))[0].views == {"v": {"seeds": True}}
    visitor(monkeypatch, "next")
    assert visit("overview", study="mine").error[0].value.startswith("There is no study named 'mine' here")


def test_a_name_that_is_taken_is_refused():
    open_text(to_toml(mine("other")))
    at = open_text(to_toml(mine()))
    for name in ("other", "demo"):
        next(field for field in at.text_input if field.label == "Name").input(name)
        click(at, "Rename")
        assert [toast.value for toast in at.toast] == [f"There is a study named '{name}': choose another name."]


def test_deleting_says_what_goes_and_leads_to_the_demo(monkeypatch):
    at = open_text(to_toml(mine()))
    assert not any(b.label == "Delete" for b in at.button)
    fine(at.checkbox(key="study_menu_delete_mine").check().run())
    assert "Of mine go its study file. The runs that were fetched stay in the store." in [c.value for c in at.caption]
    click(at, "Delete")
    assert (chosen(at), errors(at)) == ("demo", [])
    assert not folder_of("mine").exists()
    visitor(monkeypatch, "another tab")
    assert errors(visit("overview", study="mine"))[0].startswith("There is no study named 'mine' here")


def test_shipped_studies_have_no_menu():
    assert not any("menu" in str(getattr(b, "key", "")) for b in visit("overview").button)


def test_a_damaged_study_is_told_and_breaks_nothing():
    open_text(to_toml(mine()))
    (folder_of("mine") / "study.toml").write_text("[study")
    at = visit("overview")
    assert (errors(at), at.sidebar.selectbox(key="study").options) == ([], ["demo", "detach_encoder", "mine"])
    fine(at.sidebar.selectbox(key="study").select("mine").run())
    assert errors(at)[0].startswith("The saved study mine is not TOML: ")
    fine(at.checkbox(key="study_menu_delete_mine").check().run())
    click(at, "Delete")
    assert (chosen(at), errors(at)) == ("demo", [])


@pytest.mark.parametrize("name", ["demo", "mine"])
@pytest.mark.parametrize("page", ["losses", "study"])
def test_damaged_additions_are_told(monkeypatch, name, page):
    open_text(to_toml(mine()))
    folder_of(name).mkdir(exist_ok=True)
    (folder_of(name) / "added.json").write_text("{")
    visitor(monkeypatch, "next")
    at = visit(page, study=name)
    assert [plain(w.value) for w in at.warning if "added" in w.value] == [
        f"What was added to {name} cannot be read: it is not what this program wrote. Its views, baselines and runs left out "
        "are set aside."
    ]


def test_the_same_text_is_the_same_study_and_other_runs_are_another():
    open_text(to_toml(mine()))
    at = open_text(to_toml(mine()))
    assert (chosen(at), [toast.value for toast in at.toast]) == ("mine", ["Fetched Mine: 12 runs"])
    other = replace(mine(), tasks=(replace(DEMO.tasks[0], sweep_id=("else",)),))
    at = open_text(to_toml(other))
    assert chosen(at) == "mine-2"
    assert "Another study is named mine: this one is mine-2." in [toast.value for toast in at.toast]
    assert read_saved(folder_of("mine"))[0].study.tasks == mine().tasks
    at = open_text(to_toml(replace(mine(), hypothesis="Another.")))
    assert chosen(at) == "mine-3"
    assert read_saved(folder_of("mine"))[0].study.hypothesis == DEMO.hypothesis


def test_what_a_visitor_opens_from_another_machine_is_kept_in_their_address_alone(monkeypatch, isolated_folders):
    monkeypatch.setattr(access, "keeps_studies", KEEPS_STUDIES)
    at = open_text(to_toml(mine()))
    assert (chosen(at), study_folders()) == ("mine", [])
    assert at.query_params["saved"]
    visitor(monkeypatch, "next")
    assert "mine" not in visit("overview").sidebar.selectbox(key="study").options


def test_a_store_that_cannot_be_written_keeps_a_study_for_the_session(monkeypatch, tmp_path):
    def refuse(*_: object) -> None:
        raise StoreError("The store cannot be written (Read-only file system).")

    write_bundle(replace(DEMO, name="bundled"), fetch(DEMO), tmp_path / "b.zip")
    with monkeypatch.context() as full:
        full.setattr(saved_studies, "put", refuse)
        at = visit("new_study")
        upload = at.file_uploader(key="study_upload")
        fine(upload.upload("b.zip", (tmp_path / "b.zip").read_bytes(), "application/zip").run())
        click(at, "Open the file")
        assert (chosen(at), errors(at)) == ("bundled", [])
        assert charts(fetched(go(at, "losses")))
        assert study_folders() == [] or read_saved(folder_of("bundled"))[0].study is None
    # Once it can be, the next change saves all of it.
    save_view(at, "v")
    kept = read_saved(folder_of("bundled"))[0]
    assert (list(kept.views), kept.study.source_path.parent, kept.study.source_path.exists()) == (
        ["v"], folder_of("bundled"), True,
    )  # fmt: skip


def test_what_could_not_be_saved_stands_beside_what_another_tab_saved(monkeypatch):
    def refuse(*_: object) -> None:
        raise StoreError("The store cannot be written (No space left on device).")

    at = go(open_text(to_toml(mine())), "losses")
    with monkeypatch.context() as full:
        full.setattr(saved_studies, "put", refuse)
        save_view(at, "mine")
    run = at.sidebar.multiselect(key="out").options[0]
    change_saved("mine", lambda saved: replace(saved, left_out=(run,)))
    at.session_state["study"] = "demo"
    fine(at.run())
    fine(at.sidebar.selectbox(key="study").select("mine").run())
    assert left_out(at) == [run]
    assert any(b.label == "mine" for b in with_panel(at, "views").button)
    assert read_saved(folder_of("mine"))[0].views == {}
    with monkeypatch.context() as full:
        full.setattr(saved_studies, "put", refuse)
        save_view(at, "again")
        next(field for field in at.text_input if field.label == "Name").input("Yours")
        click(at, "Rename")
        assert [toast.value for toast in at.toast] == ["The store cannot be written (No space left on device)."]
        assert chosen(at) == "mine"
    # The other tab brings its run back: the changes of this one are its own alone.
    change_saved("mine", lambda saved: replace(saved, left_out=()))
    save_view(at, "other")
    kept = read_saved(folder_of("mine"))[0]
    assert (sorted(kept.views), kept.left_out) == (["again", "mine", "other"], ())


def test_two_tabs_leave_runs_out_of_one_study(monkeypatch):
    one = visit("overview")
    runs = one.sidebar.multiselect(key="out").options[:3]
    fine(one.sidebar.multiselect(key="out").set_value([runs[0], runs[1]]).run())
    visitor(monkeypatch, "other")
    other = visit("overview")
    fine(other.sidebar.multiselect(key="out").set_value([runs[1], runs[2]]).run())
    assert read_saved(folder_of("demo"))[0].left_out == (runs[1], runs[2])
    fine(one.sidebar.multiselect(key="out").set_value([runs[0]]).run())
    # The first tab brought the second run back; what the other one left out stays.
    assert read_saved(folder_of("demo"))[0].left_out == (runs[2],)
