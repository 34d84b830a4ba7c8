"""Files and folders aside of writers that were killed go at the next start; those of living ones stay."""

import os
import subprocess
import sys
import time
from pathlib import Path

from lib.report import check_folder
from lib.runs import remove_leftovers, temporary_prefix

WRITE = """
import sys, time
from pathlib import Path
from lib.runs import stage, temporary_prefix
stage(Path(sys.argv[1]) / "file", lambda path: path.write_bytes(b"half"))
(Path(sys.argv[1]) / "below").mkdir()
folder = Path(sys.argv[1]) / "below" / (temporary_prefix() + "x")
folder.mkdir()
(folder / "part").write_bytes(b"half")
print("ready", flush=True)
time.sleep(60)
"""


def asides(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".aside-*") if not path.is_dir() or any(path.iterdir())]


def test_what_a_killed_writer_left_goes_and_a_living_writer_s_stays(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "ready\n"
        assert len(asides(tmp_path)) == 2
        remove_leftovers(tmp_path.rglob(".*"))
        assert len(asides(tmp_path)) == 2
    finally:
        writer.kill()
        writer.wait()
    remove_leftovers(tmp_path.rglob(".*"))
    assert list(tmp_path.rglob(".aside-*")) == []


def test_names_of_other_machines_and_versions_go_after_a_day(tmp_path):
    names = [".aside-other-1-0123abcd-x", ".aside-abc123"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path.rglob(".*"))
    assert len(asides(tmp_path)) == 2
    for name in names:
        os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    (tmp_path / ".other").write_bytes(b"")
    os.utime(tmp_path / ".other", (time.time() - 90_000,) * 2)
    remove_leftovers(tmp_path.rglob(".*"))
    assert [path.name for path in tmp_path.iterdir()] == [".other"]


def test_a_report_s_folder_is_cleared_of_them(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    name = temporary_prefix().replace(f"-{os.getpid()}-", f"-{gone.stdout.strip()}-")
    (tmp_path / f"{name}x").write_bytes(b"")
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
