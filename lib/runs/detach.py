"""Each run's detach step, where the step came from, and the arm of the run."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from lib.runs.model import BranchPoint, Duplicate, Manifest, Run
from lib.study import CONTROL, DETACHED, UNKNOWN, DetachRule, Signal, Study, Task, value_text


def detach_step(rule: DetachRule, config: Mapping[str, Any], total_steps: int) -> tuple[int | None, str, list[str]]:
    """The detach step of a run, by the rule of its task.

    Config wins over the typed step. A ratio that is null or 0 means never detached; so does a missing one where
    no step is typed, since nothing then says otherwise.

    Returns
    -------
    step : in environment steps, None for the control arm.
    source : `config`, `typed`, or empty where nothing says anything.
    warnings : what does not fit, a sentence each.
    """
    if not rule.ratio_key or rule.ratio_key not in config:
        return _typed(rule)
    ratio = config[rule.ratio_key]
    if ratio is None or ratio == 0:
        return None, "config", []
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= 1:
        return _typed(rule, f"{rule.ratio_key} is {ratio!r}, not a fraction")
    if absent := [key for key, _ in rule.frozen_when if key not in config]:
        return _typed(rule, f"{absent[0]} is not in its config")
    for key, value in rule.frozen_when:
        if config[key] != value:
            return None, "config", [f"{key} is {config[key]!r}, so the encoder was never frozen"]
    total, warnings = _total(rule, config, total_steps)
    step = round((ratio if rule.ratio_counts == "elapsed" else 1 - ratio) * total)
    if rule.step is not None and rule.step != step:
        warnings.append(f"typed detach step {rule.step:,} but config says {step:,}: config is used")
    return step, "config", warnings


def _typed(rule: DetachRule, reason: str = "") -> tuple[int | None, str, list[str]]:
    """The typed step, as `detach_step` returns it; `reason` is why config does not say."""
    fallback = "the typed step is used" if rule.step else "the run counts as never detached"
    return rule.step, "typed" if rule.step else "", [f"{reason}: {fallback}"] if reason else []


@dataclass(frozen=True)
class Treatment:
    """One run's place in the experiment of one task.

    `detach_step` is T in environment steps, None in the arms `control` and `unknown`; `detach_source` says who knows it (`typed`,
    `config`, or empty); `ratio` is the elapsed fraction of training at T; `signal` is `agrees`, `disagrees`,
    `not logged`, `not reached`, or empty where the study names none. `branch_point` is that of a fork. `duplicates` and
    `reason_left_out` (as the study declares it) come from `lib.runs.duplicates`.
    """

    run_id: str
    task: str
    arm: str
    seed: str
    detach_step: int | None
    detach_source: str
    ratio: float | None
    signal: str
    last_step: int | None
    state: str
    warnings: tuple[str, ...] = ()
    branch_point: BranchPoint | None = None
    duplicates: tuple[Duplicate, ...] = ()
    reason_left_out: str = ""

    @property
    def is_control(self) -> bool:
        """Whether the run was never detached; of a run without a detach step in the arm `unknown` nobody knows."""
        return self.arm == CONTROL


def treatments(study: Study, manifest: Manifest, left_out: Collection[str] = ()) -> tuple[Treatment, ...]:
    """The treatment of every run of every task, in the order of the study's tasks, arms and seeds.

    Parameters
    ----------
    left_out : ids of runs that the user set aside.
    """
    treated: list[Treatment] = []
    for task in study.tasks:
        # Runs set aside still count when arms are named, so that leaving one out renames nothing.
        runs = manifest.of_task(task.key)
        seen = _signal_steps(manifest, runs, task.detach.signal)
        of_task = [_treatment(study, task, run, seen.get(run.id)) for run in runs]
        treated += sorted(_name_arms(study, task, of_task, runs), key=_order)
    return tuple(t for t in treated if t.run_id not in left_out)


def of_task(treated: Sequence[Treatment], task: str) -> tuple[Treatment, ...]:
    """The treatments of one task, by its id."""
    return tuple(t for t in treated if t.task == task)


def arms_of(treated: Sequence[Treatment]) -> tuple[str, ...]:
    """The arms present: detached ones, the control, unknown."""
    return tuple(sorted({t.arm for t in treated}, key=arm_place))


def arm_place(arm: str) -> tuple[int, str]:
    """What arms are sorted by: detached ones by name, the control, unknown."""
    return (CONTROL, UNKNOWN).index(arm) + 1 if arm in (CONTROL, UNKNOWN) else 0, arm


def anchor(treated: Sequence[Treatment]) -> int:
    """The step that a task's aligned bins start from when a run has no detach step of its own.

    It is the detach step the runs share; 0 where they share none (never detached, or randomised).
    """
    steps = {t.detach_step for t in treated if t.detach_step is not None}
    return steps.pop() if len(steps) == 1 else 0


def _order(treatment: Treatment) -> tuple[tuple[int, str], int, str]:
    seed = treatment.seed
    number = int(seed) if re.fullmatch("-?[0-9]{1,18}", seed) else 0
    return arm_place(treatment.arm), number, seed + treatment.run_id


def _treatment(study: Study, task: Task, run: Run, seen: tuple[int | None, int | None] | None) -> Treatment:
    rule = task.detach
    step, source, warnings = detach_step(rule, run.config, task.total_steps)
    signal, warning = _check_signal(rule.signal, step, run.last_step, seen)
    seed = run.config.get(study.seed_key)
    return Treatment(
        run_id=run.id,
        task=task.key,
        arm=CONTROL if step is None else DETACHED,
        seed=run.id if seed is None else value_text(seed),
        detach_step=step,
        detach_source=source,
        ratio=None if step is None else step / (_own_total(rule, run.config) or task.total_steps),
        signal=signal,
        last_step=run.last_step,
        state=run.state,
        warnings=tuple(warnings + ([warning] if warning else [])),
        branch_point=run.branch_point,
    )


def _own_total(rule: DetachRule, config: Mapping[str, Any]) -> float | None:
    """The total steps that a run's config names, None where it names none that can be."""
    total = config.get(rule.total_steps_key) if rule.total_steps_key else None
    possible = isinstance(total, int | float) and not isinstance(total, bool) and 0 < total < inf
    return total if possible else None


def _total(rule: DetachRule, config: Mapping[str, Any], total_steps: int) -> tuple[float, list[str]]:
    """The total steps that a ratio is a fraction of, and a warning where config and study differ."""
    total = _own_total(rule, config)
    if not rule.total_steps_key or total == total_steps:
        return total_steps, []
    if total is None:
        value = config.get(rule.total_steps_key)
        return total_steps, [f"{rule.total_steps_key} is {value!r}: the study's {total_steps:,} steps are used"]
    return total, [f"{rule.total_steps_key} is {total:,} but the study says {total_steps:,}: config is used"]


def _signal_steps(
    manifest: Manifest, runs: Sequence[Run], signal: Signal | None
) -> dict[str, tuple[int | None, int | None]]:
    """By run, the signal's last step above its resting value and the first one at it afterwards."""
    if signal is None:
        return {}
    history, steps = manifest.history(runs), {}
    for run in runs:
        step, value = history.series(run.id, signal.key)
        step, above = step[np.isfinite(value)], value[np.isfinite(value)] > signal.falls_to
        last_above = step[above].max(initial=-1)
        resting = step[~above & (step > last_above)]
        if len(step):
            steps[run.id] = int(last_above) if above.any() else None, int(resting[0]) if len(resting) else None
    return steps


def _check_signal(
    signal: Signal | None, step: int | None, last: int | None, seen: tuple[int | None, int | None] | None
) -> tuple[str, str]:
    """Whether the logged signal agrees with the detach step, and the warning where it does not."""
    if signal is None:
        return "", ""
    if seen is None:
        return "not logged", f"{signal.key} is not logged: the detach cannot be checked"
    above, at = seen
    if step is None:
        if at is None:
            return "agrees", ""
        return "disagrees", f"never detached by its config, but {signal.key} falls to {signal.falls_to:g} by {at:,}"
    if at is None and above is not None and above <= step:
        if last is not None and last <= step:
            return "not reached", ""
        return "not logged", f"{signal.key} is not logged after detach step {step:,}: the detach cannot be checked"
    if at is None:
        return "disagrees", f"detach step {step:,}, but {signal.key} never falls to {signal.falls_to:g}"
    if (above is None or above <= step) and step <= at:
        return "agrees", ""
    between = f"between {above:,} and {at:,}" if above is not None else f"by {at:,}"
    return "disagrees", f"detach step {step:,}, but {signal.key} falls to {signal.falls_to:g} {between}"


def _name_arms(study: Study, task: Task, treated: list[Treatment], runs: Sequence[Run]) -> list[Treatment]:
    """Tell the detached arms apart where there are several; a randomised design is one arm."""
    if study.arms:
        labels, key = dict(study.arms.labels), study.arms.key
        values = {run.id: value_text(run.config[key]) for run in runs if run.config.get(key) is not None}
        names = {run: labels.get(value, f"{DETACHED} {value}") for run, value in values.items()}
        return [t if t.detach_step is None else replace(t, arm=names.get(t.run_id, DETACHED)) for t in treated]
    ratios = {_ratio_text(t) for t in treated if t.ratio is not None}
    if len(ratios) < 2 or task.detach.randomised:
        return treated
    return [t if t.ratio is None else replace(t, arm=f"{DETACHED} {_ratio_text(t)}") for t in treated]


def _ratio_text(treatment: Treatment) -> str:
    return f"{treatment.ratio:.4g}"
