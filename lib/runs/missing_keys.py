"""What a study says and no run does, keys, ids and total steps: most often it is mistyped."""

from collections.abc import Iterable, Iterator, Sequence

from lib.formatting import listing
from lib.runs.detach import run_total
from lib.runs.model import Manifest, Run
from lib.study import Study, Task, has_config_key

#: A run goes on beyond its total steps where these are less than this share of its last step.
_SHARE = 0.95
_NO_CONTROL = "no run is called control for want of it"
#: What is done without a key, by the setting that names it.
_WITHOUT = {
    "seed_key": "the id of a run stands for its seed",
    "total_steps_key": "the study's total steps are used",
    "ratio_key": _NO_CONTROL,
    "detach_step_key": _NO_CONTROL,
    "frozen_when": _NO_CONTROL,
    "unchanged_when": _NO_CONTROL,
    "[arms] key": "arms are named by their detach steps",
    "[arms] also": "it is no part of the treatment",
}


def missing_config_keys(study: Study, task: Task, runs: Sequence[Run]) -> dict[str, str]:
    """The config keys that the study names and none of a task's runs has, each with the setting that names it."""
    named: dict[str, str] = {}
    for setting, key in study.config_keys(task):
        named.setdefault(key, setting)
    return {
        key: setting
        for key, setting in named.items()
        if runs and not any(has_config_key(run.config, key) for run in runs)
    }


def missing_keys(study: Study, manifest: Manifest) -> list[str]:
    """Keys, runs to leave out and total steps of the study that no run has, is or keeps to, a sentence each.

    What is among the manifest's problems is not said again. Where no run could be read, nothing is said of logged keys.
    """
    tasks: dict[tuple[str, str], list[Task]] = {}
    for task in study.tasks:
        runs = manifest.of_task(task.key)
        signal = task.detach.signal
        if signal and any(run.file for run in runs) and not any(run.rows.get(signal.key) for run in runs):
            tasks.setdefault(("logged", signal.key), []).append(task)
        for key, setting in missing_config_keys(study, task, runs).items():
            tasks.setdefault((setting, key), []).append(task)
    ids = {run.id for run in manifest.runs}
    absent = [run_id for run_id, _ in study.evidence.leave_out if run_id not in ids]
    lines = [*_silent_metrics(study, manifest), *_low_totals(study, manifest), *_empty_sweeps(study, manifest)]
    lines += [f"No run has the id '{run_id}': check [evidence] leave_out." for run_id in absent]
    for (setting, key), lacking in tasks.items():
        of = "" if len(lacking) == len(study.tasks) else f" of {listing(task.title for task in lacking)}"
        if setting == "logged":
            lines.append(f"No run{of} logged '{key}': check detach.signal; no detach can be checked.")
        else:
            lines.append(f"No run{of} has '{key}' in its config: check {setting}; {_WITHOUT[setting]}.")
    messages = {problem.message for problem in manifest.problems}
    return [line for line in lines if line not in messages]


def _low_totals(study: Study, manifest: Manifest) -> Iterator[str]:
    """A sentence on each task whose runs all go on beyond its total steps, of which ratios and windows are fractions."""
    for task in study.tasks:
        runs = [run for run in manifest.of_task(task.key) if run.last_step is not None]
        if runs and all(_SHARE * (run.last_step or 0) > run_total(task, run.config) for run in runs):
            end = min(run.last_step or 0 for run in runs)
            yield f"Every run of {task.title} goes on beyond its total steps, to {end:,} at least: check total_steps."


def _empty_sweeps(study: Study, manifest: Manifest) -> Iterator[str]:
    """A sentence on each sweep of a task that has runs in others and none in it."""
    for task in study.tasks:
        sweeps = {run.sweep_id for run in manifest.of_task(task.key)}
        for sweep in task.sweeps if sweeps else ():
            if sweep not in sweeps:
                setting = "control_sweep_id" if sweep in task.control_sweep_id else "sweep_id"
                yield f"No run of {task.title} is in sweep {sweep}: check {setting}."


def _silent_metrics(study: Study, manifest: Manifest) -> list[str]:
    """Metrics without a row in any run, a sentence each; those that lack but a step say so together."""
    if not any(run.file for run in manifest.runs):
        return []
    silent = [m.key for m in study.metrics if not any(run.rows.get(m.key) for run in manifest.runs)]
    logged = {key for run in manifest.runs for key in run.keys}
    if logged.isdisjoint(silent) or any(key.startswith("_") or key in logged for key in study.step_key):
        return [silent_metric_text(key, manifest.runs) for key in silent]
    steps = listing((f"'{key}'" for key in study.step_key), "or")
    return [
        f"No run logged {steps}: check step_key.",
        *(silent_metric_text(key, manifest.runs) for key in silent if key not in logged),
    ]


def silent_metric_text(key: str, runs: Iterable[Run]) -> str:
    """A sentence on a metric without a point in any of these runs: none logged it, or why its rows are dropped."""
    reasons = sorted({drop.reason for run in runs for drop in run.drops if drop.metric == key})
    if not reasons:
        return f"No run logged '{key}': check the metric's key."
    what = "step_key" if all("step" in reason for reason in reasons) else "what is logged under it"
    return f"Every row of '{key}' is left out: {listing(reasons)}. Check {what}."
