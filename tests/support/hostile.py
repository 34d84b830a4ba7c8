"""A bundle of which everything that its author, its runs or its server name is hostile to a page that reads Markdown."""

from dataclasses import replace
from pathlib import Path

from lib.runs import Problem
from lib.sources import fetch, write_bundle
from tests.support.bundle_kit import LOSS, REWARD, StudyParts, bundle, run

#: Opens an image, a link, mathematics, a colour, an icon, emphasis and a tag, were it read as Markdown.
HOSTILE = "![x](http://evil.invalid/x.png) $x$ :red[r] :material/skull: *e* `c` <b>b</b> [l](javascript:1)"


def hostile_bundle(folder: Path) -> Path:
    """The bundle, written below the folder."""
    metrics = (replace(REWARD, label=f"R {HOSTILE}"), replace(LOSS, label=f"L {HOSTILE}"))
    kit = StudyParts(metrics=metrics, task=replace(StudyParts().task, display_name=f"T {HOSTILE}"))
    more = {"odd": HOSTILE, f"k{HOSTILE}": 1}
    runs = [run(seed, ratio, 10.0, **(more if seed == 1 else {})) for seed in (1, 2, 3) for ratio in (0.5, 0.0)]
    runs = [
        replace(r, id=f"{r.id} {HOSTILE}", config=r.config | {"seed": f"{r.config['seed']} {HOSTILE}"}) for r in runs
    ]
    example = kit.study(title=f"S {HOSTILE}", hypothesis=f"H {HOSTILE}")
    bundled = bundle(folder, example, runs)
    manifest = fetch(bundled)
    problems = (Problem(f"P {HOSTILE}", task="walk"), Problem(f"Q {HOSTILE}", run_id=manifest.runs[0].id))
    stored_run = tuple(
        replace(r, warnings=(f"W {HOSTILE}",), name=HOSTILE, state=f"x{HOSTILE}", url="javascript:alert(1)")
        for r in manifest.runs
    )
    write_bundle(bundled, replace(manifest, runs=stored_run, problems=problems), folder / "hostile.zip")
    return folder / "hostile.zip"
