"""A stored history that is removed while the program reads it."""

from pathlib import Path

import pytest

from lib import __main__ as command_line
from lib.sources import fetch
from lib.study import to_toml
from tests.support.app_kit import go, plain, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import StudyParts, bundle, run

SENTENCE = "The stored history of run r1-0.5 is gone: fetch the study again."


@pytest.fixture
def kit(tmp_path):
    """A study of two runs, and the file of one of them."""
    study = bundle(tmp_path, StudyParts().study(), [run(1, 0.5), run(2, 0.0)])
    manifest = fetch(study)
    return study, Path(manifest.folder) / "runs" / "r1-0.5.parquet", manifest


@pytest.mark.parametrize("page", ["overview", "rewards", "losses", "detach_effect", "runs"])
def test_a_page_says_that_a_history_is_gone(kit, page):
    study, path, _ = kit
    at = visit("study", study)
    path.unlink()
    go(at, page)
    assert [plain(error.value) for error in at.error] == [SENTENCE]


def test_a_command_says_that_a_history_is_gone(kit, tmp_path, capsys, monkeypatch):
    study, path, manifest = kit

    def fetched(*_: object) -> object:
        path.unlink(missing_ok=True)
        return manifest

    monkeypatch.setattr(command_line, "_fetched_or_stored", fetched)
    file = tmp_path / "kit.toml"
    file.write_text(to_toml(study))
    assert command_line.main(["report", str(file), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == SENTENCE
