"""What is shown in another way than the study declares, a sentence each."""

from collections.abc import Collection, Sequence

from lib.curves import View
from lib.formatting import is_or_are, leading_names, listing, number, one_line, plural
from lib.study import Study, part_of

#: Of many runs so many are named.
_MOST = 3
#: The longest name of a run in a sentence, in signs.
_LONGEST = 40
#: A range of x in words, by axis.
_SPANS = {
    "steps": "steps {} to {}",
    "percent": "{}% to {}% of training",
    "since": "steps {} to {} since the detach",
    "since_percent": "{}% to {}% since the detach",
    "wall": "hours {} to {}",
}


def left_out_text(run_ids: Sequence[str]) -> str:
    """Which runs are left out by hand; empty where none is."""
    return f"{plural(len(run_ids), 'run')} left out by hand: {_names(run_ids)}." if run_ids else ""


def absent_text(run_ids: Sequence[str]) -> str:
    """Which of the runs left out by hand the study does not have; empty where it has them all."""
    if not run_ids:
        return ""
    count = len(run_ids)
    return f"{plural(count, 'run')} left out by hand {is_or_are(count)} not in this study: {_names(run_ids)}."


def _names(run_ids: Sequence[str]) -> str:
    names = [one_line(run_id, _LONGEST) for run_id in run_ids]
    return listing(names if len(names) == _MOST + 1 else leading_names(names, _MOST))


def shown_text(study: Study, view: View, arms: Collection[str]) -> str:
    """Which part of the study is shown: of its tasks, metrics and arms, and of x; empty where all is."""
    visible = part_of(study, view.tasks, view.metrics)
    counts = {
        "metric": (len(visible.metrics), len(study.metrics)),
        "task": (len(visible.tasks), len(study.tasks)),
        "arm": (len(view.arms) or len(arms), len(arms)),
    }
    parts = [f"{shown} of {plural(total, noun)}" for noun, (shown, total) in counts.items() if shown < total]
    is_one = len(parts) == 1 and parts[0].startswith("1 of ")
    if view.span:
        parts.append(_SPANS[view.x].format(*(number(end, 4) for end in view.span)))
    text = f"{listing(parts)} {'is' if is_one and not view.span else 'are'} shown."
    return text[0].upper() + text[1:] if parts else ""
