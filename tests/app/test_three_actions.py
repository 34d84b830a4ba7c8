"""From where runs are to the answer on the Overview in three actions, each of which this file counts."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session import access, listing
from lib.app.session.job import Job
from lib.app.session.state import KEY as KEY_OF_STATE
from lib.runs import store
from lib.sources import StopFetch, fetch, write_bundle
from lib.study import load_study, to_toml
from tests.support.app_kit import charts, fine, go, plain, server_state, visit  # noqa: F401 - a fixture
from tests.support.cloud_kit import study as walks
from tests.support.wandb_files import exit_message, row_message, run_message, write_run
from tests.support.wandb_server import KEY, FakeRun, WandbServer

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]

PLACE = "lab/p"


def config(ratio: float | None, seed: int) -> dict[str, object]:
    return {"task": "walk", "seed": seed, "steps": 1000, "detach_encoder_ratio": ratio}


def rows(ratio: float | None, seed: int) -> list[dict[str, object]]:
    """Reward that rises and loss that falls at half of 1,000 steps in a detached run."""
    logged = []
    for step in range(20, 1001, 20):
        gain = 2.0 if ratio and step > 500 else 1.0
        noise = 1 + 0.01 * math.sin(step * seed)
        logged.append({"_step": step, "eval/episode_reward": 10 * gain * noise, "train/consistency_loss": noise / gain})
    return logged


RUNS = [(ratio, seed) for ratio in (0.5, None) for seed in (1, 2, 3)]


@pytest.fixture
def server():
    with WandbServer() as server:
        for ratio, seed in RUNS:
            run = FakeRun(f"r{ratio}-{seed}", rows=rows(ratio, seed), config=config(ratio, seed), sweep="s")
            server.add(PLACE, run)
        yield server


@pytest.fixture
def folder(tmp_path) -> Path:
    """The same runs as `.wandb` files."""
    for number, (ratio, seed) in enumerate(RUNS):
        logged = [row_message(row, num=int(row["_step"])) for row in rows(ratio, seed)]  # type: ignore[call-overload]
        messages = [run_message(f"r{number}", config(ratio, seed)), *logged, exit_message()]
        write_run(tmp_path / "wandb", messages, f"r{number}")
    return tmp_path / "wandb"


class Actions:
    """A visit to the New study page that counts what its visitor does."""

    def __init__(self) -> None:
        self.at = visit("new_study")
        self.count = 0

    def do(self, act: Callable[[AppTest], AppTest]) -> AppTest:
        """One action, and what the page makes of it."""
        self.count += 1
        fine(act(self.at).run())
        for _ in range(200):
            if not any(button.key in {"build_stop", "stop_fetch"} for button in self.at.button):
                break
            time.sleep(0.05)
            fine(self.at.run())
        return self.at

    def paste(self, text: str) -> AppTest:
        return self.do(lambda at: at.text_area(key="build_place").input(text))

    def press(self, key: str) -> AppTest:
        return self.do(lambda at: at.button(key=key).click())


def overview(at: AppTest) -> AppTest:
    """The page on which the visitor landed, once its fetch has ended."""
    assert at.session_state[KEY_OF_STATE].listing is None
    for fetches in at.session_state[KEY_OF_STATE].fetches.values():
        if fetches.job:
            fetches.job.wait(30)
    return go(at, "overview")


def assert_answer(at: AppTest) -> None:
    """The answer is on screen: the verdicts of both families, and the charts."""
    assert [error.value for error in at.error] == []
    answer = " ".join(plain(m.value) for m in at.markdown)
    assert "Losses" in answer and "Rewards" in answer
    assert charts(at)


@pytest.mark.server
def test_an_address_with_the_key_of_ones_own_machine(server, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setattr(access, "is_at_own_machine", lambda: True)
    visitor = Actions()
    visitor.paste(f"{server.url}/{PLACE}/sweeps/s")
    at = visitor.press("build_look")
    messages = [plain(m.value) for m in at.markdown]
    assert "**6 runs of 1 task in 1 sweep: 3 detached at 500 and 3 control; 2 metrics.**" in messages
    assert [m for m in messages if m.startswith(":material/help:")] == []
    assert server.count("RunParquetHistory") == 0
    at = visitor.press("build1_open")
    assert visitor.count == 3
    assert at.sidebar.selectbox(key="study").value == "p_s"
    assert_answer(overview(at))
    assert server.leaks == []


@pytest.mark.server
def test_an_address_with_a_key_that_is_typed_into_the_same_form(server):
    visitor = Actions()
    at = visitor.paste(f"{server.url}/{PLACE}/sweeps/s")
    next(field for field in at.text_input if plain(field.label) == f"Key for {server.url}").input(KEY)
    visitor.press("build_look")
    assert_answer(overview(visitor.press("build1_open")))
    assert visitor.count == 3


def test_a_folder_of_wandb_files(folder):
    visitor = Actions()
    visitor.paste(str(folder))
    visitor.press("build_look")
    assert_answer(overview(visitor.press("build1_open")))
    assert visitor.count == 3


def test_a_bundle_opens_as_it_is_in_two():
    demo = load_study("demo")
    path = store.store_root() / "demo.zip"
    write_bundle(demo, fetch(demo), path)
    visitor = Actions()
    content = path.read_bytes()
    visitor.do(lambda at: at.file_uploader(key="study_upload").upload("demo.zip", content, "application/zip"))
    at = visitor.press("build_open_file")
    assert visitor.count == 2
    assert at.sidebar.selectbox(key="study").value == "demo-own"
    assert_answer(overview(at))


def test_the_view_of_the_study_before_does_not_come_along(folder):
    visitor = Actions()
    at = visit("overview", out="acro0001-s1-detached", arms="control", **{"from": "100", "to": "900"})
    before = at.session_state[KEY_OF_STATE].page_input.current.view
    visitor.at = go(at, "new_study")
    assert (before.left_out, before.arms, before.span) == (("acro0001-s1-detached",), ("control",), (100, 900))
    visitor.paste(str(folder))
    visitor.press("build_look")
    view = overview(visitor.press("build1_open")).session_state[KEY_OF_STATE].page_input.current.view
    assert (view.left_out, view.arms, view.span) == ((), (), None)


# ---- whose key goes where ------------------------------------------------------------------------------------------


@pytest.mark.server
def test_a_key_typed_for_one_server_never_goes_to_another(server):
    with WandbServer() as other:
        visitor = Actions()
        at = visitor.paste(f"{server.url}/{PLACE}")
        next(field for field in at.text_input if field.label.startswith("Key for ")).input(KEY)
        # The address changes and the button is pressed before the field for the other server's key was drawn.
        at.text_area(key="build_place").input(f"{other.url}/{PLACE}")
        at = visitor.press("build_look")
        assert [plain(e.value) for e in at.error] == [f"Enter a key for {other.url} to see {PLACE}."]
        assert [plain(f.label) for f in at.text_input if "Key" in f.label] == [f"Key for {other.url}"]
        assert next(f.value for f in at.text_input if "Key" in f.label) == ""
        assert (server.hits, other.hits) == ([], [])


@pytest.mark.server
def test_a_key_that_is_refused_is_forgotten_and_asked_for_again(server):
    visitor = Actions()
    at = visitor.paste(f"{server.url}/{PLACE}")
    next(field for field in at.text_input if "Key" in field.label).input("b" * 40)
    at = visitor.press("build_look")
    assert "does not accept this key" in at.error[0].value
    next(field for field in at.text_input if "Key" in field.label).input(KEY)
    at = visitor.press("build_look")
    assert [e.value for e in at.error] == []
    assert not any("Key" in field.label for field in at.text_input)
    assert all(field.value == "" for field in at.text_input if field.proto.type)


@pytest.mark.server
def test_a_study_file_lands_on_the_overview_and_asks_nothing_without_a_key(server):
    visitor = Actions()
    content = to_toml(walks(server)).encode()
    visitor.do(lambda at: at.file_uploader(key="study_upload").upload("walks.toml", content, "application/toml"))
    at = go(visitor.press("build_open_file"), "overview")
    assert at.sidebar.selectbox(key="study").value == "study"
    assert server.hits == []


# ---- a listing that takes long -------------------------------------------------------------------------------------


def test_a_long_listing_shows_its_progress_and_is_stopped(folder, monkeypatch):
    jobs: list[Job] = []

    def inspect(path, progress, cancelled):
        jobs.append(progress.__self__)
        while not cancelled():
            time.sleep(0.01)
        raise StopFetch

    monkeypatch.setattr(listing, "inspect_folder", inspect)
    at = visit("new_study")
    fine(at.text_area(key="build_place").input(str(folder)).run())
    fine(at.button(key="build_look").click().run())
    assert at.button(key="build_look").disabled
    fine(at.button(key="build_stop").click().run())
    assert at.text_area(key="build_place").value == str(folder)
    assert not at.button(key="build_look").disabled
    jobs[0].wait(5)
    assert (jobs[0].is_running, jobs[0].error) == (False, "")
