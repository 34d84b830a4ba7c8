"""Colour runs by seed, arm or a config key on which they differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from lib.runs import Manifest, Treatment
from lib.study import Study, config_number, config_value, flat_config, value_text

SEED, ARM = "seed", "arm"
MISSING = "missing"
#: More values than this that are all numbers are a scale, not a list.
FEW = 6
#: A value longer than this is cut: a legend is not a config file.
LONG = 40

Value = str | float | None


@dataclass(frozen=True)
class Coloring:
    """What every run of a task is coloured by.

    `values` are by run: numbers where they lie on a scale, else text; None where a run has no value. `order` is every
    text in the order of its legend, empty for a scale, whose ends are `low` and `high`. Runs left out count, so that
    leaving one out recolours nothing.
    """

    key: str
    values: Mapping[str, Value]
    order: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @property
    def scaled(self) -> bool:
        """Whether values are numbers on a scale."""
        return not self.order


def color_keys(study: Study, manifest: Manifest) -> list[str]:
    """What runs can be coloured by: seed, arm, and the config keys whose values differ between runs of a task."""
    keys = set[str]()
    for task in study.tasks:
        configs = [flat_config(run.config) for run in manifest.of_task(task.key)]
        for key in {key for config in configs for key in config} - keys:
            if len({value_text(config.get(key)) for config in configs}) > 1:
                keys.add(key)
    return [SEED, ARM, *sorted(key for key in keys - {SEED, ARM, study.seed_key} if not key.startswith("_"))]


def coloring(manifest: Manifest, treatments: Sequence[Treatment], key: str) -> Coloring | None:
    """Every run's value of a key; None where the key is empty.

    Parameters
    ----------
    treatments : every run of one task, those left out included.
    key : one of `color_keys`; "seed" and "arm" are the treatment's.
    """
    if not key:
        return None
    configs = {run.id: run.config for run in manifest.runs}
    raw = {t.run_id: _value(t, configs.get(t.run_id, {}), key) for t in treatments}
    numbers = sorted({value for value in raw.values() if isinstance(value, float)})
    texts = {value for value in raw.values() if isinstance(value, str)}
    if len(numbers) > FEW and not texts:
        return Coloring(key, raw, low=numbers[0], high=numbers[-1])
    order = [f"{number:.6g}" for number in numbers] + sorted(texts)
    named = {run: f"{value:.6g}" if isinstance(value, float) else value for run, value in raw.items()}
    return Coloring(key, named, tuple(dict.fromkeys(order)) or (MISSING,))


def _value(treatment: Treatment, config: Mapping[str, object], key: str) -> Value:
    if key == ARM:
        return treatment.arm
    if key == SEED:
        return float(treatment.seed) if re.fullmatch("-?[0-9]{1,15}", treatment.seed) else treatment.seed[:LONG]
    value, number = config_value(config, key), config_number(config, key)
    if number is not None and isfinite(number):
        return number
    return None if value is None else value_text(value)[:LONG]


def coloring_text(coloring: Coloring) -> str:
    """The colours of the runs in a sentence, for whoever cannot see them."""
    values = list(coloring.values.values())
    texts = [text for text in coloring.order if text in values]
    if coloring.scaled:
        texts = [f"from {coloring.low:.6g} to {coloring.high:.6g}"]
    texts += [f"{values.count(None)} without a value"] if None in values else []
    return f"Every run has its own line, coloured by {coloring.key}: {', '.join(texts)}."
