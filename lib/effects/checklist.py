"""Can I claim this? The conditions of a claim, each with what would mend it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.comparison import FEWEST, FORK_PAIRS, Comparison
from lib.effects.compare.estimators import welch_fails
from lib.effects.compare.gates import RUNS_FINISHED, RUNS_TO_THE_END, SAME_SETTINGS, STEPS_DRAWN
from lib.effects.compare.jumps import SIDE_POINTS
from lib.effects.compare.planned import (
    LEFT_OUT_AFTER_LOOKING,
    NOT_DECLARED,
    PLANNED_SIZE,
    WINDOWS_AFTER_LOOKING,
    reach_at,
    reach_text,
    size,
    size_text,
)
from lib.effects.compare.units import REACH, windows
from lib.effects.multiple_testing import GUARDRAIL, family_text, holm_family
from lib.effects.rivals import rivals
from lib.effects.study_analysis import TaskAnalysis
from lib.effects.verdicts import EXPLORATORY, exploratory
from lib.formatting import is_or_are, listing, number_order, plural
from lib.runs import RUNNING, WHOLE, replicates, unknown_arms


@dataclass(frozen=True)
class Check:
    """One condition: whether it is met, what the data say, and what would mend it (empty where it is met).

    `needed` checks decide the verdict; the others are caveats that a claim carries.
    """

    name: str
    passed: bool
    text: str
    remedy: str = ""
    needed: bool = True


def checklist(task: TaskAnalysis) -> tuple[Check, ...]:
    """The conditions of a task's claims, in the order in which to mend them."""
    first = (_arms, _control, _drawn, _seeds, _points, _same_settings, _window, _counted, _left_out, _finished)
    checks = (*first, _whole, _planned, _margins, _signal, _rivals, _families)
    return tuple(check for make in checks if (check := make(task)) is not None)


def _arms(task: TaskAnalysis) -> Check | None:
    text = unknown_arms(task.task, task.treatments)
    if not text:
        return None
    remedy = (
        "Name the config key that says it, or type the detach step; the Runs page says what is amiss with each run."
    )
    return Check("Arms known", False, text, remedy, needed=False)


def _controls(task: TaskAnalysis) -> int:
    return sum(t.is_control for t in task.treatments)


def _control(task: TaskAnalysis) -> Check:
    name, controls = "Control arm", _controls(task)
    if any(c.design == "onset" for c in task.comparisons):
        return Check(name, True, "The detach steps were drawn at random: the design is its own control.")
    if not controls:
        return Check(
            name,
            False,
            "No run was left without a detach: only a jump at that step can be tested, and nothing causal said.",
            "Train the same seeds without the detach (ratio 0) and name their sweep as control_sweep_id.",
        )
    pairs = max((len(c.pairs) for c in task.comparisons), default=0)
    forks = f"{pairs} of them fork pairs with a detached run" if pairs >= FORK_PAIRS else "no fork pairs"
    were = "was" if controls == 1 else "were"
    return Check(name, True, f"{plural(controls, 'run')} {were} never detached, {forks}.")


def _drawn(task: TaskAnalysis) -> Check | None:
    if not task.task.detach.randomised:
        return None
    if failed := _failed(task, STEPS_DRAWN):
        remedy = "Draw each run's step anew from the design, or take `randomised` out of the study file."
        return Check(STEPS_DRAWN, False, _sentence(failed), remedy, needed=False)
    return Check(STEPS_DRAWN, True, "The detach steps lie inside the design and spread over it.")


def _seeds(task: TaskAnalysis) -> Check:
    name, controls = "Seeds", _controls(task)
    sizes = {c.arm: sum(t.arm == c.arm for t in task.treatments) for c in task.comparisons}
    if not sizes:
        remedy = "Name the detach step, or the config keys that give it."
        return Check(name, False, "No run of this task is known to have been detached.", remedy)
    text = ", ".join(f"{n} {arm}" for arm, n in sizes.items()) + (f", {controls} control" if controls else "")
    fewest = min([*sizes.values(), *([controls] if controls else [])])
    if fewest < FEWEST:
        remedy = f"Run at least {FEWEST} seeds in each arm: one allows no inference, two no verdict."
        return Check(name, False, f"{text}: fewer than {FEWEST} in an arm.", remedy)
    forks = any(c.design == "fork" for c in task.comparisons)
    if controls and not forks and any(welch_fails(n, controls) for n in sizes.values()):
        text += ": Welch's test breaks with arms so unequal, so t has the smaller arm's n - 1 degrees of freedom"
    counted = [len(c.values) for c in task.comparisons]
    counted += [len(c.control_values) for c in task.comparisons if c.design == "did"]
    few = f" Fewest counted for a metric: {min(counted)}." if counted and min(counted) < fewest else ""
    return Check(name, True, f"{text}.{few}")


def _points(task: TaskAnalysis) -> Check:
    name, comparisons = "Points per side", task.comparisons
    empty = [c for c in comparisons if not c.values]
    names = listing(c.metric.name for c in empty)
    if empty and any(c.design in ("jump", "onset") for c in comparisons):
        every = min(c.half_width for c in empty) / SIDE_POINTS
        return Check(
            name,
            False,
            f"Fewer than {SIDE_POINTS} rows a side near the detach for {names}.",
            f"Log at least every {plural(round(every), 'step')} around the detach, or add a control arm, which needs fewer rows.",
        )
    if empty:
        remedy = "Log the metric before and after the detach, in runs that go on to the end."
        return Check(name, False, f"No run of an arm counts for {names}.", remedy)
    if not comparisons:
        return Check(name, False, "Nothing was logged on both sides of a detach.", "Log the metrics before and after.")
    return Check(name, True, f"Every run has at least {listing(_fewest_rows(comparisons))}.")


def _fewest_rows(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The fewest rows of a run where each design looks: pairs differ after the detach only, jumps are made near it."""
    units = {design: [u for c in comparisons if c.design == design for u in c.runs] for design in ("fork", "did")}
    if pairs := units["fork"]:
        yield f"{plural(min(u.n_after for u in pairs), 'row')} after the detach, which is where fork pairs differ"
    if runs := units["did"]:
        before, after = min(u.n_before for u in runs), min(u.n_after for u in runs)
        yield f"{plural(before, 'row')} before and {after} after the detach in the windows"
    by_half: dict[float, list[int]] = {}
    for c in comparisons:
        if c.design in ("jump", "onset"):
            by_half.setdefault(c.half_width, []).append(c.near_rows)
    for half, rows in by_half.items():
        yield f"{plural(min(rows), 'row')} a side within {half:,.0f} steps of the detach"


def _window(task: TaskAnalysis) -> Check:
    declared = windows(task.task, task.study.evidence)
    if task.window == declared and task.study.evidence.windows_after_looking:
        text = f"{_capitalised(declared.text())}; {WINDOWS_AFTER_LOOKING}."
        return Check("Window declared", False, text, "Test it on new runs.", needed=False)
    if task.window == declared:
        return Check("Window declared", True, f"{_capitalised(declared.text())}, as the study file says.")
    return Check(
        "Window declared",
        False,
        f"{_capitalised(EXPLORATORY)}: {task.window.text()}, declared was {declared.text()}.",
        "Go back to the declared window, or declare this one in [evidence] and test it on new runs.",
    )


def _same_settings(task: TaskAnalysis) -> Check | None:
    if not _controls(task):
        return None
    gates = [g for c in task.comparisons for g in c.gates if g.check == SAME_SETTINGS]
    if not gates:
        return Check(SAME_SETTINGS, True, "The arms differ in no setting but the treatment.")
    remedy = "Train both arms with the same settings; name a key that belongs to the treatment in [arms] also."
    text = f"{'; '.join(_failed(task, SAME_SETTINGS))}."  # it begins with a key, as config writes it
    return Check(SAME_SETTINGS, False, text, remedy, any(g.needed for g in gates))


def _failed(task: TaskAnalysis, check: str) -> list[str]:
    """Why comparisons of the task fail a condition, each reason once."""
    return list(dict.fromkeys(g.reason for c in task.comparisons for g in c.gates if g.check == check))


def _sentence(reasons: Iterable[str]) -> str:
    return f"{_capitalised('; '.join(reasons))}."


def _counted(task: TaskAnalysis) -> Check:
    reasons: dict[tuple[tuple[float, str], str, str], list[str]] = {}
    excluded = [run for c in task.comparisons for run in c.excluded]
    for run in excluded:
        reasons.setdefault((number_order(run.seed), run.arm, run.run_id), []).append(run.reason)
    out = [
        f"seed {seed} of {arm} ({', '.join(dict.fromkeys(texts))})"
        for ((_, seed), arm, _), texts in sorted(reasons.items())
    ]
    compared = {unit.run_id for c in task.comparisons for unit in c.runs}
    replicate_runs = replicates([t for t in task.treatments if t.run_id in compared])
    twice = [f"{r.run_id} (seed {r.seed} of {r.arm})" for r in replicate_runs]
    texts = [f"Not counted for some metric: {'; '.join(out)}."] if out else []
    texts += [f"Counted as runs of their own, with a seed that is not: {'; '.join(twice)}."] if twice else []
    if not texts:
        return Check("Runs counted", True, "Every run counts for every metric.", needed=False)
    remedies = [run.remedy for run in excluded] + ["Give every run a seed of its own."] * bool(twice)
    remedy = " ".join(text for text in dict.fromkeys(remedies) if text)
    return Check("Runs counted", False, " ".join(texts), remedy, needed=False)


def _left_out(task: TaskAnalysis) -> Check:
    if not task.left_out and task.study.evidence.leave_out_after_looking:
        text = f"{_capitalised(LEFT_OUT_AFTER_LOOKING)}."
        return Check("Runs left out", False, text, "Test on new runs.", needed=False)
    if not task.left_out:
        return Check("Runs left out", True, "No run is left out by hand.")
    text = _sentence([exploratory(False, task.left_out)])
    remedy = "Bring them back, or declare them with a reason in [evidence] leave_out and test on new runs."
    return Check("Runs left out", False, text, remedy)


def _finished(task: TaskAnalysis) -> Check:
    failed, running = _failed(task, RUNS_FINISHED), sum(t.state == RUNNING for t in task.treatments)
    if not failed and running and not _is_compared(task):
        failed = [f"{plural(running, 'run')} {is_or_are(running)} still running, and no other counts"]
    if not failed:
        return Check(RUNS_FINISHED, True, "No run that is compared is still running.")
    return Check(RUNS_FINISHED, False, _sentence(failed), "Wait until they have finished.")


def _is_compared(task: TaskAnalysis) -> bool:
    """Whether any run counts for any metric."""
    return any(c.runs for c in task.comparisons)


def _whole(task: TaskAnalysis) -> Check | None:
    if not _is_compared(task):
        return None
    name, total, failed = RUNS_TO_THE_END, task.task.total_steps, _failed(task, RUNS_TO_THE_END)
    short = sorted({(c.metric.name, int(c.end)) for c in task.comparisons if c.end < WHOLE * total})
    if not failed and not short:
        return Check(name, True, f"Compared up to at least {WHOLE:.0%} of training.", needed=False)
    ends = ", ".join(f"{end:,} ({metric})" for metric, end in short)
    texts = [_sentence(failed)] if failed else []
    texts += [f"Compared only up to {ends} of {total:,} steps."] if short else []
    remedy = "Rerun what ended early with the same seed and settings: the rerun counts in its place."
    return Check(name, False, " ".join(texts), remedy if failed else "Let the runs finish.", needed=bool(failed))


def _planned(task: TaskAnalysis) -> Check | None:
    planned, compared = task.study.evidence.planned, [c for c in task.comparisons if c.values]
    if not compared:
        return None
    if planned is None:
        remedy = "Declare it on the Plan page before the next runs: looking at every new run finds too much."
        return Check(PLANNED_SIZE, False, f"{_capitalised(NOT_DECLARED)}.", remedy, needed=False)
    if failed := _failed(task, PLANNED_SIZE):
        is_short = any(size(c) < planned for c in compared)
        remedy = (
            "The verdict is made at the planned size." if is_short else "Declare the size before the runs are made."
        )
        return Check(PLANNED_SIZE, False, _sentence([*failed, *_widths(compared, planned)]), remedy, needed=is_short)
    return Check(PLANNED_SIZE, True, f"{_capitalised(size_text(compared[0], planned))}.")


def _margins(task: TaskAnalysis) -> Check | None:
    declared = [metric for metric in task.study.metrics if metric.margin_text]
    if not declared:
        return None
    texts = [f"{metric.margin_text} for {metric.name}" for metric in declared]
    late_margins = [metric.name for metric in declared if metric.margin_after_looking]
    if not late_margins:
        return Check("Margins declared", True, f"{listing(texts)}.", needed=False)
    text = f"{listing(texts)}; set after looking: {listing(late_margins)}."
    return Check("Margins declared", False, text, "Hold new runs against them.", needed=False)


def _widths(comparisons: Sequence[Comparison], planned: int) -> Iterator[str]:
    """How wide the intervals of the short ones will about be at the planned size."""
    reaches = {c.metric.name: (c, reach_at(c, planned)) for c in comparisons if size(c) < planned}
    texts = [f"±{reach_text(c, reach)} for {name}" for name, (c, reach) in reaches.items() if math.isfinite(reach)]
    if texts:
        yield f"at {planned} the interval will be about {listing(texts)}"


def _signal(task: TaskAnalysis) -> Check | None:
    if task.task.detach.signal is None:
        return None
    key = task.task.detach.signal.key
    checked = [t for t in task.treatments if t.signal]
    if not checked:
        return Check("Detach seen", True, f"The detach steps are read from {key} itself.", needed=False)
    doubted = [t for t in checked if t.signal != "agrees"]
    if not doubted:
        return Check("Detach seen", True, f"{key} agrees with the detach step in every run.", needed=False)
    seeds = ", ".join(f"seed {t.seed} of {t.arm} ({t.signal})" for t in doubted)
    text = f"{key} does not confirm the detach: {seeds}."
    return Check("Detach seen", False, text, "Check these runs.", needed=False)


def _rivals(task: TaskAnalysis) -> Check:
    name, schedules = "Rival schedules", rivals(task)
    reach = f"within {plural(round(REACH * task.task.total_steps), 'step')} of the detach"
    if not schedules:
        return Check(name, True, f"No config schedules anything {reach}.", needed=False)
    keys = ", ".join(f"{r.key} = {' or '.join(f'{v:,g}' for v in r.values)}" for r in schedules)
    if all(r.shared for r in schedules):
        text = f"{keys}: {reach}, but in the control arm too, which is what it is for."
        return Check(name, True, text, needed=False)
    text = f"{keys}: {reach}, so it explains a change there just as well."
    remedy = "Add a control arm with the same schedule, or move one of the two."
    return Check(name, False, text, remedy, needed=False)


def _families(task: TaskAnalysis) -> Check:
    study = task.study
    levels = (task.task.key, ALL_TASKS)[: len(study.tasks)]
    families = dict.fromkeys(holm_family(level, metric) for level in levels for metric in study.metrics)
    texts = "; ".join(family_text(family) for family in families if family)
    text = f"Holm's correction, at most 5% wrong in each family: {texts}."
    guardrails = listing(m.name for m in study.metrics if m.role == GUARDRAIL)
    note = f" Guardrails get no verdict: {guardrails}." if guardrails else ""
    return Check("Claims corrected", True, (text if texts else "No metric gets a verdict.") + note, needed=False)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
