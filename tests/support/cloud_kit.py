"""What the tests of the W&B source share: a study over the loopback server, and points to compare."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import polars as pl

from lib.runs import Manifest
from lib.sources import Request, fetch
from lib.study import Study, parse_study
from tests.support.wandb_server import KEY, FakeRun, WandbServer

PLACE = "team/walks"
TASK = '[[tasks]]\nname = "walk"\nsweep_id = "s1"\ntotal_steps = 1000\n'


def study(
    server: WandbServer | str,
    metrics: Sequence[str] = ("loss",),
    tasks: str = TASK,
    heading: str = "",
    name: str = "study",
) -> Study:
    """A study of the project on the server."""
    url = server if isinstance(server, str) else server.url
    entity, project = PLACE.split("/")
    text = f'[study]\nname = "{name}"\ntitle = "Walks"\n{heading}\n[source]\nkind = "wandb"\n'
    text += f'entity = "{entity}"\nproject = "{project}"\nbase_url = "{url}"\n'
    text += "".join(f'[[metrics]]\nkey = "{key}"\nfamily = "loss"\nexpect = "decrease"\n' for key in metrics)
    return parse_study(text + tasks)


def rows(first: int, last: int, **more: Any) -> list[dict[str, Any]]:
    """One row per step, the loss being the step's double; further keys are functions of the step or values."""
    calls = []
    for step in range(first, last + 1):
        row = {"_step": step, "_timestamp": 1e9 + step, "loss": 2.0 * step}
        calls.append(row | {k: v(step) if callable(v) else v for k, v in more.items()})
    return calls


def walk(run_id: str, logged: list[dict[str, Any]] | None = None, **more: Any) -> FakeRun:
    """A run of the task in the sweep, ten rows by default."""
    options = {"config": {"task": "walk", "seed": 1}, "sweep": "s1"} | more
    return FakeRun(run_id, rows=rows(0, 9) if logged is None else logged, **options)


def bring(study: Study, **options: Any) -> Manifest:
    """Fetch with the key that the server knows and a generous deadline, unless the options say otherwise."""
    return fetch(study, Request(**({"key": KEY, "deadline": 60.0} | options)))


def points(manifest: Manifest, run_id: str, metric: str = "loss") -> dict[int, float]:
    """The values of a run's metric by step."""
    values = manifest.history().lazy().filter(pl.col("run_id") == run_id, pl.col("metric") == metric)
    return dict(values.select("step", "value").collect().iter_rows())


def bring_and_leave(url: str, store: str, deadline: float) -> None:
    """What a process of its own does: fetch into a store, exit with the number of problems."""
    os.environ["DETACH_STORE"] = store
    sys.exit(len(bring(study(url), deadline=deadline).problems))
