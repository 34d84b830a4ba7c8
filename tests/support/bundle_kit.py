"""Small studies written as real bundles: runs given by their config and their points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib.runs import Manifest, Run, points_of, write_run
from lib.sources import bundled_study, write_bundle
from lib.study import DetachRule, Metric, Source, Study, Task
from tests.support.frames import history

REWARD = Metric("eval/episode_reward", "reward", "increase", label="Eval Reward")
LOSS = Metric("train/consistency_loss", "loss", "decrease", label="Consistency Loss", scale="log")
TOTAL, AT = 1000, 500


@dataclass(frozen=True)
class RunData:
    """A run with its points."""

    id: str
    config: Mapping[str, Any]
    points: Mapping[str, Sequence[tuple[int, float]]]
    sweep: str = ""
    state: str = "finished"


@dataclass(frozen=True)
class StudyParts:
    """The metrics and the task of a study; the defaults are one task, detached at a ratio of its config."""

    metrics: tuple[Metric, ...] = (REWARD, LOSS)
    task: Task = field(
        default_factory=lambda: Task("walk", TOTAL, detach=DetachRule(total_steps_key="steps", ratio_key="ratio"))
    )

    def study(self, **changes: Any) -> Study:
        """The study, its source yet to be written."""
        return replace(Study("kit", "Kit", Source("bundle", path="."), self.metrics, (self.task,)), **changes)


def curve(
    level: float, lift: float = 0.0, at: int = AT, every: int = 10, wobble: float = 0.0
) -> list[tuple[int, float]]:
    """A value that is `level` up to `at` and `level + lift` beyond it, with a wobble that no fit follows."""
    steps = range(0, TOTAL + 1, every)
    return [(s, level + (lift if s > at else 0.0) + wobble * ((s // every * 7) % 5 - 2)) for s in steps]


def run(seed: int, ratio: float | None, lift: float = 0.0, every: int = 10, **more: Any) -> RunData:
    """One seed: its reward rises by `lift` at its detach and its loss halves; at ratio 0 neither happens."""
    detached = bool(ratio)
    at = round((ratio or 0.5) * TOTAL)
    reward = curve(100.0 + seed, lift + seed / 10 if detached else 0.0, at, every, wobble=0.1)
    loss = [(s, (0.5 * 1.01**seed if detached and s > at else 1.0) * (1 + seed / 50)) for s, _ in reward]
    config = {"task": "walk", "seed": seed, "steps": TOTAL, "ratio": ratio}
    name = f"r{seed}-{ratio}"
    return RunData(name, {**config, **more}, {REWARD.key: reward, LOSS.key: loss})


def bundle(folder: Path, study: Study, runs: Sequence[RunData]) -> Study:
    """The study as it opens from a bundle of these runs."""
    written = []
    for run in runs:
        points = [(run.id, metric, step, value) for metric, values in run.points.items() for step, value in values]
        rows = history(points).lazy().collect()
        tasks = tuple(t.key for t in study.tasks if t.holds(run.config, run.sweep, "", study.task_key))
        counts = dict(rows.group_by("metric").len().sort("metric").iter_rows())
        described = Run(run.id, run.id, run.state, dict(run.config), run.sweep, tasks=tasks, rows=counts)
        described = replace(described, first_step=rows["step"].min(), last_step=rows["step"].max())
        written.append(write_run(folder / "runs", described, points_of(rows)))
    manifest = Manifest("kit", {"kind": "offline"}, "2026-01-01T00:00:00+00:00", str(folder / "runs"), tuple(written))
    write_bundle(study, manifest, folder / "kit.zip")
    return bundled_study(folder / "kit.zip")
