"""Every test works in a store of its own, with no key, and calls nobody."""

import sys

import pytest

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
