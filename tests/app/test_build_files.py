"""The New study page on a folder and a bundle."""

from dataclasses import replace

import pytest

from lib.app.session import access
from lib.discover import inspect_bundle, inspect_folder
from lib.runs import store
from lib.sources import SourceError, fetch, write_bundle
from lib.study import load_study
from tests.support.app_kit import (  # noqa: F401 - a fixture
    PROJECT,
    ROOT,
    TASKS,
    charts,
    fill,
    fine,
    go,
    opened_study,
    plain,
    server_state,
    visit,
)
from tests.support.build_kit import key_fields, list_runs, paste, table, wait

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]


def test_a_bundle_gives_the_demo_with_its_keys():
    inspection = inspect_bundle(ROOT / "data" / "demo")
    assert len(inspection.runs) == 32
    assert inspection.runs[0].keys == (
        "eval/episode_reward", "train/consistency_loss", "train/encoder_lr", "train/episode_reward",
        "validation_all/consistency_loss", "validation_recent/consistency_loss",
    )  # fmt: skip
    assert inspection.whole and min(inspection.lowest.values()) >= 0


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    with pytest.raises(SourceError, match="is not a folder"):
        inspect_folder(tmp_path / "none")
    with pytest.raises(SourceError, match=r"holds no \.wandb file"):
        inspect_folder(tmp_path)
    (tmp_path / "run-x.wandb").write_bytes(b"nothing")
    with pytest.raises(SourceError, match="is not a W&B run log"):
        inspect_folder(tmp_path)


def test_hosted_deployments_offer_no_folder(monkeypatch):
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)
    at = list_runs(paste("/etc"))
    assert at.text_area(key="build_place").label == "Addresses of sweeps"
    assert [e.value for e in at.error] == [access.NO_PATHS]


def test_a_folder_without_runs_says_so_on_the_page(tmp_path):
    at = list_runs(paste(str(tmp_path)))
    assert key_fields(at) == []
    assert "holds no .wandb file" in at.error[0].value.replace("\\", "")


@pytest.mark.parametrize("path", ["~nosuchuser/wandb", "/" + "x" * 5000])
def test_a_path_that_is_none_is_told_on_the_page(path):
    at = list_runs(paste(path))
    assert "is not a folder" in at.error[0].value


def test_a_bundle_is_proposed_and_opened():
    demo = load_study("demo")
    demo = replace(demo, tasks=demo.tasks[:2])
    path = store.store_root() / "demo.zip"
    write_bundle(demo, fetch(demo), path)
    at = visit("new_study")
    fine(at.file_uploader(key="study_upload").upload("demo.zip", path.read_bytes(), "application/zip").run())
    wait(fine(at.button(key="build_propose").click().run()), "build_stop")
    assert table(at, "seeds")["runs"].tolist() == [6, 6, 6, 6]
    fine(at.text_input(key="build1_title").input("Mine").run())
    fine(at.button(key="build1_open").click().run())
    assert at.sidebar.selectbox(key="study").value == "mine"
    go(at, "losses")
    assert len(charts(at)) == 2
    assert charts(at)[0].arms == ["detached", "control"]
