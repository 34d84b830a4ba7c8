"""Which runs are counted: no copy of another run, none that a rerun superseded, none that the study leaves out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from lib.runs.arms import Treatment, task_treatments
from lib.runs.configs import settings
from lib.runs.copies import copies, row_counts
from lib.runs.model import Duplicate, Manifest
from lib.runs.reader import History
from lib.study import UNKNOWN, Study, Task, config_value

#: A run that ends before this share of the common end ended early.
WHOLE = 0.95
#: The state of a run that goes on; every other state is an end.
RUNNING = "running"


def common_end(ends: Sequence[tuple[int, str]], total_steps: int) -> int:
    """The step up to which runs are compared, from the last step and state of each.

    It is the largest end of those that are neither running nor crashed, else the smallest of the running ones, else the
    largest of all; at most the total steps.
    """
    finished = [step for step, state in ends if state in ("finished", "")]
    running = [step for step, state in ends if state == RUNNING]
    end = max(finished) if finished else min(running) if running else max((step for step, _ in ends), default=0)
    return min(total_steps, end)


def with_duplicates(
    study: Study,
    task: Task,
    treatments: Sequence[Treatment],
    configs: Mapping[str, Mapping[str, Any]],
    history: History,
    keys: Sequence[str],
) -> tuple[Treatment, ...]:
    """The treatments of one task, each with its duplicates and the reason for which the study leaves it out.

    Parameters
    ----------
    configs : by run id; without a seed in it, a run has no duplicates but its copies.
    history : raw rows; other runs' rows do no harm.
    keys : the study's metrics; those with few rows first, which most often settle the question.
    """
    reasons = dict(study.evidence.leave_out)
    ends = [(t.last_step or 0, t.state) for t in treatments if t.run_id not in reasons]
    whole = WHOLE * common_end(ends, task.total_steps)
    # Runs of unknown arm are never compared: none of them counts for a seed.
    seeds = {t.run_id: t.seed for t in treatments if t.arm != UNKNOWN and _has_seed(study, configs.get(t.run_id, {}))}
    duplicates = {}
    for _, group in groupby(sorted(treatments, key=_place), key=_place):
        runs = _longest_first([*group], history, keys)
        originals = copies(history, [t.run_id for t in runs], keys)
        by_seed: dict[str, list[Treatment]] = {}
        for t in runs:
            if t.run_id in seeds:
                by_seed.setdefault(t.seed, []).append(t)
        for run in runs:
            same_seed = [t for t in by_seed.get(seeds.get(run.run_id, ""), ()) if t is not run]
            again = [_same_seed(run, t, configs, whole) for t in same_seed if t.run_id not in originals[run.run_id]]
            duplicates[run.run_id] = (*(Duplicate("copy", of) for of in originals[run.run_id]), *again)
    return tuple(
        replace(t, duplicates=duplicates[t.run_id], reason_left_out=reasons.get(t.run_id, "")) for t in treatments
    )


def _place(treatment: Treatment) -> tuple[str, int]:
    return treatment.arm, -1 if treatment.detach_step is None else treatment.detach_step


def _longest_first(treatments: list[Treatment], history: History, keys: Sequence[str]) -> list[Treatment]:
    """The runs in the order in which a copy counts: the last to end, of those the one with the most rows of a metric."""
    if len(treatments) < 2:
        return treatments
    ids = [t.run_id for t in treatments]
    by_key = (row_counts(history, ids, key) for key in keys)
    rows = dict(zip(ids, next((counts for counts in by_key if any(counts)), [0] * len(ids)), strict=True))
    return sorted(treatments, key=lambda t: (-(t.last_step or 0), -rows[t.run_id], t.state != "finished", t.run_id))


def _has_seed(study: Study, config: Mapping[str, Any]) -> bool:
    return config_value(config, study.seed_key) is not None


def _same_seed(run: Treatment, other: Treatment, configs: Mapping[str, Mapping[str, Any]], whole: float) -> Duplicate:
    """What a run is to another of its seed: superseded by a whole run with the same settings, else a replicate."""
    ended_early = run.state != RUNNING and (run.last_step or 0) < whole <= (other.last_step or 0)
    is_rerun = ended_early and settings(configs[run.run_id]) == settings(configs[other.run_id])
    return Duplicate("superseded" if is_rerun else "replicate", other.run_id)


def treatments_with_duplicates(study: Study, manifest: Manifest) -> tuple[Treatment, ...]:
    """Every run's treatment with its duplicates, in the order of `treatments_of`."""
    return tuple(t for task in study.tasks for t in task_with_duplicates(study, manifest, task))


def task_with_duplicates(study: Study, manifest: Manifest, task: Task) -> tuple[Treatment, ...]:
    """The same for the runs of one task."""
    runs, treatments = manifest.of_task(task.key), task_treatments(study, manifest, task)
    keys = sorted((m.key for m in study.metrics), key=lambda key: sum(run.rows.get(key, 0) for run in runs))
    configs = {run.id: run.config for run in runs}
    return with_duplicates(study, task, treatments, configs, manifest.history(runs), keys)


def uncounted(treatments: Sequence[Treatment]) -> dict[str, str]:
    """The runs of one task that are not counted, by id, each with the reason.

    A copy counts where none of `treatments` is its original any more (left out, say).
    """
    present = _present(treatments)
    return {t.run_id: reason for t in treatments if (reason := _reason(t, present))}


def counted(treatments: Sequence[Treatment]) -> tuple[Treatment, ...]:
    """The runs among these that are counted."""
    present = _present(treatments)
    return tuple(t for t in treatments if not _reason(t, present))


def _present(treatments: Sequence[Treatment]) -> set[tuple[str, str]]:
    return {(t.task, t.run_id) for t in treatments if not t.reason_left_out}


def _reason(treatment: Treatment, present: Collection[tuple[str, str]]) -> str:
    """Why a run is not counted beside those that are present; empty where it is."""
    if treatment.reason_left_out:
        return f"left out by declaration: {treatment.reason_left_out}"
    texts = (d.text for d in treatment.duplicates if d.kind != "replicate" and (treatment.task, d.of) in present)
    return next(texts, "")


def replicates(treatments: Sequence[Treatment]) -> tuple[Treatment, ...]:
    """Those of these runs that share seed, arm and detach step with another of them."""
    present = _present(treatments)
    return tuple(
        t for t in treatments if any(d.kind == "replicate" and (t.task, d.of) in present for d in t.duplicates)
    )
