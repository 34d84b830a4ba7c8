"""Every test has an empty store and no key, and reaches no other host. Browser tests share a browser and a server."""

import fcntl
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from lib.__main__ import main
from tests.support.app_server import Server
from tests.support.browser import REQUIRED, Visitor, assert_untroubled, browser, chromium

# No deadline: how long an example takes depends on the machine. `make check` takes the quick profile.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("project", deadline=None, max_examples=200)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("project")

MAIN = sys.modules["__main__"]

UNSET = (
    "WANDB_API_KEY",
    "WANDB_BASE_URL",
    "WANDB_ENTITY",
    "WANDB_PROJECT",
    "WANDB_IDENTITY_TOKEN_FILE",
    "WANDB_MODE",
)


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """The main module is pytest's: an AppTest leaves the app in its place, and a spawned process would run that."""
    monkeypatch.setitem(sys.modules, "__main__", MAIN)


def isolate(base: Path, patch: pytest.MonkeyPatch) -> None:
    """Folders of the store and of W&B and a netrc, none of which is there yet; no key. HOME stays: it has browsers and fonts."""
    folders = {
        "DETACH_STORE": base / "store",
        "WANDB_DIR": base / "wandb",
        "WANDB_CACHE_DIR": base / "wandb-cache",
        "WANDB_CONFIG_DIR": base / "wandb-config",
        "WANDB_DATA_DIR": base / "wandb-data",
    }
    for name, folder in folders.items():
        patch.setenv(name, str(folder))
    patch.setenv("NETRC", str(base / "netrc"))
    patch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in UNSET:
        patch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def isolated_session(tmp_path_factory):
    """The environment of fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(tmp_path_factory.mktemp("session"), patch)
        yield


@pytest.fixture(autouse=True)
def isolated_folders(tmp_path_factory, monkeypatch):
    """The folder of this test's environment; `tmp_path` itself stays empty, so that a test may list it."""
    base = tmp_path_factory.mktemp("isolated")
    isolate(base, monkeypatch)
    return base


def pytest_collection_modifyitems(items):
    """Without a browser its tests are skipped, unless they are required."""
    if REQUIRED or chromium():
        return
    missing = pytest.mark.skip(
        reason="no Chromium here: install it, or name its program in the environment variable CHROMIUM"
    )
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(missing)


@pytest.fixture(scope="session")
def demo_report(tmp_path_factory):
    """The folder of the demo's whole report, in the formats that need no drawing besides html; made by the first worker."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    out = shared / "demo-report" / "new" / "results"
    with (shared / "demo-report.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            assert main(["report", "demo", "--out", str(out), "--formats", "html,csv,parquet"]) == 0
    return out


@pytest.fixture
def cloud(monkeypatch):
    """A W&B server with the runs of studies/detach_encoder.toml; the app's environment points at it."""
    from tests.support.app_kit import fill
    from tests.support.wandb_server import KEY, WandbServer

    with WandbServer() as server:
        fill(server)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


@pytest.fixture(scope="session")
def chrome():
    """The browser; where one is required and missing, its tests fail here."""
    assert chromium(), "Chromium is required here and was not found: install it, or set CHROMIUM"
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The app's server on the demo; its log must hold no warning at the end."""
    with Server(tmp_path_factory.mktemp("app")) as server:
        yield server
        assert server.warnings() == []


@pytest.fixture(scope="session")
def first_visitor(chrome, app):
    """A visitor whose browser keeps what it compiled of the app from test to test."""
    with Visitor(chrome, app) as started:
        yield started


@pytest.fixture(scope="session")
def second_visitor(chrome, app):
    """Another one, in a browser context of its own."""
    with Visitor(chrome, app) as started:
        yield started


@pytest.fixture
def visitor(first_visitor, app):
    """A visitor at 1280 x 900, of an app in which no other test's studies are."""
    app.forget_studies()
    first_visitor.reset()
    yield first_visitor
    assert_untroubled(first_visitor)


@pytest.fixture
def another_visitor(second_visitor):
    """Another person at 1280 x 900."""
    second_visitor.reset()
    yield second_visitor
    assert_untroubled(second_visitor)
