"""Fork pairs and single runs: from a config to finished W&B runs on disk."""

import json
import logging
import platform
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from examples.detach_agent.config import RunConfig
from examples.detach_agent.log import RunLog
from examples.detach_agent.train import Row, Trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One or two runs trained in one go.

    Parameters
    ----------
    config
        The detached run.
    sweep_id
        The sweep that its runs are logged under.
    fork
        Also continue the same history without the detach, as a control arm.
    """

    config: RunConfig
    sweep_id: str
    fork: bool

    @property
    def arms(self) -> dict[str, RunConfig]:
        """Run id to config, one for each arm."""
        name = f"{self.sweep_id}-s{self.config.seed}"
        arms = {f"{name}-detached": self.config}
        if self.fork:
            arms[f"{name}-control"] = replace(self.config, detach_step=None)
        return arms

    @property
    def new_steps(self) -> int:
        """Environment steps the job trains for; a shared history counts once."""
        shared = self.config.detach_step if self.fork and self.config.detach_step else 0
        return sum(config.steps - shared for config in self.arms.values()) + shared


def finished(run_id: str, out: Path) -> bool:
    """Whether a run of this id is whole in `out`."""
    return _receipt(run_id, out).exists()


def run_job(job: Job, out: Path) -> None:
    """Train the arms of `job` that `out` does not hold yet.

    A fork pair trains to the detach step once and saves a checkpoint there, from which both arms continue.
    """
    if all(finished(run_id, out) for run_id in job.arms):
        return
    torch.set_num_threads(1)
    checkpoint = out / "checkpoints" / f"{job.sweep_id}-s{job.config.seed}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if job.fork and not checkpoint.exists():
        _train_shared(job, checkpoint)
    for run_id, config in job.arms.items():
        if not finished(run_id, out):
            _train_arm(run_id, config, job.sweep_id, checkpoint if job.fork else None, out)
    checkpoint.unlink(missing_ok=True)


def _train_shared(job: Job, checkpoint: Path) -> None:
    """Train to the detach step and save everything there."""
    trainer, logged = Trainer(job.config), []
    name = f"{job.sweep_id}-s{job.config.seed}-shared"
    for step, row in trainer.rows(job.config.detach_step or 0):
        logged.append((step, row))
        _say_progress(name, step, row)
    trainer.save(checkpoint, logged)


def _train_arm(run_id: str, config: RunConfig, sweep_id: str, checkpoint: Path | None, out: Path) -> None:
    """Train and log one run, from `checkpoint` where there is one, and leave a receipt."""
    begun, shared = time.monotonic(), list[tuple[int, Row]]()
    if checkpoint:
        trainer, shared = Trainer.resume(config, checkpoint)
    else:
        trainer = Trainer(config)
    forked_at = trainer.step
    with RunLog(config, run_id, sweep_id, out) as log:
        for step, row in shared:
            log.write(step, row)
        for step, row in trainer.rows(config.steps):
            log.write(step, row)
            _say_progress(run_id, step, row)
    packages = ("torch", "dm_control", "mujoco", "numpy", "wandb")
    receipt = {
        "seconds": round(time.monotonic() - begun, 1),
        "new_steps": config.steps - forked_at,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }
    _receipt(run_id, out).write_text(json.dumps(receipt, indent=1))


def _receipt(run_id: str, out: Path) -> Path:
    return out / f"{run_id}.json"


def _say_progress(name: str, step: int, row: Row) -> None:
    if "eval/episode_reward" in row:
        logger.info("%s: step %s, evaluation reward %.0f", name, f"{step:,}", row["eval/episode_reward"])
