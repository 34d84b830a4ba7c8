"""A run's rows written as a Weights & Biases run."""

import os
import shutil
from pathlib import Path
from types import TracebackType

import wandb

from examples.detach_agent.config import RunConfig
from examples.detach_agent.train import Row


class RunLog:
    """A W&B run, offline unless `WANDB_MODE` says otherwise; a context manager.

    Parameters
    ----------
    config
        Logged whole, with `detach_encoder_ratio`.
    run_id
        The run's id. An unfinished run left by an earlier attempt under this id is removed.
    sweep_id
        The sweep the run belongs to; also its group.
    out
        Directory in which `wandb/` is made.
    """

    def __init__(self, config: RunConfig, run_id: str, sweep_id: str, out: Path) -> None:
        for unfinished in out.glob(f"wandb/offline-run-*-{run_id}"):
            shutil.rmtree(unfinished)
        settings = wandb.Settings(
            sweep_id=sweep_id,
            console="off",
            silent=True,
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        self._run = wandb.init(
            project="detach-demo",
            dir=out,
            id=run_id,
            name=run_id,
            group=sweep_id,
            config=config.logged(),
            mode=None if "WANDB_MODE" in os.environ else "offline",
            settings=settings,
        )

    def write(self, step: int, row: Row) -> None:
        """Log one row at environment step `step`."""
        self._run.log(row, step=step)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.finish(exit_code=0 if kind is None else 1)
