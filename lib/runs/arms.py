"""Each run's place in the experiment: its arm, its detach step and who says so."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lib.formatting import listing, number_order, one_line, plural
from lib.runs.detach import LONG, Detach, run_detach, run_total
from lib.runs.missing_keys import missing_config_keys
from lib.runs.model import BranchPoint, Duplicate, Manifest, Run
from lib.runs.signals import SignalCheck, signal_detaches, signal_rows
from lib.study import CONTROL, DETACHED, UNKNOWN, Study, Task, config_value, value_text


@dataclass(frozen=True, slots=True)
class Treatment:
    """One run's place in the experiment of one task.

    `detach_step` is T in environment steps, None in the arms `control` and `unknown`; `detach_source` says who knows it
    (`typed`, `config`, `signal`, or empty in the arm `unknown`); `ratio` is the elapsed fraction of training at T; `signal`
    is what the logged signal says of it, a word of `lib.runs.signals`, or empty where it checks nothing; `change` is what
    happened at T where the encoder was not frozen (`enc_lr_step_scale 0.1`). `branch_point` is
    that of a fork. `duplicates` and `reason_left_out` (as the study declares it) come from `lib.runs.duplicates`.
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
    change: str = ""
    warnings: tuple[str, ...] = ()
    branch_point: BranchPoint | None = None
    duplicates: tuple[Duplicate, ...] = ()
    reason_left_out: str = ""

    @property
    def is_control(self) -> bool:
        """Whether the run was never detached; of a run without a detach step in the arm `unknown` nobody knows."""
        return self.arm == CONTROL


def treatments_of(study: Study, manifest: Manifest, left_out: Collection[str] = ()) -> tuple[Treatment, ...]:
    """The treatment of every run of every task, in the order of the study's tasks, arms and seeds.

    Parameters
    ----------
    left_out : ids of runs left out by hand.
    """
    # Runs left out still count when arms are named, so that leaving one out renames nothing.
    treatments = (t for task in study.tasks for t in task_treatments(study, manifest, task))
    return tuple(t for t in treatments if t.run_id not in left_out)


def task_treatments(study: Study, manifest: Manifest, task: Task) -> tuple[Treatment, ...]:
    """The same for the runs of one task."""
    runs = manifest.of_task(task.key)
    missing = missing_config_keys(study, task, runs)
    keys = {key for _, key in study.config_keys(task)} - missing.keys()
    by_rule = {run.id: run_detach(task, run, keys) for run in runs}
    detaches, checks = signal_detaches(task, by_rule, signal_rows(manifest, task, runs))
    ratios = {run.id: _ratio(task, run, detaches[run.id]) for run in runs}
    names = _arm_names(study, task, runs, detaches, ratios, keys)
    pooled = _pooled_steps(task, detaches, names)
    silent = [
        f"no run has {key} in its config: check {setting}" for key, setting in missing.items() if setting != "seed_key"
    ]
    treatments = []
    for run in runs:
        detach, check, arm = detaches[run.id], checks.get(run.id, SignalCheck("")), names[run.id]
        seed = config_value(run.config, study.seed_key)
        seedless = f"{study.seed_key} is not in its config: its id stands for the seed" if seed is None else ""
        texts = (_reason(task, detach), *detach.warnings, check.warning, pooled.get(arm, ""), *silent, seedless)
        treatments.append(
            Treatment(
                run_id=run.id,
                task=task.key,
                arm=arm,
                seed=run.id if seed is None else value_text(seed),
                detach_step=detach.step,
                detach_source=detach.source,
                ratio=ratios[run.id],
                signal=check.word,
                last_step=run.last_step,
                state=run.state,
                change=detach.change,
                warnings=tuple(text for text in texts if text),
                branch_point=run.branch_point,
            )
        )
    return tuple(sorted(treatments, key=_order))


def _reason(task: Task, detach: Detach) -> str:
    """Why config does not say where the run was detached, and what is made of it; empty where it says."""
    if detach.source and not detach.reason:
        return ""
    signal = task.detach.signal.key if task.detach.signal else ""
    typed = (
        "the typed step is used" if detach.step else "the run counts as never detached, for its sweep is the control's"
    )
    outcome = {"typed": typed, "signal": f"{signal} says it"}.get(detach.source, "its arm is unknown")
    return f"{detach.reason or 'nothing says whether it was detached'}: {outcome}"


def _ratio(task: Task, run: Run, detach: Detach) -> float | None:
    return None if detach.step is None else detach.step / run_total(task, run.config)


def _arm_names(
    study: Study,
    task: Task,
    runs: Sequence[Run],
    detaches: Mapping[str, Detach],
    ratios: Mapping[str, float | None],
    keys: Collection[str],
) -> dict[str, str]:
    """The arm of each run: detached ones by the study's key where some run has it, else by ratio where there are several.

    A randomised design is one arm. What happened to an encoder that was not frozen is part of the arm's name.
    """
    rule, arms = task.detach, study.arms if study.arms and study.arms.key in keys else None
    labels = {value_text(value): label for value, label in arms.labels} if arms else {}
    texts = {run: f"{ratio:.4g}" for run, ratio in ratios.items() if ratio is not None}
    by_ratio = len(set(texts.values())) > 1 and not rule.randomised
    is_change_named = arms is not None and {arms.key}.issuperset(key for key, _ in rule.frozen_when)
    names = {}
    for run in runs:
        detach = detaches[run.id]
        if detach.step is None:
            names[run.id] = CONTROL if detach.source else UNKNOWN
            continue
        name = f"{DETACHED} {texts[run.id]}" if by_ratio else DETACHED
        if arms:
            value = config_value(run.config, arms.key)
            text = value_text(value)
            name = f"{name} without {arms.key}" if value is None else labels.get(text, f"{DETACHED} {text[:LONG]}")
        names[run.id] = one_line(f"{name} {detach.change}" if detach.change and not is_change_named else name)
    return names


def _pooled_steps(task: Task, detaches: Mapping[str, Detach], names: Mapping[str, str]) -> dict[str, str]:
    """By arm, what its runs must be told where the study's labels put several detach steps into it."""
    steps: dict[str, set[int]] = {}
    for run, detach in detaches.items():
        if detach.step is not None:
            steps.setdefault(names[run], set()).add(detach.step)
    return {
        arm: f"its arm has {len(arm_steps)} detach steps: {listing(f'{step:,}' for step in sorted(arm_steps))}"
        for arm, arm_steps in steps.items()
        if len(arm_steps) > 1 and not task.detach.randomised
    }


def _order(treatment: Treatment) -> tuple[tuple[int, str], tuple[float, str], str]:
    return arm_place(treatment.arm), number_order(treatment.seed), treatment.run_id


def of_task(treatments: Sequence[Treatment], task: str) -> tuple[Treatment, ...]:
    """The treatments of one task, by its id."""
    return tuple(t for t in treatments if t.task == task)


def arms_of(treatments: Sequence[Treatment]) -> tuple[str, ...]:
    """The arms present: detached ones, the control, unknown."""
    return tuple(sorted({t.arm for t in treatments}, key=arm_place))


def unknown_arms(task: Task, treatments: Sequence[Treatment]) -> str:
    """A sentence on the runs of a task whose arm is unknown; empty where there are none."""
    unknown = [t.run_id for t in treatments if t.arm == UNKNOWN]
    if not unknown:
        return ""
    runs, were = plural(len(unknown), "run"), "was" if len(unknown) == 1 else "were"
    return f"Nothing says whether {runs} of {task.title} {were} detached: {listing(unknown)}."


def arm_place(arm: str) -> tuple[int, str]:
    """What arms are sorted by: detached ones by name, the control, unknown."""
    return (CONTROL, UNKNOWN).index(arm) + 1 if arm in (CONTROL, UNKNOWN) else 0, arm


def anchor(treatments: Sequence[Treatment]) -> int:
    """The step that a task's aligned bins start from when a run has no detach step of its own.

    It is the detach step the runs share; 0 where they share none (never detached, or randomised).
    """
    steps = {t.detach_step for t in treatments if t.detach_step is not None}
    return steps.pop() if len(steps) == 1 else 0
