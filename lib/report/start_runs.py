"""What starts the runs of a plan: a W&B sweep for arms, a loop of forks for pairs."""

import json
from collections.abc import Collection
from dataclasses import replace

from lib.effects import planned_detach
from lib.study import Evidence, Study, Task

#: The group of runs that are forks.
GROUP = "forks"


def start_text(study: Study, task: Task, design: str, n: int) -> str:
    """The sweep's file, or the program, that makes `n` runs per arm, or `n` fork pairs, of a task.

    The config keys are those that the study reads; ratios are half of the training where the study types no step.
    """
    return _forks(study, task, n) if design == "fork" else _sweep(study, task, n, with_control=design == "did")


def planned_study(study: Study, tasks: Collection[str], design: str, evidence: Evidence) -> Study:
    """The study that opens the runs of a plan: what it declares, and where these tasks find their runs and the treatment."""
    changed = (_planned(task, design) if task.key in tasks else task for task in study.tasks)
    return replace(study, tasks=tuple(changed), evidence=evidence)


def _planned(task: Task, design: str) -> Task:
    rule = task.detach
    if rule.randomised:
        # The runs to come are detached at one step: they are none of those whose steps are drawn.
        task = replace(task, detach=replace(rule, randomised=None), sweep_id=(), control_sweep_id=())
    elif not rule.detach_step_key and not rule.ratio_key:
        task = replace(task, detach=replace(rule, ratio_key=_treatment(task)[0]))
    return replace(task, group=GROUP, sweep_id=(), control_sweep_id=()) if design == "fork" else task


def _treatment(task: Task) -> tuple[str, float]:
    """The config key of the treatment, and its value in a detached run."""
    rule = task.detach
    step = planned_detach(task)
    if rule.detach_step_key:
        return rule.detach_step_key, step
    elapsed = step / task.total_steps
    key = rule.ratio_key or "detach_encoder_ratio"
    return key, round(1 - elapsed if rule.ratio_counts == "remaining" else elapsed, 6)


def _sweep(study: Study, task: Task, n: int, with_control: bool) -> str:
    key, value = _treatment(task)
    values = [0, value] if with_control else [value]
    return "\n".join([
        "program: train.py",
        "method: grid",
        "parameters:",
        f"  {json.dumps(study.task_key)}: {{value: {json.dumps(task.name)}}}",
        f"  {json.dumps(study.seed_key)}: {{values: {list(range(1, n + 1))}}}",
        f"  {json.dumps(key)}: {{values: {values}}}",
    ])  # fmt: skip


def _forks(study: Study, task: Task, n: int) -> str:
    key, value = _treatment(task)
    step = planned_detach(task)
    of_task = f"{study.task_key!r}: {task.name!r}, {study.seed_key!r}: seed"
    return "\n".join([
        "# W&B counts its own steps: log with step= the environment step,",
        "# or give fork_from the _step of that row.",
        f"for seed in range(1, {n + 1}):",
        f"    config = {{{of_task}}}",
        f"    control = wandb.init(config={{**config, {key!r}: 0}}, group={GROUP!r})",
        f"    ...  # train to step {task.total_steps:_}; keep the checkpoint of step {step:_}",
        "    control.finish()",
        f"    detached = wandb.init(fork_from=f'{{control.id}}?_step={step}',",
        f"                          config={{**config, {key!r}: {value}}}, group={GROUP!r})",
        f"    ...  # from the checkpoint: detach, train to step {task.total_steps:_}",
        "    detached.finish()",
    ])  # fmt: skip
