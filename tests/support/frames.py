"""Tiny hand-worked inputs shared by the tests: studies, runs, histories, treatments."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from lib.runs import HISTORY, History, Manifest, Points, Run, Treatment, points_of, write_run
from lib.study import CONTROL, DetachRule, Metric, Source, Study, Task

REWARD = Metric("train/episode_reward", "reward", "increase")
EVAL = Metric("eval/episode_reward", "reward", "increase")
LOSS = Metric("loss", "loss", "decrease", scale="log")

SMALL = """
[study]
name = "small"
title = "Small"

[source]
kind = "offline"
path = "wandb"

[[metrics]]
key = "eval/episode_reward"
family = "reward"
expect = "increase"

[[tasks]]
name = "acrobot-swingup"
total_steps = 100_000

[tasks.detach]
step = 50_000
"""

Point = tuple[str, str | None, int, float | None]


def history(points: Iterable[Point]) -> History:
    """A history of (run, metric, step, value)."""
    rows = [(run, metric, step, value, None) for run, metric, step, value in points]
    return History.of_frame(pl.DataFrame(rows, schema=HISTORY, orient="row"))


def table(run_id: str, points: Sequence[Points]) -> pl.DataFrame:
    """A run's points as one table with the columns `HISTORY`."""
    frames = [p.frame.with_columns(run_id=pl.lit(run_id), metric=pl.lit(p.metric, pl.String)) for p in points]
    return pl.concat([HISTORY.to_frame(), *(frame.select(HISTORY.names()) for frame in frames)])


def series(run: str, metric: str, points: Sequence[tuple[int, float]]) -> list[Point]:
    return [(run, metric, step, value) for step, value in points]


def treatment(run: str, arm: str = "detached", at: int | None = 50, seed: str = "", total: int = 100) -> Treatment:
    at = None if arm == CONTROL else at
    return Treatment(
        run_id=run,
        task="task",
        arm=arm,
        seed=seed or run,
        detach_step=at,
        detach_source="" if at is None else "typed",
        ratio=None if at is None else at / total,
        signal="",
        last_step=total,
        state="finished",
    )


def study(rule: DetachRule | None = None, total: int = 100_000, **changes) -> Study:
    task = Task(name="task", total_steps=total, detach=rule or DetachRule())
    built = Study("kit", "Kit", Source("offline", path="."), (REWARD, LOSS), (task,))
    return replace(built, **changes)


def manifest(folder: Path, runs: Sequence[tuple[Run, Sequence[Point]]] = ()) -> Manifest:
    """A manifest of runs that all belong to task "task", their histories written below `folder`."""
    written = []
    for run, points in runs:
        own_rows = history(points).lazy().collect()
        counts = own_rows.drop_nulls("metric").group_by("metric").len().sort("metric")
        last = own_rows["step"].max() if len(own_rows) else run.last_step
        stored_run = replace(run, tasks=run.tasks or ("task",), last_step=last, rows=dict(counts.iter_rows()))
        written.append(write_run(folder, stored_run, points_of(own_rows)))
    return Manifest("kit", {"kind": "offline"}, "2026-01-01T00:00:00+00:00", str(folder), tuple(written))
