"""Studies on a W&B server in a real browser: keys, a stopped fetch, growing runs, a study made from an address."""

import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, expect

from tests.support.access import findings
from tests.support.app_kit import PROJECT, TASKS, fill
from tests.support.app_server import Server
from tests.support.browser import CHART, TITLES, Visitor, assert_untroubled
from tests.support.wandb_files import REAL
from tests.support.wandb_server import KEY, FakeRun, Fault, WandbServer

pytestmark = pytest.mark.browser

#: Each account has a store of its own: a test sees nothing that another one fetched.
STOPS, FOLLOWS, BUILDS, OUTSIDER = (letter * 40 for letter in "cdef")
WRONG = "b" * 40
RUN, OTHERS = "nqfufp3t-1", 5
PRIVATE = "lab/secret"


@dataclass
class Cloud:
    """The app's server with the address of a W&B server and no key; and that W&B server."""

    app: Server
    wandb: WandbServer

    def requested_runs(self, op: str) -> list[str]:
        """The runs named by the requests of an operation."""
        return [hit.run for hit in self.wandb.hits if hit.op == op]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Cloud]:
    """A W&B server with the runs of studies/detach_encoder.toml, one sweep of them in a private project too."""
    with WandbServer() as wandb:
        fill(wandb)
        wandb.keys |= {STOPS, FOLLOWS, BUILDS, OUTSIDER}
        # Copies: a test lets a run of the public project grow.
        wandb.add(PRIVATE, *(deepcopy(run) for run in wandb.projects[PROJECT].values() if run.sweep == TASKS[1][1]))
        wandb.private[PRIVATE] = {BUILDS}
        with Server(tmp_path_factory.mktemp("cloud"), WANDB_BASE_URL=wandb.url) as server:
            yield Cloud(server, wandb)
            assert server.warnings() == []


@pytest.fixture(scope="module")
def contexts(chrome, cloud):
    """Two browser contexts on the server, which keep what they compiled of the app."""
    with Visitor(chrome, cloud.app) as one, Visitor(chrome, cloud.app) as other:
        yield one, other


@pytest.fixture
def visitor(contexts) -> Visitor:
    """A visitor without a key, whose next page is a session of its own."""
    contexts[0].reset()
    return contexts[0]


@pytest.fixture
def stranger(contexts) -> Visitor:
    """Another one."""
    contexts[1].reset()
    return contexts[1]


def use_key(visitor: Visitor, key: str) -> None:
    visitor.page.get_by_test_id("stForm").get_by_test_id("stTextInputField").fill(key)
    visitor.page.get_by_role("button", name="Use this key").click()
    visitor.page.get_by_role("button", name="Forget my key").wait_for()
    visitor.settled()


def press(visitor: Visitor, name: str) -> None:
    visitor.page.get_by_test_id("stMain").get_by_role("button", name=name).click()


def alert(visitor: Visitor, words: str) -> Locator:
    return visitor.page.get_by_test_id("stAlert").filter(has_text=words)


def fetch_and_follow(visitor: Visitor, page: str) -> None:
    """Fetch the open study with the key in use, then go to this page."""
    press(visitor, "Fetch runs")
    visitor.page.get_by_text("6 runs, fetched").wait_for()
    visitor.follow(page)


# ---- keys ----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_in_a_sentence_and_the_right_one_fetches_for_its_visitor_alone(visitor, stranger, cloud):
    visitor.open("study", study="detach_encoder")
    use_key(visitor, WRONG)
    press(visitor, "Fetch runs")
    refusal = alert(visitor, "does not accept this key")
    refusal.wait_for()
    assert WRONG[:8] not in refusal.inner_text()
    assert_untroubled(visitor)
    visitor.page.get_by_role("button", name="Forget my key").click()
    use_key(visitor, KEY)
    fetch_and_follow(visitor, "Overview")
    assert visitor.charts().count() == 2
    assert "Train Episode Reward (MA 10,000)" in visitor.texts()
    assert_untroubled(visitor)
    assert KEY not in visitor.page.url
    stranger.open("overview", study="detach_encoder")
    assert stranger.charts().count() == 0
    stranger.follow("Study")
    stranger.page.get_by_role("button", name="Use this key").wait_for()
    assert KEY not in stranger.page.content()
    assert stranger.page.get_by_text("6 runs, fetched").count() == 0
    assert_untroubled(stranger)


# ---- a fetch that is stopped ---------------------------------------------------------------------------------------


def test_after_a_stopped_fetch_a_retry_fetches_the_missing_run_alone(visitor, cloud):
    cloud.wandb.faults.append(Fault("silence", op="RunParquetHistory", run=RUN))
    visitor.open("study", study="detach_encoder")
    use_key(visitor, STOPS)
    visitor.follow("Overview")
    press(visitor, "Fetch runs")
    visitor.page.get_by_text(f"{OTHERS} of {OTHERS + 1} runs").wait_for()
    press(visitor, "Stop")
    missing = alert(visitor, "Some of this study is missing")
    missing.wait_for()
    visitor.settled()
    lines = missing.get_by_role("listitem").all_inner_texts()
    assert lines == [
        f"Run {RUN} was not brought up to date (the fetch was stopped): nothing of it is stored yet; fetch it again."
    ]
    assert visitor.page.get_by_test_id("stSidebar").get_by_text("partial: 1").is_visible()
    assert visitor.charts().count() == 2
    assert "n = 2" in visitor.texts(1) and "n = 3" in visitor.texts(0)
    assert findings(visitor) == []
    cloud.wandb.forget()
    press(visitor, "Retry 1 run")
    missing.wait_for(state="detached")
    visitor.settled()
    assert cloud.requested_runs("RunParquetHistory") == [RUN]
    assert visitor.until(lambda: "n = 3" in visitor.texts(1))
    assert visitor.page.get_by_text("partial").count() == 0
    assert_untroubled(visitor)


# ---- runs that grow ------------------------------------------------------------------------------------------------


def test_new_rows_of_a_running_run_are_drawn_in_the_same_view(visitor, cloud):
    run = cloud.wandb.projects[PROJECT][RUN]
    run.state = "running"
    visitor.open("study", study="detach_encoder")
    use_key(visitor, FOLLOWS)
    fetch_and_follow(visitor, "Losses")
    rows = [{"_step": 99_000 + k, "_timestamp": 1_800_000_000.0 + k, "train/consistency_loss": 500.0} for k in range(5)]
    run.live += rows
    run.heartbeat = "2026-01-01T00:00:00Z"
    # A new session has the stored runs, and its first look at the running one is due.
    visitor.open("study", study="detach_encoder", spread="min-max", x="% of training")
    use_key(visitor, FOLLOWS)
    visitor.follow("Losses")
    highest = max(upper for *_, upper in visitor.numbers(1))
    assert highest < 1
    before = visitor.marks(1)
    cloud.wandb.forget()
    visitor.toggle("Follow running runs")
    visitor.until_redrawn(before, 1)
    assert max(upper for *_, upper in visitor.numbers(1)) == 500
    assert {hit.run for hit in cloud.wandb.hits if hit.run} == {RUN}
    assert visitor.query() == {
        "study": ["detach_encoder"], "spread": ["min-max"], "x": ["% of training"], "live": ["true"]
    }  # fmt: skip
    assert "Training (%)" in visitor.texts(1)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Losses")
    assert_untroubled(visitor)
    run.state = "finished"


# ---- from an address to a study ------------------------------------------------------------------------------------


def paste(visitor: Visitor, address: str) -> None:
    field = visitor.page.get_by_role("textbox", name="Addresses of sweeps")
    field.fill(address)
    field.blur()
    visitor.settled()


def type_key(visitor: Visitor, key: str) -> None:
    visitor.page.get_by_test_id("stMain").locator("input[type=password]").fill(key)


def assert_refused(visitor: Visitor, address: str, cloud: Cloud) -> None:
    """A visitor without a key, or with the key of another account, sees nothing of a private project."""
    before = cloud.wandb.count()
    visitor.open("new_study")
    paste(visitor, address)
    press(visitor, "Find the runs")
    alert(visitor, f"to see {PRIVATE}.").wait_for()
    assert cloud.wandb.count() == before
    type_key(visitor, OUTSIDER)
    press(visitor, "Find the runs")
    alert(visitor, f"There is no project {PRIVATE}").wait_for()
    expect(visitor.page.get_by_role("button", name="Open the study")).to_have_count(0)
    assert "acrobot-swingup" not in visitor.page.get_by_test_id("stMain").inner_text()
    assert_untroubled(visitor)


def test_a_private_sweep_from_its_address_to_its_charts(visitor, stranger, cloud):
    visitor.page.emulate_media(color_scheme="dark")
    address = f"{cloud.wandb.url}/{PRIVATE}/sweeps/{TASKS[1][1]}"
    assert_refused(stranger, address, cloud)
    visitor.open("new_study")
    cloud.wandb.forget()
    paste(visitor, address)
    type_key(visitor, BUILDS)
    press(visitor, "Find the runs")
    step = visitor.page.get_by_role("textbox", name="Detach step of acrobot-swingup", exact=True)
    step.wait_for()
    visitor.settled()
    assert cloud.requested_runs("RunParquetHistory") == []
    visitor.page.get_by_text("Keys, tasks and steps").click()
    keys = {"Task key": "task", "Seed key": "seed", "Step key": "_step", "Total steps key": "steps"}
    for label, key in keys.items():
        expect(visitor.page.get_by_role("combobox", name=label, exact=True)).to_have_value(key)
    assert findings(visitor) == []
    step.fill("50000")
    step.press("Enter")
    visitor.page.get_by_text("3 runs of 1 task in 1 sweep: 3 detached at 50,000; 5 metrics.").wait_for()
    visitor.settled()
    press(visitor, "Open the study")
    visitor.until_query("study", f"secret_{TASKS[1][1]}")
    visitor.page.locator(CHART).first.wait_for()
    visitor.settled()
    visitor.follow("Rewards")
    assert visitor.charts().count() == 1
    assert {"Train (MA 1,000)", "Eval", "n = 3"} <= set(visitor.texts())
    assert any(text.startswith("Encoder Detached50,000") for text in visitor.texts())
    assert BUILDS not in visitor.page.url
    assert_untroubled(visitor)
    assert_refused(stranger, address, cloud)
    assert cloud.wandb.leaks == []


# ---- three actions -------------------------------------------------------------------------------------------------


def told_runs() -> Iterator[FakeRun]:
    """Runs whose configs tell everything: three that were detached at half of training, three controls."""
    for seed in (1, 2, 3):
        for ratio in (0.5, None):
            config = {"task": "walk", "seed": seed, "steps": 1000, "detach_encoder_ratio": ratio}
            rows = [
                {"_step": step, "eval/return": seed + step * (2 if ratio and step > 500 else 1)}
                for step in range(10, 1001, 10)
            ]
            yield FakeRun(f"walk-{seed}-{ratio}", rows=rows, config=config, sweep="s1")


def come_by_a_link(visitor: Visitor) -> tuple[float, float]:
    """Open a page by a link with settings, the first that the server draws: the seconds to its first chart and to all of it."""
    start = time.monotonic()
    visitor.page.goto(visitor.server.address("rewards", aggregate="median", spread="min-max", x="% of training"))
    visitor.charts().first.locator("svg .mark-line path").first.wait_for()
    first_chart = time.monotonic() - start
    visitor.settled()
    first_page = time.monotonic() - start
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Rewards")
    expect(visitor.page.get_by_test_id("stSidebarNavLink")).to_have_count(len(TITLES))
    assert visitor.charts().count() == 3
    assert "Training (%)" in visitor.texts()
    assert visitor.query() == {"aggregate": ["median"], "spread": ["min-max"], "x": ["% of training"]}
    visitor.follow("Losses")
    assert visitor.query()["aggregate"] == ["median"]
    assert_untroubled(visitor)
    return first_chart, first_page


def assert_answered(visitor: Visitor) -> None:
    """The Overview of the study that was opened, with its answer and its charts, drawn by itself."""
    visitor.page.locator(CHART).first.wait_for()
    visitor.settled()
    assert urlsplit(visitor.page.url).path == "/"
    assert visitor.page.get_by_test_id("stMain").get_by_text("Rewards", exact=True).first.is_visible()
    assert visitor.charts().count() == 1
    assert_untroubled(visitor)


def test_a_servers_first_visitor_comes_by_a_link_and_then_opens_a_sweep_in_three_actions(chrome, tmp_path, capsys):
    """Address, button, button: the key is the one that W&B's own tools use on this machine."""
    with WandbServer() as wandb:
        wandb.add("lab/walks", *told_runs())
        with (
            Server(tmp_path, WANDB_BASE_URL=wandb.url, WANDB_API_KEY=KEY) as server,
            Visitor(chrome, server) as visitor,
        ):
            first_chart, first_page = come_by_a_link(visitor)
            visitor.open("new_study")
            visitor.page.get_by_text("The key of this machine's W&B login is used for").wait_for()
            assert visitor.page.locator("input[type=password]").count() == 0
            paste(visitor, f"{wandb.url}/lab/walks/sweeps/s1")
            press(visitor, "Find the runs")
            press(visitor, "Open the study")
            assert_answered(visitor)
            visitor.context.set_extra_http_headers({"X-Forwarded-For": "8.8.8.8"})
            visitor.open("new_study")
            visitor.page.locator("input[type=password]").wait_for()
            assert visitor.page.get_by_text("The key of this machine").count() == 0
            assert KEY not in server.log()
            assert server.warnings() == []
        assert wandb.leaks == []
    with capsys.disabled():
        sys.stdout.write(f"\nfirst chart {first_chart:.1f} s after the server was up, first page {first_page:.1f} s\n")


def test_three_actions_from_a_folder_of_wandb_files(visitor):
    visitor.open("runs", study="demo", out="acro0001-s1-detached", arms="control")
    visitor.follow("New study")
    paste(visitor, str(REAL))
    press(visitor, "Find the runs")
    press(visitor, "Open the study")
    visitor.page.locator(CHART).first.wait_for()
    visitor.settled()
    assert urlsplit(visitor.page.url).path == "/"
    assert set(visitor.query()) == {"study"}
    assert_untroubled(visitor)
