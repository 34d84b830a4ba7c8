"""How long the server takes for a rerun, against a page with one select box and one small layered chart.

    python -m benchmarks.rerun [--runs 100] [--rows 100000] [--repeats 7]

Prints one table: for every page, on the demo and on a large study, the median time of a rerun after a view setting
was changed to a value not seen before (`new`) and to one seen before (`seen`), as ratios to the floor measured in the
same process; the largest chart in bytes; and the resident memory at the end. The first view of a page is not counted.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PAGES = ("overview", "rewards", "losses", "detach_effect", "runs", "study")
FLOOR = """
import altair as alt
import polars as pl
import streamlit as st

shift = st.selectbox("Setting", list(range(100)), key="setting")
frame = pl.DataFrame({"x": list(range(200)), "y": [(i + shift) % 7 for i in range(200)], "low": [0] * 200, "high": [7] * 200})
base = alt.Chart(frame).encode(x="x:Q")
band = base.mark_area(opacity=0.2).encode(y="low:Q", y2="high:Q")
st.altair_chart(alt.layer(band, base.mark_line().encode(y="y:Q"), base.mark_point().encode(y="y:Q")))
"""


def make_study(folder: Path, runs: int, rows: int) -> Path:
    """Write a bundle of `runs` runs that each logged `rows` rows; its study's two arms are detached and control."""
    import numpy as np
    import polars as pl

    from lib.runs import Manifest, Run, describe, normalise, write_run
    from lib.sources import write_bundle
    from lib.study import load_study, parse_study, to_toml

    demo = load_study("demo")
    text = to_toml(demo).replace("100000", str(rows)).replace("50000", str(rows // 2))
    study = parse_study(text)
    task = study.tasks[0]
    every = {"eval/episode_reward": 500, "train/episode_reward": 100, "train/consistency_loss": 1}
    every |= {"validation_all/consistency_loss": 10, "validation_recent/consistency_loss": 10}
    step = np.arange(rows, dtype=float)
    calls = []
    for number in range(runs):
        rng = np.random.default_rng(number)
        values = {key: np.where(step % gap == 0, rng.lognormal(size=rows), np.nan) for key, gap in every.items()}
        raw = pl.DataFrame({"_step": step, **values}).with_columns(pl.col(list(every)).fill_nan(None))
        config = {"task": task.name, "seed": number // 2, "steps": rows, "detach_encoder_ratio": 0.5 * (number % 2)}
        run = Run(f"run{number}", state="finished", config=config, sweep_id=task.sweep_id[0], tasks=(task.key,))
        points, drops = normalise(raw, list(every))
        calls.append(write_run(folder / "raw", describe(run, points, drops, list(every), ("_step",)), points))
    manifest = Manifest("large", {"kind": "benchmark"}, "2026-01-01T00:00:00+00:00", str(folder / "raw"), tuple(calls))
    write_bundle(study, manifest, folder / "bundle")
    return folder / "bundle"


class Clock:
    """Measures the script runs of an AppTest: the time that the server works on a rerun.

    As on a server that has had its first visitor: scripts are compiled once, and pages/ is no app of its own.
    """

    def __init__(self) -> None:
        from streamlit.runtime.pages_manager import PagesManager
        from streamlit.runtime.scriptrunner.script_cache import ScriptCache
        from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
        from streamlit.testing.v1 import app_test

        self.last = 0.0
        run, scripts = ScriptRunner._run_script, ScriptCache()
        app_test.ScriptCache = lambda: scripts

        def timed(runner, data):
            PagesManager.uses_pages_directory = False
            began = time.perf_counter()
            run(runner, data)
            self.last = time.perf_counter() - began

        ScriptRunner._run_script = timed

    def of(self, visit, change) -> float:
        """Seconds of the rerun after a change."""
        change(visit)
        visit.run()
        if visit.exception:
            raise SystemExit(f"The page failed: {visit.exception[0].message}")
        return self.last


def floor(clock: Clock, repeats: int) -> float:
    """Median seconds of a rerun of the smallest page with a chart."""
    from streamlit.testing.v1 import AppTest

    visit = AppTest.from_string(FLOOR, default_timeout=600).run()
    return median(
        clock.of(visit, lambda v, n=n: v.selectbox(key="setting").set_value(n)) for n in range(1, repeats + 1)
    )


def measure(clock: Clock, page: str, study: object | None, repeats: int) -> tuple[float, float, int]:
    """Median seconds after new and after seen settings, and the bytes of the page's largest chart."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    from lib.app.session import widget_keys
    from lib.app.session.state import KEY, SessionState
    from lib.runs import SavedStudy

    st.cache_data.clear()
    st.cache_resource.clear()
    visit = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=600)
    if study is not None:
        visit.session_state[KEY] = SessionState(studies={"large": SavedStudy("large", study)})
        visit.query_params[widget_keys.STUDY] = "large"
    visit.switch_page(f"pages/{page}.py").run()
    changes = [
        ("spread", "std error"),
        ("aggregate", "median"),
        ("aggregate", "IQM"),
        ("spread", "min-max"),
        ("aggregate", "mean"),
        ("spread", "95% interval"),
        ("arms", ["detached"]),
    ]

    def change(key: str, value: object) -> float:
        # A page that a setting does not touch has no widget of it, but its value.
        return clock.of(visit, lambda v: v.session_state.__setitem__(key, value))

    new = [change(*one) for one in changes]
    change("arms", [])
    change("spread", "std")
    back_and_forth = ("std error", "std") * repeats
    seen = [change("spread", value) for value in back_and_forth[:repeats]]
    sizes = [
        len(chart.proto.spec) + sum(len(d.data.data) for d in chart.proto.datasets)
        for chart in visit.get("vega_lite_chart")
    ]
    return median(new), median(seen), max(sizes, default=0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_study(Path(options.make), options.runs, options.rows)
        return
    from lib.sources import bundled_study

    clock = Clock()
    base = floor(clock, options.repeats)
    versions = ", ".join(f"{name} {version(name)}" for name in ("streamlit", "altair", "polars"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} CPU cores, {memory:.0f} GB, Python {platform.python_version()}"
    print(f"{machine}, {versions}; the floor is {1000 * base:.0f} ms\n")
    print("| study | page | new, x floor | seen, x floor | largest chart, KB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        size = ["--runs", str(options.runs), "--rows", str(options.rows)]
        # In a process of its own: what it takes to make the runs is not what it takes to show them.
        subprocess.run([sys.executable, "-m", "benchmarks.rerun", "--make", folder, *size], cwd=ROOT, check=True)
        large = bundled_study(Path(folder) / "bundle")
        for name, study in (("demo", None), (f"{options.runs} x {options.rows:,}", large)):
            for page in PAGES:
                new, seen, largest = measure(clock, page, study, options.repeats)
                print(f"| {name} | {page} | {new / base:.1f} | {seen / base:.1f} | {largest / 1024:.0f} |", flush=True)
    print(f"resident memory at its highest: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
