"""Propose a study from inspected runs, with the evidence for each choice."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

import polars as pl

from lib.discover import key_names
from lib.discover.choose_metrics import choose_metrics
from lib.discover.detach import detach_rule
from lib.discover.evidence import Evidence, spread
from lib.discover.find_keys import SEED, STEP, TASK, TOTAL, Choices, Finding, find_keys
from lib.discover.frozen_when import FreezeConditions, freeze_conditions
from lib.discover.model import Inspection
from lib.discover.preview import preview
from lib.discover.ratio_reading import Counts, ratio_counts
from lib.formatting import file_name, leading_names, listing, plural
from lib.runs import Setting, settings
from lib.study import CONTROL, InputError, Study, Task

#: A finished run whose last step is at most this part of its total steps likely counts something else.
_FEW = 0.5
#: Tasks that a title names at most.
_MOST = 3
#: Signs of a task's name in an id that tells it from another task.
_SHORT = 40


@dataclass(frozen=True)
class Proposal:
    """A study and what it rests on."""

    study: Study
    findings: tuple[Finding, ...]

    @property
    def questions(self) -> tuple[str, ...]:
        """What only the user can answer, and must before the study is opened."""
        return tuple(finding.question for finding in self.findings if finding.is_needed)


def propose(inspection: Inspection, choices: Choices | None = None) -> Proposal:
    """The study that these runs look like.

    Parameters
    ----------
    inspection : the runs and where they are.
    choices : what the user corrected.

    Raises
    ------
    InputError
        Where there is no run, no key that names the task, no task or no metric; one sentence each.
    """
    choices = choices or Choices()
    evidence = Evidence(inspection, find_keys(inspection, choices), choices)
    if not inspection.runs:
        raise InputError("There is no run here: check the address, or log a run first.")
    if not evidence.key(TASK):
        raise InputError("No config key names the task: choose the one that does.")
    names = [name for name in evidence.tasks() if choices.tasks is None or name in choices.tasks]
    if not names:
        raise InputError("No task is chosen: choose one, or another config key that names it.")
    metrics, of_metrics = choose_metrics(evidence)
    counts, of_ratio = ratio_counts(evidence, names)
    conditions, of_freeze = freeze_conditions(evidence, names)
    tasks, of_tasks = [], list[Finding]()
    for name in names:
        task, findings = _task(evidence, name, counts, conditions)
        tasks.append(task)
        of_tasks += findings
    study = Study(
        name=file_name(choices.title or inspection.title).strip("._").lower()[:60] or "study",
        title=choices.title or _title(inspection, names),
        source=inspection.source,
        metrics=metrics,
        tasks=_with_own_ids(tasks),
        step_key=evidence.step_keys(),
        task_key=evidence.key(TASK),
        seed_key=evidence.key(SEED) or "seed",
    )
    arms = preview(study, inspection)
    study = _with_control_sweeps(inspection, study, choices.control_sweeps, arms)
    findings = [
        *evidence.keys.values(),
        *_left_out(evidence),
        *_alike(names),
        *_short(evidence, names),
        *of_ratio,
        *of_freeze,
        *of_tasks,
        *_control_sweeps(study, choices.control_sweeps),
        *_without_control(evidence, study, arms),
        *of_metrics,
    ]
    return Proposal(study, tuple(findings))


def _with_own_ids(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks whose names would give files of one name, on any system, with ids and names that tell them apart."""
    distinct: list[Task] = []
    for task in tasks:
        candidates = chain([task], (replace(task, id=f"{task.name[:_SHORT]}_{n}") for n in count(2)))
        stems, titles = {_any_case(other.stem) for other in distinct}, {other.title for other in distinct}
        own = next(candidate for candidate in candidates if _any_case(candidate.stem) not in stems)
        distinct.append(replace(own, display_name=own.key) if own.title in titles else own)
    return tuple(distinct)


def _any_case(text: str) -> str:
    """A text as file systems compare it that know neither case nor forms of Unicode."""
    return unicodedata.normalize("NFC", text).casefold()


def _alike(names: Sequence[str]) -> list[Finding]:
    """A doubt about tasks whose names differ in case, spaces and signs alone."""
    groups = defaultdict[str, list[str]](list)
    for name in names:
        groups[re.sub(r"[\W_]+", "", _any_case(name))].append(repr(name))
    where = "their names differ in case, spaces or signs alone: each is a task of its own"
    return [Finding("tasks alike", listing(group), where, assumed=True) for group in groups.values() if len(group) > 1]


def _left_out(evidence: Evidence) -> list[Finding]:
    """How many runs belong to no task."""
    count = len(evidence.inspection.runs) - sum(len(evidence.runs(name)) for name in evidence.tasks())
    where = f"their config holds no text under {evidence.key(TASK)}"
    return [Finding("runs left out", str(count), where)] if count else []


def _short(evidence: Evidence, names: Sequence[str]) -> list[Finding]:
    """A doubt about the step key: finished runs end long before their total steps."""
    if evidence.key(STEP) != "_step":
        return []
    runs = [run for name in names for run in evidence.runs(name) if run.state == "finished" and run.last_step]
    short = [
        (run, total) for run in runs if (total := evidence.number(run, TOTAL)) and (run.last_step or 0) <= _FEW * total
    ]
    if not short:
        return []
    run, total = short[0]
    what = f"{plural(len(short), 'finished run')} {'ends' if len(short) == 1 else 'end'} early"
    where = f"{what}: {run.id} at {run.last_step:,} of {evidence.key(TOTAL)} {total:,.0f}"
    return [Finding("step", "_step may not count environment steps", where, assumed=True)]


# ---- one task ----------------------------------------------------------------------------------------------------


def _task(evidence: Evidence, name: str, counts: Counts, conditions: FreezeConditions) -> tuple[Task, list[Finding]]:
    runs = evidence.runs(name)
    total, of_total = evidence.total_steps(name)
    rule, of_rule = detach_rule(evidence, name, counts, conditions)
    if rule.step and rule.step > max(1, total):
        beyond = f"The detach step of {name} is beyond its {total:,} total steps: correct one of them."
        of_rule = replace(of_rule, question=beyond, is_needed=True)
    group = evidence.inspection.group
    sweeps = tuple(sorted({run.sweep_id for run in runs}))
    whole = "" not in sweeps and not group
    where = (
        f"every run of the task in group {group}"
        if group
        else f"the sweeps of its {plural(len(runs), 'run')}"
        if whole
        else "some of its runs are in no sweep: every run of the task"
    )
    of_sweeps = Finding(f"sweeps of {name}", ", ".join(sweeps) if whole else "", where)
    task = Task(
        name=name,
        display_name=key_names.title_of(name),
        sweep_id=sweeps if whole else (),
        group=group,
        total_steps=total or 1,
        detach=rule,
    )
    return task, [of_total, of_sweeps, of_rule]


def _title(inspection: Inspection, tasks: Sequence[str]) -> str:
    """The project, or the folder, with its tasks: `tdmpc2: Acrobot Swingup, Cartpole Swingup and 2 more`."""
    titles = [key_names.title_of(task) for task in tasks]
    project = inspection.source.project or inspection.title
    return f"{project}: {listing(titles if len(titles) <= _MOST else leading_names(titles, _MOST - 1))}"


def _with_control_sweeps(inspection: Inspection, study: Study, sweeps: Collection[str], runs: pl.DataFrame) -> Study:
    """The study with the sweeps named apart whose runs are all controls, or chosen as such, where a task has others."""
    arms = defaultdict[tuple[str, str], set[str]](set)
    sweep_of = {run.id: run.sweep_id for run in inspection.runs}
    for task, arm, run_id in runs.select("task", "arm", "run").iter_rows():
        arms[task, sweep_of[run_id]].add(arm)
    tasks = []
    for task in study.tasks:
        controls = tuple(s for s in task.sweep_id if s in sweeps or arms[task.key, s] == {CONTROL})
        others = tuple(sweep for sweep in task.sweep_id if sweep not in controls)
        tasks.append(replace(task, sweep_id=others, control_sweep_id=controls) if others else task)
    return replace(study, tasks=tuple(tasks))


def _without_control(evidence: Evidence, study: Study, runs: pl.DataFrame) -> list[Finding]:
    """A doubt about each task whose runs are all detached at one step: keys that may say which of them were not.

    Such a key has two values, and a seed ran with both.
    """
    findings = []
    for task in study.tasks:
        steps = set(runs.filter(task=task.key)["detach step"])
        if len(steps) != 1 or None in steps:
            continue
        configs = [settings(run.config) for run in evidence.runs(task.name)]
        ignore = {key for _, key in study.config_keys(task)}
        pairs = [(key, _pairs(configs, key, study.seed_key)) for key in sorted({*chain(*configs)} - ignore)]
        names = [f"{key} ({spread([config.get(key) for config in configs])})" for key, is_paired in pairs if is_paired]
        if names:
            what = f"every run was detached at {steps.pop():,}, and runs of one seed differ in"
            where = (
                f"{what} {listing(leading_names(names, _MOST))}: a key that says which were not is the detach flag key"
            )
            findings.append(Finding(f"control of {task.name}", "", where, assumed=True))
    return findings


def _pairs(configs: Sequence[Mapping[str, Setting]], key: str, seed_key: str) -> bool:
    """Whether a key has two values, and some seed ran with both."""
    seeds: dict[Setting, set[Setting]] = {}
    for config in configs:
        seeds.setdefault(config.get(key), set()).add(config.get(seed_key))
    return len(seeds) == 2 and bool(set.intersection(*seeds.values()) - {None})


def _control_sweeps(study: Study, sweeps: Collection[str]) -> list[Finding]:
    """The sweeps of each task whose runs are controls, and who says so."""
    return [
        Finding(
            f"control sweeps of {task.name}",
            ", ".join(task.control_sweep_id),
            "chosen by you" if {*task.control_sweep_id} <= {*sweeps} else "each of their runs was never detached",
        )
        for task in study.tasks
        if task.control_sweep_id
    ]
