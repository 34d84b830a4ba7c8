"""Pictures of every page, light and dark, 1280 pixels wide: `python -m tools.screenshots assets`."""

import sys
import tempfile
from pathlib import Path

from tests.support.app_server import ROOT, Server
from tests.support.browser import TITLES, Visitor, browser, chromium


def take_screenshots(folder: Path) -> list[Path]:
    """Write a picture of every page of the demo in both themes; the paths written."""
    paths = []
    with tempfile.TemporaryDirectory() as temporary, Server(Path(temporary)) as server, browser() as chrome:
        for scheme in ("light", "dark"):
            with Visitor(chrome, server, color_scheme=scheme) as visitor:
                visitor.open()
                for name, title in TITLES.items():
                    visitor.follow(title)
                    paths.append(visitor.screenshot(f"{name}_{scheme}", folder))
    return paths


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("Chromium is needed: install it, or name its program in the environment variable CHROMIUM.")
    for path in take_screenshots(ROOT / (sys.argv[1] if len(sys.argv) > 1 else "assets")):
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
