"""Which of the logged keys are proposed as metrics, and why the other rewards and losses are not."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from lib.discover.evidence import Evidence
from lib.discover.find_keys import STEP, Finding, logged_keys
from lib.discover.key_names import ORIGINAL, Suggestion, family_of, suggest, words
from lib.discover.model import Inspection
from lib.study import FAMILIES, InputError, Metric

#: Of a family so many keys are proposed.
_MOST = 3
_PLURAL = {"reward": "rewards", "loss": "losses"}
#: Words of a key that holds no level: its spread over episodes, an extreme, a weight.
_NO_LEVEL = {"coef", "max", "min", "std", "stderr", "stddev", "sem", "var", "variance", "weight"}
_NUMBERED = re.compile(r"(?:h|horizon|step|t)?\d+")


def suggestions(inspection: Inspection, step_key: str = "_step") -> dict[str, Suggestion]:
    """By logged key, how it is best drawn; the step key is none of them."""
    keys = [key for key in logged_keys(inspection.runs) if key != step_key]
    return {key: suggest(key, inspection.lowest.get(key), inspection.whole) for key in keys}


def preselected(keys: Sequence[str]) -> list[str]:
    """The keys to begin with: of each family the original notebook's where logged, else up to three by name.

    Consistency losses come alone where there are any; evaluation and validation come first among the others.
    """
    return [key for family in FAMILIES for key in _of_family(keys, family)]


def _of_family(keys: Sequence[str], family: str) -> list[str]:
    if original := [metric.key for metric in ORIGINAL if metric.family == family and metric.key in keys]:
        return original
    levels = sorted((key for key in keys if family_of(key) == family and not _no_level(key)), key=_order)
    return ([key for key in levels if "consistency" in words(key)] or levels)[:_MOST]


def _order(key: str) -> tuple[bool, bool, bool, str]:
    """What keys of a family are sorted by: whole episodes, sums over horizons, evaluation before training, name."""
    parts = words(key)
    is_split = any(part.startswith(("eval", "val", "test")) for part in parts)
    is_numbered = any(_NUMBERED.fullmatch(part) for part in parts)
    return not {"episode", "episodic", "ep"} & {*parts}, is_numbered, not is_split, key


def _no_level(key: str) -> str:
    """The word of a key that says that it holds no level of a reward or loss."""
    return next((word for word in words(key) if word in _NO_LEVEL), "")


def not_taken(keys: Sequence[str], taken: Collection[str], without_number: Collection[str] = ()) -> dict[str, str]:
    """By key that looks like a reward or a loss and is not among the metrics, why it is not.

    Parameters
    ----------
    without_number : keys under which no number was logged.
    """
    proposed = preselected([key for key in keys if key not in without_number])
    reasons = dict[str, str]()
    for key in keys:
        family = family_of(key)
        if family is None or key in taken:
            continue
        of_family = [other for other in proposed if family_of(other) == family]
        if key in proposed:
            reasons[key] = "you left it out"
        elif key in without_number:
            reasons[key] = "no number was logged"
        elif any(metric.key in of_family for metric in ORIGINAL):
            reasons[key] = f"the {_PLURAL[family]} of the original notebook are logged"
        elif word := _no_level(key):
            reasons[key] = f"'{word}' in its name says that it is no level"
        elif family == "loss" and of_family and "consistency" not in words(key):
            has_consistency = any("consistency" in words(other) for other in of_family)
            reasons[key] = "consistency losses are logged" if has_consistency else _full(of_family, family)
        else:
            reasons[key] = _full(of_family, family)
    return reasons


def _full(of_family: Sequence[str], family: str) -> str:
    return f"{len(of_family)} {_PLURAL[family]} that come before it are proposed"


def choose_metrics(evidence: Evidence) -> tuple[tuple[Metric, ...], list[Finding]]:
    """The metrics as the user chose them, else as proposed, and a finding on each key that may be one.

    Raises
    ------
    InputError
        Where there is none.
    """
    inspection, chosen = evidence.inspection, evidence.choices.metrics
    suggested = suggestions(inspection, evidence.key(STEP))
    # Of a server's runs only the last values are there: a key without any may still hold numbers.
    without_number = {key for key in suggested if inspection.whole and key not in inspection.lowest}
    if chosen is not None:
        if not chosen:
            raise InputError("No metric is chosen: choose at least one of the keys that the runs logged.")
        metrics, findings = tuple(chosen), list[Finding]()
    else:
        keys = preselected([key for key in suggested if key not in without_number])
        if not keys:
            raise InputError("No logged key looks like a reward or a loss: choose the metrics.")
        metrics = _with_own_labels([suggested[key].metric for key in keys])
        findings = [Finding("metric", key, suggested[key].why, suggested[key].assumed) for key in keys]
    reasons = not_taken([*suggested], [metric.key for metric in metrics], without_number)
    findings += [Finding("metric", key, f"because {why}", is_taken=False) for key, why in reasons.items()]
    return metrics, findings


def _with_own_labels(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """The metrics, those that read alike (train/loss, train_loss) told apart by their keys."""
    labels = [metric.label for metric in metrics]
    return tuple(replace(m, label=f"{m.label} ({m.key})") if labels.count(m.label) > 1 else m for m in metrics)
