"""What is copied from the Share popover: the link, the claim, the citation; and the files behind its buttons."""

import tomllib
from dataclasses import replace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lib.report import bibtex, citation, view_link
from lib.runs import Manifest, Run, store_root
from lib.sources import fetch, write_bundle
from lib.study import Baseline, Source, load_study, parse_study, to_toml
from lib.version import VERSION
from tests.support.app_kit import ROOT, fine, go, open_popover, server_state, visit  # noqa: F401 - a fixture
from tests.support.build_kit import wait
from tests.support.chart_frames import STUDY

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]

CLOUD = {"kind": "wandb", "entity": "me_too", "project": "my-project", "server": "https://api.wandb.ai"}
WHEN = "2026-01-02T03:04:05+00:00"
PAGE = "https://wandb.ai/me_too/my-project"


def manifest(source: dict[str, str], *urls: str) -> Manifest:
    return Manifest("t", source, WHEN, "", tuple(Run(f"r{i}", url=url) for i, url in enumerate(urls)))


def test_a_citation_names_title_source_runs_date_and_tool():
    runs = manifest(CLOUD, f"{PAGE}/runs/a", f"{PAGE}/runs/b")
    assert citation(STUDY, runs) == (
        "Detach Encoder Ablation. W&B project me_too/my-project, 2 runs, fetched 2026-01-02. "
        f"Computed with Did the detach help? {VERSION}."
    )
    assert bibtex(STUDY, runs).splitlines() == [
        "@misc{t_2026,",
        r"  author = {{me\_too}},",
        "  title = {{Detach Encoder Ablation}},",
        "  year = {2026},",
        r"  howpublished = {W\&B project me\_too/my-project},",
        f"  note = {{2 runs, fetched 2026-01-02; computed with Did the detach help? {VERSION}}},",
        f"  url = {{{PAGE}}},",
        "}",
    ]


def test_a_local_folder_is_not_named():
    one = manifest({"kind": "offline", "path": "/home/somebody/secret/wandb"}, "")
    assert citation(STUDY, one).startswith("Detach Encoder Ablation. Local wandb runs, 1 run, fetched 2026-01-02.")
    assert "secret" not in bibtex(STUDY, one)
    assert "url" not in bibtex(STUDY, one)


def test_a_brace_in_an_address_ends_no_field():
    entry = bibtex(STUDY, manifest(CLOUD, "https://wandb.ai/me_too/my{}}project/runs/a")).splitlines()
    assert entry[-2:] == ["  url = {https://wandb.ai/me_too/my%7B%7D%7Dproject},", "}"]


def test_the_tools_version_is_the_projects():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_a_link_holds_every_value_of_its_query():
    assert view_link("https://a.b/rewards", [("out", "r 1"), ("out", "r&2")]) == "https://a.b/rewards?out=r+1&out=r%262"
    assert view_link("https://a.b/", []) == "https://a.b/"


@pytest.fixture
def is_open(monkeypatch) -> None:
    """The Share popover is open on every page."""
    open_popover(monkeypatch, "share")


@pytest.fixture
def opened(is_open) -> AppTest:
    """The Rewards page with its Share popover open."""
    return visit("rewards", aggregate="median", only="Cartpole Swingup")


def copied(at: AppTest) -> list[str]:
    return [code.value for code in at.code]


def test_the_popover_holds_nothing_until_it_is_opened():
    assert copied(visit("rewards")) == []


def test_link_claim_and_citation_of_the_demo(opened):
    link, claim, cited = copied(opened)
    assert link.endswith("?aggregate=median&only=Cartpole+Swingup")
    assert claim.startswith("On Cartpole Swingup, detaching the encoder at 50,000 steps was not shown to raise Eval")
    assert cited == (
        "Detach Encoder Demo. Local wandb runs, 32 runs, fetched 2026-11-22. "
        f"Computed with Did the detach help? {VERSION}."
    )
    names = opened.selectbox(key="share_claim").options
    assert names[2] == "Cartpole Swingup: Train Consistency Loss (supported)"
    fine(opened.selectbox(key="share_claim").select_index(2).run())
    assert "lowered Train Consistency Loss by 26.2%" in copied(opened)[1]
    fine(opened.button_group(key="share_citation").select("BibTeX").run())
    assert copied(opened)[2].startswith("@misc{demo_2026,\n")


def test_files_of_the_popover(opened):
    labels = [button.label for button in opened.button if (button.key or "").startswith("share_")]
    assert labels == ["Study file (.toml)", "Bundle (.zip)", "Report (.html)"]
    assert not opened.get("download_button"), "a file is made at its click"
    fine(opened.button(key="share_bundle").click().run())
    assert [button.label for button in opened.get("download_button")] == ["Making demo.zip"]


@pytest.fixture
def offered(monkeypatch) -> dict[str, str]:
    """The text of each file that was made, by the key of what hands it over."""
    by_name: dict[str, str] = {}
    draw = st.download_button

    def button(label, data, *arguments, key, **options):
        by_name[key] = data
        return draw(label, data, *arguments, key=key, **options)

    monkeypatch.setattr(st, "download_button", button)
    return by_name


def test_the_study_file_names_no_baseline_that_was_added_here(is_open, offered):
    at = visit("rewards")
    upload = at.file_uploader(key="baseline_upload")
    fine(upload.upload("mine.csv", b"step,reward,seed\n0,1,1\n50000,500,1\n", "text/csv").run())
    fine(at.button(key="baseline_add").click().run())
    fine(at.button(key="share_toml").click().run())
    assert offered["file_share_toml"] == to_toml(load_study("demo"))
    assert str(store_root()) not in offered["file_share_toml"]


def test_the_study_file_of_a_bundle_names_no_folder_of_the_store(is_open, offered, tmp_path):
    demo = load_study("demo")
    (tmp_path / "curve.csv").write_text("step,reward,seed\n0,1,1\n50000,500,1\n")
    behind = Baseline(str(tmp_path / "curve.csv"))
    own_study = replace(demo, name="mine", tasks=(replace(demo.tasks[0], baselines=(behind,)), *demo.tasks[1:]))
    write_bundle(own_study, fetch(demo), tmp_path / "mine.zip")
    at = visit("new_study")
    content = (tmp_path / "mine.zip").read_bytes()
    fine(at.file_uploader(key="study_upload").upload("mine.zip", content, "application/zip").run())
    fine(next(b for b in at.button if b.label == "Open the file").click().run())
    assert at.sidebar.selectbox(key="study").value == "mine"
    go(at, "study")
    fine(at.button(key="share_toml").click().run())
    text = offered["file_share_toml"]
    assert parse_study(text).source.path == "mine.zip"
    assert "curve" in text
    assert str(store_root().resolve()) not in text
    assert not any(str(store_root().resolve()) in code.value for code in at.code)


def test_an_own_study_says_that_its_link_opens_on_this_computer_only(opened):
    assert "Opens this page with these settings. No key is in it." in [c.value for c in opened.caption]
    demo = load_study("demo")
    source = Source(kind="bundle", path=str(ROOT / "data" / "demo"))
    own_study = replace(demo, name="mine", source=source, tasks=demo.tasks[:1])
    at = visit("new_study")
    fine(at.text_area(key="study_text").input(to_toml(own_study)).run())
    fine(next(b for b in at.button if b.label == "Check and open").click().run())
    assert at.sidebar.selectbox(key="study").value == "mine"
    wait(go(at, "overview"))
    assert ":orange[Opens on this computer only: send the bundle to others.]" in [c.value for c in at.caption]


def test_no_field_of_a_bundle_ends_its_bibtex_entry():
    one = Manifest(
        "t", CLOUD | {"entity": "me}\n}\n@misc{x"}, "}}\n@x{20", "", (Run("r", url="https://w.ai/a\n}\\/runs/a"),)
    )
    study = replace(STUDY, title="A\n}\n@misc{b, title = {C")
    assert bibtex(study, one).splitlines() == [
        "@misc{t_undated,",
        "  author = {{me\\} \\} @misc\\{x}},",
        "  title = {{A \\} @misc\\{b, title = \\{C}},",
        "  howpublished = {W\\&B project me\\} \\} @misc\\{x/my-project},",
        "  note = {1 run, fetched \\}\\} @x\\{20; computed with Did the detach help? " + VERSION + "},",
        "  url = {https://w.ai/a%0A%7D%5C},",
        "}",
    ]
