"""What the tests of studies that live on share: a study of the demo's runs, and how it is opened."""

from dataclasses import replace

from streamlit.testing.v1 import AppTest

from lib.study import Source, Study, load_study
from tests.support.app_kit import (
    ROOT,
    fine,
    plain,
    visit,
)

DEMO = load_study("demo")
CURVE = b"step,reward,seed\n0,1,1\n50000,500,1\n100000,700,1\n"


def mine(name: str = "mine", **parts: object) -> Study:
    """A study of the demo's runs, whose bundle is no upload."""
    source = Source(kind="bundle", path=str(ROOT / "data" / "demo"))
    return replace(
        DEMO, **{"name": name, "title": "Mine", "folder": "", "source": source, "tasks": DEMO.tasks[:1]} | parts
    )


def cloud(server: str = "", name: str = "mine") -> Study:
    return replace(mine(name), source=Source(kind="wandb", entity="me", project="project", base_url=server))


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


def save_view(at: AppTest, name: str) -> AppTest:
    with_panel(at, "views")
    at.text_input(key="view_name").input(name)
    return click(at, "Save view")


def add_baseline(at: AppTest) -> AppTest:
    fine(at.file_uploader(key="baseline_upload").upload("mine.csv", CURVE, "text/csv").run())
    return fine(at.button(key="baseline_add").click().run())
