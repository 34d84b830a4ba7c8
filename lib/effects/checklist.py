"""Can I claim this? The conditions of a claim, each with what would mend it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.effects.compare.comparison import FEWEST, FORK_PAIRS, Comparison, unequal
from lib.effects.compare.designs import Material
from lib.effects.compare.jumps import SIDE_POINTS
from lib.effects.compare.units import REACH, WHOLE, windows
from lib.effects.effects_table import comparisons
from lib.effects.verdicts import EXPLORATORY
from lib.formatting import listing
from lib.study import Study, Task

#: Words in a config key that announce something scheduled in training.
SCHEDULES = ("step", "until", "anneal", "decay", "warmup", "schedule")


@dataclass(frozen=True)
class Gate:
    """One condition: whether it is met, what was found, and what would mend it (empty where it is met).

    `needed` gates decide the verdict; the others are caveats that a claim carries.
    """

    name: str
    passed: bool
    text: str
    mend: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Rival:
    """A scheduled step in the configs near the detach: another explanation of what happens there.

    `shared` says that the control arm has the same values, so that comparing with it rules the schedule out.
    """

    key: str
    values: tuple[float, ...]
    shared: bool


def gates(
    given: Material, configs: Mapping[str, Mapping[str, Any]] | None = None, left_out: Sequence[str] = ()
) -> list[Gate]:
    """The checklist of one task, in the order in which to mend it.

    Parameters
    ----------
    given : what the task's comparisons are made from.
    configs : by run id, for rival schedules; without, that gate is not looked at.
    left_out : ids of the task's runs that were set aside by hand.
    """
    found = comparisons(given)
    checks = [
        _control(given, found),
        _seeds(given, found),
        _points(given, found),
        _window(given),
        _counted(found),
        _set_aside(left_out),
        _whole(given, found),
        _signal(given),
    ]
    if configs is not None:
        checks.append(_rivals(given, configs))
    return [check for check in checks if check is not None]


def _control(given: Material, found: Sequence[Comparison]) -> Gate:
    name = "Control arm"
    controls = sum(t.detach_step is None for t in given.treated)
    if given.task.detach.randomised:
        return Gate(name, True, "The detach steps were drawn at random: the design is its own control.")
    if not controls:
        return Gate(
            name,
            False,
            "No run was left without a detach: only a jump at that step can be tested, and nothing causal said.",
            "Train the same seeds without the detach (ratio 0) and name their sweep as control_sweep_id.",
        )
    pairs = max((len(c.pairs) for c in found), default=0)
    forks = f"{pairs} of them fork pairs with a detached run" if pairs >= FORK_PAIRS else "no fork pairs"
    return Gate(name, True, f"{controls} runs were never detached, {forks}.")


def _seeds(given: Material, found: Sequence[Comparison]) -> Gate:
    name, controls = "Seeds", sum(t.detach_step is None for t in given.treated)
    sizes = {arm: sum(t.arm == arm for t in given.treated) for arm in given.arms}
    text = ", ".join(f"{n} {arm}" for arm, n in sizes.items()) + (f", {controls} control" if controls else "")
    counted = [len(c.values) for c in found] + [len(c.control_values) for c in found if c.design == "did"]
    if not sizes:
        return Gate(
            name, False, "No run of this task was detached.", "Name the detach step, or the config keys that give it."
        )
    arms = [*sizes.values(), *([controls] if controls else [])]
    if min(arms) < FEWEST:
        mend = f"Run at least {FEWEST} seeds in each arm: one allows no inference, two no verdict."
        return Gate(name, False, f"{text}: fewer than {FEWEST} in an arm.", mend)
    forks = any(c.design == "fork" for c in found)
    if controls and not forks and any(unequal(n, controls) for n in sizes.values()):
        return Gate(name, False, f"{text}: Welch's test breaks with arms so unequal.", "Add seeds to the smaller arm.")
    few = f" Fewest counted for a metric: {min(counted)}." if counted and min(counted) < min(arms) else ""
    return Gate(name, True, f"{text}.{few}")


def _points(given: Material, found: Sequence[Comparison]) -> Gate:
    name = "Points per side"
    bad = [c.metric.name for c in found if not c.values]
    if bad and any(c.design in ("jump", "onset") for c in found):
        every = min(c.half for c in found if not c.values) / SIDE_POINTS
        return Gate(
            name,
            False,
            f"Fewer than {SIDE_POINTS} rows a side near the detach for {listing(bad)}.",
            f"Log at least every {every:,.0f} steps around the detach, or add a control arm, which needs fewer rows.",
        )
    if bad:
        return Gate(
            name, False, f"No usable rows on both sides for {listing(bad)}.", "Log the metric before and after."
        )
    counts = [(u.n_before, u.n_after) for c in found for u in (*c.units, *c.controls)]
    if not counts:
        return Gate(name, False, "Nothing was logged on both sides of a detach.", "Log the metrics before and after.")
    before, after = (min(side) for side in zip(*counts, strict=True))
    return Gate(name, True, f"Every run has at least {before} rows before and {after} after in the windows.")


def _window(given: Material) -> Gate:
    declared = windows(given.task, given.study.evidence)
    if given.window == declared:
        return Gate("Window declared", True, f"{_first(declared.text())}, as the study file says.")
    return Gate(
        "Window declared",
        False,
        f"{_first(EXPLORATORY)}: {given.window.text()}, declared was {declared.text()}.",
        "Go back to the declared window, or declare this one in [evidence] and test it on new runs.",
    )


def _counted(found: Sequence[Comparison]) -> Gate:
    out = sorted({f"seed {e.seed} of {e.arm} ({e.reason})" for c in found for e in c.excluded})
    if not out:
        return Gate("Runs counted", True, "Every run counts for every metric.", needed=False)
    text = f"Not counted for some metric: {'; '.join(out)}."
    mend = f"Let each run log beyond its detach by {REACH:.0%} of training at least; rerun what diverged."
    return Gate("Runs counted", False, text, mend, needed=False)


def _set_aside(left_out: Sequence[str]) -> Gate:
    if not left_out:
        return Gate("Runs set aside", True, "No run was set aside by hand.", needed=False)
    text = f"{len(left_out)} set aside by hand: {', '.join(left_out)}."
    return Gate("Runs set aside", False, text, "Say why in the claim, or take them in again.", needed=False)


def _whole(given: Material, found: Sequence[Comparison]) -> Gate:
    total = given.task.total_steps
    short = sorted({(c.metric.name, int(c.end)) for c in found if c.end < WHOLE * total})
    if not short:
        return Gate("Runs to the end", True, f"Compared up to at least {WHOLE:.0%} of training.", needed=False)
    text = f"Compared only up to {', '.join(f'{end:,} ({name})' for name, end in short)} of {total:,} steps."
    return Gate(
        "Runs to the end", False, text, "Let the runs finish, or set the shortest aside and say so.", needed=False
    )


def _signal(given: Material) -> Gate | None:
    if given.task.detach.signal is None:
        return None
    key = given.task.detach.signal.key
    doubted = [t for t in given.treated if t.signal in ("disagrees", "not logged")]
    if not doubted:
        return Gate("Detach seen", True, f"{key} agrees with the detach step in every run.", needed=False)
    seeds = ", ".join(f"seed {t.seed} of {t.arm} ({t.signal})" for t in doubted)
    return Gate("Detach seen", False, f"{key} does not confirm the detach: {seeds}.", "Check these runs.", needed=False)


def _rivals(given: Material, configs: Mapping[str, Mapping[str, Any]]) -> Gate:
    name, found = "Rival schedules", rivals(given, configs)
    reach = f"{REACH * given.task.total_steps:,.0f} steps"
    if not found:
        return Gate(name, True, f"No config schedules anything within {reach} of the detach.", needed=False)
    said = ", ".join(f"{r.key} = {' or '.join(f'{v:,g}' for v in r.values)}" for r in found)
    if all(r.shared for r in found):
        text = f"{said}: within {reach} of the detach, but in the control arm too, which is what it is for."
        return Gate(name, True, text, needed=False)
    return Gate(
        name,
        False,
        f"{said}: within {reach} of the detach, so it explains a change there just as well.",
        "Add a control arm with the same schedule, or move one of the two.",
        needed=False,
    )


def rivals(given: Material, configs: Mapping[str, Mapping[str, Any]]) -> list[Rival]:
    """What the configs schedule within 0.1 S of a detach, other than the detach itself.

    Numbers (also in nested tables and lists) under a key that names a step, decay, warm-up or schedule.
    """
    steps = {t.detach_step for t in given.treated if t.detach_step is not None}
    reach, total = REACH * given.task.total_steps, given.task.total_steps
    own = _own_keys(given.study, given.task)
    seen: dict[str, dict[bool, set[float]]] = {}
    for run in given.treated:
        for key, value in _numbers(configs.get(run.run_id, {})):
            foreign = key.split(".")[0] not in own and "detach" not in key.lower() and value != total
            if foreign and any(abs(value - step) <= reach for step in steps):
                seen.setdefault(key, {}).setdefault(run.detach_step is None, set()).add(value)
    return [
        Rival(key, tuple(sorted(set().union(*arms.values()))), arms.get(True, set()) == arms.get(False))
        for key, arms in sorted(seen.items())
    ]


def _own_keys(study: Study, task: Task) -> set[str]:
    rule = task.detach
    return {
        rule.ratio_key,
        rule.total_steps_key,
        study.arms.key if study.arms else "",
        *(k for k, _ in rule.frozen_when),
    }


def _numbers(tree: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every scheduled number of a config with its key, those of inner tables joined by dots."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _numbers(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _numbers(value, path)
    elif isinstance(tree, int | float) and not isinstance(tree, bool) and any(w in path.lower() for w in SCHEDULES):
        yield path, float(tree)


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
