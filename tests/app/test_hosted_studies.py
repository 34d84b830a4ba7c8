"""Studies where strangers are: they live on in the address, and what it cannot hold is asked for again."""

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
    study_text,
    to_address,
)
from lib.sources import fetch, write_bundle
from lib.study import Source, Study, to_toml
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
    CURVE,
    DEMO,
    add_baseline,
    chosen,
    click,
    cloud,
    errors,
    mine,
    open_text,
    save_view,
    with_panel,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def hosted(monkeypatch) -> None:
    """The deployment says that strangers use it."""
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)


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
