"""Every test works in a store of its own, with no key, and calls nobody. Browser tests share a server and a browser."""

import sys

import pytest
from hypothesis import settings

from tests.support.browser import REQUIRED, Server, Visitor, browser, chromium, untroubled

# How long an example takes says something of the machine, not of the code.
settings.register_profile("project", deadline=None)
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
def own_main(monkeypatch):
    """The main module is pytest's: an AppTest leaves the app in its place, and a spawned process would run that."""
    monkeypatch.setitem(sys.modules, "__main__", MAIN)


@pytest.fixture(autouse=True)
def apart(tmp_path_factory, monkeypatch):
    """The store and W&B's own folders are empty ones, the netrc is one that is not there, and no key is set.

    `tmp_path` itself stays empty, so that a test may list it. HOME is left alone: browsers and fonts live there.
    """
    base = tmp_path_factory.mktemp("apart")
    folders = {
        "DETACH_STORE": base / "store",
        "WANDB_DIR": base / "wandb",
        "WANDB_CACHE_DIR": base / "wandb-cache",
        "WANDB_CONFIG_DIR": base / "wandb-config",
        "WANDB_DATA_DIR": base / "wandb-data",
    }
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("NETRC", str(base / "netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
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


@pytest.fixture(scope="module")
def chrome():
    """The browser; without one the tests fail here, since they are required."""
    assert chromium(), "Chromium is required here and was not found: install it, or set CHROMIUM"
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The app's server on the demo, which must have had nothing to complain about."""
    with Server(tmp_path_factory.mktemp("app")) as started:
        yield started
        assert started.complaints() == []


@pytest.fixture
def visitor(chrome, app):
    """A visitor at 1280 x 900."""
    with Visitor(chrome, app) as one:
        yield one
        untroubled(one)
