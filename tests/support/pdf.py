"""Reading PDFs with poppler: without it the tests are skipped, or fail where browser tests are required too."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.browser import REQUIRED


def read_with(tool: str, path: Path, *more: str) -> str:
    """The output of one of poppler's tools for a file."""
    if not shutil.which(tool):
        assert not REQUIRED, f"{tool} is required here and was not found: install poppler-utils"
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([tool, path, *more], capture_output=True, text=True, check=True).stdout
