"""What the Detach effect page reads of one task, computed once for a set of runs and windows and cached."""

from dataclasses import dataclass

import polars as pl
import streamlit as st

from lib import results
from lib.curves import View
from lib.gates import Gate
from lib.history import Manifest
from lib.session import AS_TEXT, Current
from lib.study import Evidence, Study


@dataclass(frozen=True)
class TaskEffects:
    """The frames behind one task's effects: columns as in `lib.effects_frames` and `lib.claims`."""

    per_run: pl.DataFrame
    differences: pl.DataFrame
    fits: pl.DataFrame
    placebo: pl.DataFrame
    gap: pl.DataFrame
    hints: pl.DataFrame
    gates: tuple[Gate, ...]


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def _task_effects(
    study: Study, task: str, stamp: str, view: View, evidence: Evidence | None, _manifest: Manifest
) -> TaskEffects:
    from lib import effects_frames as frames
    from lib.claims import power_hints
    from lib.designs import material
    from lib.gates import gates

    history, treated = results.effect_inputs(study, _manifest, view)[task]
    given = material(study, study.task(task), history, treated, evidence=evidence)
    configs = {run.id: run.config for run in _manifest.of_task(task)}
    set_aside = [run_id for run_id in view.left_out if run_id in configs]
    return TaskEffects(
        per_run=frames.per_run(given),
        differences=frames.pair_differences(given),
        fits=frames.jump_fits(given),
        placebo=frames.placebo(given),
        gap=frames.gap(given),
        hints=power_hints(given),
        gates=tuple(gates(given, configs, set_aside)),
    )


def task_effects(current: Current, task: str, evidence: Evidence | None) -> TaskEffects:
    """The frames behind one task's effects, in the study's windows or in others."""
    view = View(left_out=current.view.left_out)
    return _task_effects(current.study, task, current.stamp, view, evidence, current.manifest)
