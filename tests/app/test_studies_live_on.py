"""Studies that live on: on one's own machine in the store, where strangers are in the address; and what is asked again."""

import base64
import json
import random
import zlib
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session import access
from lib.runs import (
    SavedStudy,
    StoreError,
    change_saved,
    delete_saved,
    folder_of,
    read_saved,
    saved_studies,
    study_folders,
    study_text,
    to_address,
)
from lib.sources import fetch, write_bundle
from lib.study import Source, Study, load_study, to_toml
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

pytestmark = pytest.mark.slow

DEMO = load_study("demo")
#: The rule itself, which the kit of these tests stands in for.
KEEPS_STUDIES = access.keeps_studies
CURVE = b"step,reward,seed\n0,1,1\n50000,500,1\n100000,700,1\n"


def mine(name: str = "mine", **parts: object) -> Study:
    """A study of the demo's runs, whose bundle is no upload."""
    source = Source(kind="bundle", path=str(ROOT / "data" / "demo"))
    return replace(
        DEMO, **{"name": name, "title": "Mine", "folder": "", "source": source, "tasks": DEMO.tasks[:1]} | parts
    )


def cloud(server: str = "", name: str = "mine") -> Study:
    return replace(mine(name), source=Source(kind="wandb", entity="me", project="project", base_url=server))


@pytest.fixture
def hosted(monkeypatch) -> None:
    """The deployment says that strangers use it."""
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)


def open_text(text: str) -> AppTest:
    """A visit that opens the text of a study."""
    at = visit("new_study")
    fine(at.text_area(key="study_text").input(text).run())
    return fine(next(b for b in at.button if b.label == "Check and open").click().run())


def click(at: AppTest, label: str) -> AppTest:
    return fine(next(b for b in at.button if b.label == label).click().run())


def errors(at: AppTest) -> list[str]:
    return [plain(error.value) for error in at.error]


def chosen(at: AppTest) -> str:
    return at.sidebar.selectbox(key="study").value


def left_out(at: AppTest) -> list[str]:
    return at.sidebar.multiselect(key="out").value


def with_panel(at: AppTest, key: str) -> AppTest:
    at.session_state[key] = True
    return fine(at.run())


# ---- on one's own machine -------------------------------------------------------------------------------------------


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
        assert errors(at) == [f"There is a study named '{name}': choose another name."]


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
        assert charts(go(at, "losses"))
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
    save_view(at, "other")
    kept = read_saved(folder_of("mine"))[0]
    assert (sorted(kept.views), kept.left_out) == (["mine", "other"], (run,))


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


# ---- what is added --------------------------------------------------------------------------------------------------


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


def add_baseline(at: AppTest) -> AppTest:
    fine(at.file_uploader(key="baseline_upload").upload("mine.csv", CURVE, "text/csv").run())
    return fine(at.button(key="baseline_add").click().run())


def test_a_baseline_stays_with_a_shipped_study(monkeypatch):
    add_baseline(visit("rewards"))
    visitor(monkeypatch, "next")
    at = visit("rewards")
    assert "baselines" in charts(at)[0].layers
    click(at, "Remove what was added")
    visitor(monkeypatch, "last")
    assert "baselines" not in charts(visit("rewards"))[0].layers


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


def save_view(at: AppTest, name: str) -> AppTest:
    with_panel(at, "views")
    at.text_input(key="view_name").input(name)
    return click(at, "Save view")


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


# ---- where strangers are --------------------------------------------------------------------------------------------


def address(at: AppTest) -> str:
    return "".join(at.query_params.get("saved", ""))


def test_a_hosted_study_travels_in_the_address_and_nowhere_else(hosted, monkeypatch, isolated_folders):
    at = open_text(to_toml(cloud()))
    text = address(at)
    assert text == to_address(SavedStudy("mine", cloud()))
    assert address(go(at, "rewards")) == text
    visitor(monkeypatch, "reader")
    assert "mine" not in visit("overview").sidebar.selectbox(key="study").options
    assert errors(visit("overview", study="mine"))[0].startswith("There is no study named 'mine' here")
    at = visit("overview", study="mine", saved=text)
    assert (chosen(at), errors(at), opened_study(at)) == ("mine", [], cloud())
    assert plain(at.info[0].value) == "Enter a key for api.wandb.ai to see **me/project**."
    assert not (isolated_folders / "store" / "studies").exists()
    fine(at.sidebar.selectbox(key="study").select("demo").run())
    assert address(at) == ""


def test_a_hosted_view_and_a_renamed_study_are_in_the_address(hosted, monkeypatch):
    at = save_view(visit("overview", aggregate="median"), "paper figure 2")
    text = address(at)
    visitor(monkeypatch, "reader")
    at = with_panel(visit("overview", saved=text), "views")
    click(at, "paper figure 2")
    assert view_of(at).aggregate == "median"


def hostile(study: Study | None = None, name: str = "mine", **parts: object) -> str:
    """An address that this program would not have made."""
    document = {"name": name, "text": study_text(study) if study else "", **parts}
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(document).encode())).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AAAA", "The study in this address cannot be read: a part of the address is missing or was changed."),
        (hostile(cloud("https://elsewhere.example")),
         "This deployment does not read https://elsewhere.example: it reads https://api.wandb.ai."),
        (hostile(cloud("https://me:secret@api.wandb.ai")), None),
        (hostile(mine(source=Source(kind="offline", path="/etc"))),
         "This deployment opens no local paths: upload the runs as a bundle instead."),
        (hostile(mine(source=Source(kind="bundle", path="../uploads"))),
         "This deployment opens no local paths: upload the runs as a bundle instead."),
    ],
)  # fmt: skip
def test_an_address_opens_nothing_that_an_upload_may_not(hosted, text, message):
    at = visit("overview", study="mine", saved=text)
    assert chosen(at) == "mine"
    assert len(errors(at)) == 1 and "secret" not in errors(at)[0]
    assert message is None or errors(at) == [message]
    assert charts(at) == []


def test_an_address_puts_no_file_behind_a_shipped_study_and_does_not_stand_for_one(hosted):
    behind = ["acrobot-swingup", {"path": "/etc/hostname", "label": "b"}]
    at = visit("rewards", saved=hostile(None, "demo", baselines=[behind]))
    assert "baselines" not in charts(at)[0].layers
    at = visit("overview", study="demo", saved=hostile(mine("demo")))
    assert opened_study(at) == DEMO


def test_a_view_of_an_address_takes_no_value_that_its_widget_does_not(hosted):
    wrong = {
        "aggregate": ["x"], "arms": "x", "seeds": "yes", "from": "x", "to": None, "window": 3, "x": "nowhere", "out": 1,
        "spread": None, "only": [""], "unknown": "x", "log_loss": 0, "study": "mine", "color": True, "metrics": {}.get("x"),
    }  # fmt: skip
    at = with_panel(visit("overview", saved=hostile(None, "demo", views={"**bad**": wrong})), "views")
    before = view_of(at)
    fine(next(b for b in at.button if plain(b.label) == "**bad**").click().run())
    assert view_of(at) == before


def test_the_bundle_that_a_link_came_without_is_asked_for(hosted, monkeypatch, tmp_path):
    for name, study in {"b.zip": DEMO, "other.zip": replace(DEMO, tasks=DEMO.tasks[:1])}.items():
        write_bundle(replace(study, name="bundled"), fetch(study), tmp_path / name)
    at = visit("new_study")
    upload = at.file_uploader(key="study_upload")
    fine(upload.upload("b.zip", (tmp_path / "b.zip").read_bytes(), "application/zip").run())
    click(at, "Open the file")
    text = address(at)
    assert charts(go(at, "losses"))
    visitor(monkeypatch, "reader")
    for page in ("losses", "study"):
        at = visit(page, study="bundled", saved=text)
        assert errors(at) == []
        assert [u.label for u in at.file_uploader] == ["Open the bundle that came with **Detach Encoder Demo**"]
    at = visit("losses", study="bundled", saved=text)
    fine(at.file_uploader[0].upload("other.zip", (tmp_path / "other.zip").read_bytes(), "application/zip").run())
    assert errors(at) == ["other.zip is another bundle than the one that this study was opened from."]
    fine(at.file_uploader[0].upload("b.zip", (tmp_path / "b.zip").read_bytes(), "application/zip").run())
    assert errors(at) == []
    assert charts(at)


def test_the_baseline_that_a_link_came_without_is_asked_for_where_it_is_drawn(hosted, monkeypatch):
    text = address(add_baseline(visit("rewards")))
    visitor(monkeypatch, "reader")
    label = "Open the baseline **mine** that came with this study, for Acrobot Swingup"
    for page in ("overview", "rewards"):
        at = visit(page, saved=text)
        assert (label in [u.label for u in at.file_uploader], list(at.warning)) == (True, [])
        assert all("baselines" not in chart.layers for chart in charts(at))

    def upload(name: str, content: bytes) -> None:
        fine(next(u for u in at.file_uploader if u.label == label).upload(name, content, "text/csv").run())

    upload("other.csv", CURVE + b"100001,700,1\n")
    assert errors(at) == ["other.csv is another file than the baseline mine of this study."]
    upload("renamed.csv", CURVE)
    assert (errors(at), label in [u.label for u in at.file_uploader]) == ([], False)
    assert "baselines" in charts(at)[0].layers
    assert address(at) == text


def test_a_study_too_long_for_an_address_says_so(hosted, monkeypatch):
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
    at = open_text(to_toml(mine(hypothesis=noise, source=Source(kind="bundle", path="../data/demo"))))
    assert (errors(at), chosen(at), address(at)) == ([], "mine", "")
    assert "mine is too long for an address: a reload loses it. Keep its bundle, from Share." in [
        toast.value for toast in at.toast
    ]
    open_popover(monkeypatch, "share")
    go(at, "losses")
    assert ":orange[This study is too long for a link: a reload loses it. Send and keep its bundle.]" in [
        caption.value for caption in at.caption
    ]
