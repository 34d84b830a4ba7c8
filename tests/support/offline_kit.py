"""Local runs, written by hand."""

from dataclasses import replace

from lib.study import Metric, Source, Study, Task
from tests.support.wandb_files import row_message, run_message

EVAL = Metric("eval/episode_reward", "reward", "increase")


def study(folder, *names, metrics=(EVAL,), **changes) -> Study:
    tasks = tuple(Task(name, 100) for name in names or ("t",))
    return replace(Study("s", "S", Source("offline", path=str(folder)), metrics, tasks), **changes)


def values(manifest, run_id="r1", metric=EVAL.key):
    steps, rows = manifest.history().series(run_id, metric)
    return dict(zip(steps.tolist(), rows.tolist(), strict=True))


def start(run_id="r1", seconds=0, branch=None, task="t", **fields):
    return run_message(run_id, {"task": task}, start=seconds, branch=branch, **fields)


def logged(steps, value=0.0, **more):
    return [row_message({"_step": step, EVAL.key: value + step, **more}) for step in steps]
