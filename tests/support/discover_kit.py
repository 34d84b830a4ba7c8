"""Inspections of runs that are made up, for tests of what is proposed."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.discover import Finding, Inspection, Proposal
from lib.runs import Run
from lib.study import Source


def run(
    name: str = "r",
    last: int | None = 1000,
    sweep: str = "s",
    keys: Sequence[str] = ("train/loss",),
    state: str = "finished",
    logged: Mapping[str, float] | None = None,
    **config: Any,
) -> Run:
    """A run as a listing has it: `config` on top of a task, a seed and 1,000 steps, and the last values it logged."""
    config = {"task": "walk", "seed": 1, "steps": 1000} | config
    config = {k: v for k, v in config.items() if v != "gone"}
    keys = (*keys, *(logged or {}))
    return Run(
        name, state=state, config=config, sweep_id=sweep, keys=keys, last_step=last, last_values=dict(logged or {})
    )


def looked(*runs: Run, **more: Any) -> Inspection:
    """What an inspection of a project returns."""
    return Inspection(Source("wandb", "e", "p"), "p s", runs, **more)


def finding(proposal: Proposal, what: str) -> Finding:
    """The one finding of that name."""
    (only,) = [f for f in proposal.findings if f.what == what]
    return only
