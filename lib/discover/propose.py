"""Propose a study from inspected runs, with the evidence for each choice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Literal

import polars as pl

from lib.discover import key_names
from lib.discover.address import Inspection
from lib.discover.find_keys import (
    DETACH_STEP,
    RATIO,
    SEED,
    SIGNAL,
    STEP,
    TASK,
    TOTAL,
    Choices,
    Finding,
    find_keys,
    is_number,
    logged_keys,
)
from lib.formatting import file_name
from lib.runs import Manifest, Run, treatments
from lib.study import DetachRule, InputError, Metric, Signal, Study, Task

Counts = Literal["elapsed", "remaining"]
_READINGS: tuple[Counts, ...] = ("elapsed", "remaining")
#: A finished run whose last step is less than this part of its total steps likely counts something else.
_FEW = 0.5


#: Columns of `preview`.
PREVIEW = pl.Schema(
    {
        "task": pl.String,
        "arm": pl.String,
        "seed": pl.String,
        "run": pl.String,
        "state": pl.String,
        "detach step": pl.Int64,
        "detach from": pl.String,
        "last step": pl.Int64,
        "warnings": pl.String,
    }
)


@dataclass(frozen=True)
class Proposal:
    """A study, what it rests on, and the questions that only the user can answer before it is opened."""

    study: Study
    findings: tuple[Finding, ...]
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Known:
    """The runs of the chosen tasks, the keys found, and what the user chose."""

    looked: Inspection
    keys: dict[str, Finding]
    choices: Choices

    def key(self, what: str) -> str:
        return self.keys[what].value

    def runs(self, task: str) -> list[Run]:
        return [run for run in self.looked.runs if run.config.get(self.key(TASK)) == task]


def task_names(looked: Inspection, task_key: str) -> list[str]:
    """The tasks that the runs name under a config key; only text can name one."""
    values = [run.config.get(task_key) for run in looked.runs]
    return sorted({value for value in values if isinstance(value, str) and value})


def propose(looked: Inspection, choices: Choices | None = None) -> Proposal:
    """The study that these runs look like.

    Parameters
    ----------
    looked : the runs and where they are.
    choices : what the user corrected.

    Raises
    ------
    InputError
        Where there is no run, no key that names the task, no task or no metric; one sentence each.
    """
    choices = choices or Choices()
    known = _Known(looked, find_keys(looked, choices), choices)
    if not looked.runs:
        raise InputError("There is no run here: check the address, or log a run first.")
    if not known.key(TASK):
        raise InputError("No config key names the task: choose the one that does.")
    names = task_names(looked, known.key(TASK))
    names = [name for name in names if choices.tasks is None or name in choices.tasks]
    if not names:
        raise InputError("No task is chosen: choose one, or another config key that names it.")
    metrics, of_metrics = _metrics(known)
    counts, of_ratio, questions = _reading(known, names)
    tasks, of_tasks = [], list[Finding]()
    for name in names:
        task, findings, asked = _task(known, name, counts)
        tasks.append(task)
        of_tasks += findings
        questions += asked
    study = Study(
        name=file_name(choices.title or looked.title).strip("._").lower()[:60] or "study",
        title=choices.title or looked.title,
        source=looked.source,
        metrics=metrics,
        tasks=_told_apart(tasks),
        step_key=_step_keys(known),
        task_key=known.key(TASK),
        seed_key=known.key(SEED) or "seed",
    )
    findings = [*known.keys.values(), *_left_out(known), *_short(known, names), *of_ratio, *of_tasks, *of_metrics]
    return Proposal(study, tuple(findings), tuple(questions))


def _told_apart(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks whose names would give files of one name, with ids of their own."""
    found: list[Task] = []
    for task in tasks:
        others = (replace(task, id=f"{task.name}_{n}") for n in count(2))
        stems = {one.stem for one in found}
        found.append(next(one for one in chain([task], others) if one.stem not in stems))
    return tuple(found)


def _step_keys(known: _Known) -> tuple[str, ...]:
    key = known.key(STEP)
    bundled = next((run.step_key for run in known.looked.runs if run.step_key), ())
    return bundled if key in bundled else (key,)


def _left_out(known: _Known) -> list[Finding]:
    """How many runs belong to no task."""
    key, found = known.key(TASK), list[Finding]()
    lost = sum(not isinstance(run.config.get(key), str) for run in known.looked.runs)
    if lost:
        found.append(Finding("runs left out", str(lost), f"their config holds no text under {key}"))
    return found


def _short(known: _Known, names: Sequence[str]) -> list[Finding]:
    """A doubt about the step key: finished runs end long before their total steps."""
    total = known.key(TOTAL)
    runs = [run for name in names for run in known.runs(name) if run.state == "finished" and run.last_step]
    short = [run for run in runs if is_number(run.config.get(total)) and _is_short(run, run.config[total])]
    if not short or known.key(STEP) != "_step":
        return []
    run = short[0]
    where = f"{len(short)} finished runs end early: {run.id} at {run.last_step:,} of {total} {run.config[total]:,}"
    return [Finding("step", "_step may not count environment steps", where, assumed=True)]


def _is_short(run: Run, total: float) -> bool:
    return (run.last_step or 0) < _FEW * total


# ---- metrics -----------------------------------------------------------------------------------------------------


def suggestions(looked: Inspection, step_key: str = "_step") -> dict[str, key_names.Suggested]:
    """By logged key, how it is best drawn; the step key is none of them."""
    keys = [key for key in logged_keys(looked.runs) if key != step_key]
    return {key: key_names.suggest(key, looked.lowest.get(key), looked.whole) for key in keys}


def _metrics(known: _Known) -> tuple[tuple[Metric, ...], list[Finding]]:
    if known.choices.metrics is not None:
        if not known.choices.metrics:
            raise InputError("No metric is chosen: choose at least one of the keys that the runs logged.")
        return tuple(known.choices.metrics), []
    suggested = suggestions(known.looked, known.key(STEP))
    keys = key_names.preselected(list(suggested))
    if not keys:
        raise InputError("No logged key looks like a reward or a loss: choose the metrics.")
    found = [suggested[key] for key in keys]
    labels = [s.metric.label for s in found]
    # Keys that read alike (train/loss, train_loss) are told apart by the key.
    found = [
        replace(s, metric=replace(s.metric, label=f"{label} ({s.metric.key})")) if labels.count(label) > 1 else s
        for s, label in zip(found, labels, strict=True)
    ]
    return tuple(s.metric for s in found), [Finding("metric", s.metric.key, s.why, s.assumed) for s in found]


# ---- the detach --------------------------------------------------------------------------------------------------


def _reading(known: _Known, names: Sequence[str]) -> tuple[Counts, list[Finding], list[str]]:
    """Whether the ratio counts what has elapsed or what remains, and the question where nothing tells."""
    key = known.key(RATIO)
    runs = [(run, _total_of(known, run, name)) for name in names for run in known.runs(name)]
    fractions = [(run, float(run.config[key]), total) for run, total in runs if total and _is_fraction(run, key)]
    if not key or not fractions:
        return "elapsed", [], []
    what = f"{key} counts"
    if known.choices.ratio_counts in _READINGS:
        counts: Counts = "remaining" if known.choices.ratio_counts == "remaining" else "elapsed"
        return counts, [Finding(what, counts, "chosen by you")], []
    seen = [(run, _readings(known, run, ratio, total)) for run, ratio, total in fractions]
    telling = [(run, found[0], found[1]) for run, found in seen if found and len(found[1]) < len(_READINGS)]
    said = {fits for _, _, fits in telling}
    if len(said) == 1 and (fits := said.pop()):
        return fits[0], [Finding(what, fits[0], f"{telling[0][1]} says so in {len(telling)} runs")], []
    if telling:
        where = f"{telling[0][1]} of run {telling[0][0].id} and other runs fit neither reading alike"
        return "elapsed", [Finding(what, "elapsed", where, assumed=True, ask=True)], [_which(known, fractions)]
    if key in key_names.FROZEN and any(key_names.FROZEN[key] in run.config for run, _ in runs):
        where = f"by definition, where {key_names.FROZEN[key]} scales the learning rate"
        return "remaining", [Finding(what, "remaining", where)], []
    if all(ratio == 0.5 for _, ratio, _ in fractions):
        agreeing = [found[0] for _, found in seen if found]
        confirmed = f"; {agreeing[0]} agrees" if agreeing else ""
        where = f"every ratio is 0.5, where both readings give the same step{confirmed}"
        return "elapsed", [Finding(what, "elapsed", where, assumed=True)], []
    where = "neither a detach step in the config nor a signal tells"
    return "elapsed", [Finding(what, "elapsed", where, assumed=True, ask=True)], [_which(known, fractions)]


def _is_fraction(run: Run, key: str) -> bool:
    value = run.config.get(key)
    return is_number(value) and 0 < value <= 1


def _steps(ratio: float, total: int) -> dict[Counts, int]:
    return {"elapsed": round(ratio * total), "remaining": round((1 - ratio) * total)}


def _which(known: _Known, fractions: list[tuple[Run, float, int]]) -> str:
    run, ratio, total = next((f for f in fractions if f[1] != 0.5), fractions[0])
    steps = _steps(ratio, total)
    return (
        f"Does {known.key(RATIO)} count the part of training that has elapsed or that remains? At {ratio:g} (run "
        f"{run.id}) elapsed detaches at step {steps['elapsed']:,}, remaining at step {steps['remaining']:,}."
    )


def _readings(known: _Known, run: Run, ratio: float, total: int) -> tuple[str, tuple[Counts, ...]] | None:
    """What knows a run's detach step, and the readings that agree with it; None where nothing knows."""
    steps = _steps(ratio, total)
    typed = run.config.get(known.key(DETACH_STEP))
    if is_number(typed):
        return f"config's {known.key(DETACH_STEP)}", tuple(c for c in _READINGS if abs(steps[c] - typed) <= 1)
    if run.id in known.looked.falls and known.key(SIGNAL):
        above, at = known.looked.falls[run.id]
        fits = tuple(c for c in _READINGS if (above is None or above <= steps[c]) and steps[c] <= at)
        return f"the logged {known.key(SIGNAL)}", fits
    return None


# ---- one task ----------------------------------------------------------------------------------------------------


def _totals(known: _Known, task: str) -> list[int]:
    key = known.key(TOTAL)
    values = [run.config.get(key) for run in known.runs(task)]
    return sorted({int(value) for value in values if is_number(value) and value >= 1})


def _total_of(known: _Known, run: Run, task: str) -> int:
    own = run.config.get(known.key(TOTAL))
    return int(own) if is_number(own) and own >= 1 else _total_steps(known, task)[0]


def _total_steps(known: _Known, task: str) -> tuple[int, Finding]:
    """A task's total steps, 0 where nothing says, and where they were found."""
    what, key = f"total steps of {task}", known.key(TOTAL)
    totals = _totals(known, task)
    last = max((run.last_step or 0 for run in known.runs(task)), default=0)
    if typed := known.choices.total_steps.get(task):
        return typed, Finding(what, f"{typed:,}", "typed by you")
    if len(totals) == 1:
        return totals[0], Finding(what, f"{totals[0]:,}", f"config {key}")
    if totals:
        listed = ", ".join(f"{total:,}" for total in totals)
        return totals[-1], Finding(what, f"{totals[-1]:,}", f"the largest of config {key}: {listed}", assumed=True)
    if last:
        doubt = "" if known.key(STEP) == "_step" else f", in _step and not in {known.key(STEP)}"
        where = f"the largest last step of its runs{doubt}; no config key says"
        return last, Finding(what, f"{last:,}", where, assumed=True)
    return 0, Finding(what, "", "neither config nor history says", assumed=True)


def _task(known: _Known, name: str, counts: Counts) -> tuple[Task, list[Finding], list[str]]:
    runs = known.runs(name)
    total, of_total = _total_steps(known, name)
    questions = [] if total else [f"How many steps does {name} train for? Neither config nor history says: type it."]
    rule, of_rule, asked = _rule(known, name, counts)
    if rule.step and rule.step > max(1, total):
        asked = [*asked, f"The detach step of {name} is beyond its {total:,} total steps: correct one of them."]
    sweeps = tuple(sorted({run.sweep_id for run in runs}))
    whole = "" not in sweeps
    where = (
        f"the sweeps of its {len(runs)} runs" if whole else "some of its runs are in no sweep: every run of the task"
    )
    of_sweeps = Finding(f"sweeps of {name}", ", ".join(sweeps) if whole else "", where)
    task = Task(
        name=name,
        display_name=key_names.title_of(name),
        sweep_id=sweeps if whole else (),
        total_steps=total or 1,
        detach=rule,
    )
    return task, [of_total, of_sweeps, *of_rule], questions + asked


def _rule(known: _Known, name: str, counts: Counts) -> tuple[DetachRule, list[Finding], list[str]]:
    """The detach rule of one task: from a ratio in its configs, else a step typed there, seen or given by the user."""
    runs, ratio, total = known.runs(name), known.key(RATIO), known.key(TOTAL)
    signal = Signal(known.key(SIGNAL)) if known.key(SIGNAL) else None
    typed = known.choices.detach_steps.get(name)
    if ratio and any(ratio in run.config for run in runs):
        frozen = key_names.FROZEN.get(ratio, "")
        rule = DetachRule(
            step=typed,
            total_steps_key=total if _totals(known, name) else "",
            ratio_key=ratio,
            ratio_counts=counts,
            frozen_when=((frozen, 0.0),) if any(frozen in run.config for run in runs) else (),
            signal=signal,
        )
        lacking = sum(ratio not in run.config for run in runs)
        where = f"config {ratio}" + (f"; {lacking} runs lack it and count as never detached" if lacking else "")
        return rule, [Finding(f"detach of {name}", _spread(runs, ratio), where, assumed=bool(lacking))], []
    if typed:
        return DetachRule(typed, signal=signal), [Finding(f"detach step of {name}", f"{typed:,}", "typed by you")], []
    step, finding, asked = _typed_step(known, name)
    return DetachRule(step, signal=signal), [finding], asked


def _spread(runs: Sequence[Run], key: str) -> str:
    """The values of a config key with how many runs have each."""
    values = [run.config.get(key) for run in runs]
    texts = ["missing or null" if v is None else f"{v:g}" if is_number(v) else str(v) for v in values]
    return ", ".join(f"{text} ({texts.count(text)} runs)" for text in sorted(set(texts)))


def _typed_step(known: _Known, name: str) -> tuple[int | None, Finding, list[str]]:
    """The step at which all runs of a task detach, where their config or their signal says one."""
    runs, key, what = known.runs(name), known.key(DETACH_STEP), f"detach step of {name}"
    steps = [run.config.get(key) for run in runs]
    found = sorted({int(step) for step in steps if is_number(step) and step >= 1})
    never = sum(not (is_number(step) and step >= 1) for step in steps)
    if len(found) == 1 and not never:
        return found[0], Finding(what, f"{found[0]:,}", f"config {key} of its {len(runs)} runs"), []
    if found:
        where = f"config {key} differs: {_spread(runs, key)}; a study reads a ratio, or one step for all runs"
        asked = (
            f"The runs of {name} differ in {key}, which a study cannot read: choose a config key that holds a ratio, or "
            "type one step if every run detached there (runs that never did would count as detached)."
        )
        return None, Finding(what, "", where, assumed=True), [asked]
    seen = sorted({known.looked.falls[run.id][1] for run in runs if run.id in known.looked.falls})
    if len(seen) == 1 and all(run.id in known.looked.falls for run in runs):
        where = f"the first step at which {known.key(SIGNAL)} is 0 in each of its runs"
        return seen[0], Finding(what, f"{seen[0]:,}", where, assumed=True), []
    return None, Finding(what, "", "nothing says: every run counts as never detached", assumed=True), []


# ---- the preview -------------------------------------------------------------------------------------------------


def preview(study: Study, looked: Inspection) -> pl.DataFrame:
    """The runs of a study, one row a run and task: columns of `PREVIEW`."""
    blind = replace(study, tasks=tuple(replace(t, detach=replace(t.detach, signal=None)) for t in study.tasks))
    runs = []
    for run in looked.runs:
        held = tuple(t.key for t in study.tasks if t.holds(run.config, run.sweep_id, run.group, study.task_key))
        runs += [replace(run, tasks=held)] if held else []
    found = treatments(blind, Manifest(study.name, {}, "", "", tuple(runs)))
    rows = [
        (t.task, t.arm, t.seed, t.run_id, t.state, t.detach_step, t.detach_source, t.last_step, "; ".join(t.warnings))
        for t in found
    ]
    heads = ["task", "arm", "seed", "run", "state", "detach step", "detach from", "last step", "warnings"]
    return pl.DataFrame(
        rows, schema=dict.fromkeys(heads, pl.String) | {"detach step": pl.Int64, "last step": pl.Int64}, orient="row"
    )


def arms(preview: pl.DataFrame) -> pl.DataFrame:
    """The preview by task and arm: runs, their seeds, and the detach steps."""
    steps = pl.col("detach step").drop_nulls().unique().sort().cast(pl.String).str.join(", ")
    return preview.group_by("task", "arm", maintain_order=True).agg(
        pl.len().alias("runs"),
        pl.col("seed").unique(maintain_order=True).str.join(", ").alias("seeds"),
        steps.alias("detach step"),
    )
