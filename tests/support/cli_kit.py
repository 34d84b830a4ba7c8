"""The command line, called from tests."""

import json
from pathlib import Path

from lib.__main__ import main
from tests.support.frames import SMALL
from tests.support.wandb_files import REAL


def study_file(folder: Path, path: str | Path = REAL, text: str = SMALL) -> str:
    file = folder / "small.toml"
    file.write_text(text.replace('path = "wandb"', f"path = {json.dumps(str(path))}"), encoding="utf-8")
    return str(file)


def said(capsys, *arguments, code: int) -> str:
    """What a command that gives nothing on stdout says on stderr."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    return err
