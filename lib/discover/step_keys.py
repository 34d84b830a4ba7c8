"""Which logged key counts environment steps, where W&B's own `_step` counts something else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib.discover import key_names
from lib.runs import Run

#: Two counters that differ by more than this factor do not count the same.
_FAR = 2.0
#: A counter ends within this part of the total steps.
_NEAR = 0.1


@dataclass(frozen=True)
class Counter:
    """A logged key that counts environment steps: what says so, and whether it reaches the total steps."""

    key: str
    where: str
    reaches_total: bool


def named_counters(keys: Sequence[str]) -> list[str]:
    """The logged keys that may count environment steps by their names, the likeliest first."""
    named = [key for key in keys if key_names.rank(key, key_names.STEP)]
    return sorted(named, key=lambda key: (key_names.rank(key, key_names.STEP), key))


def counters(runs: Sequence[Run], keys: Sequence[str], total_of: Callable[[Run], float | None]) -> list[Counter]:
    """The keys that count towards a run's total steps where `_step` ends far from them, the likeliest first.

    The run that got furthest tells. Where no config says the total steps, a key that ends far beyond `_step` counts them.
    """
    return [counter for key in named_counters(keys) if (counter := _counter(runs, key, total_of))]


def _counter(runs: Sequence[Run], key: str, total_of: Callable[[Run], float | None]) -> Counter | None:
    ends = [(run.last_values[key], run.last_step, run) for run in runs if key in run.last_values and run.last_step]
    if not ends:
        return None
    value, last, run = max(ends, key=lambda end: end[0])
    total = total_of(run)
    where = f"counts to {value:,.0f} in run {run.id}, where _step counts to {last:,}"
    if total is None:
        return Counter(key, f"{where}; no config key says the total steps", False) if value > _FAR * last else None
    reaches = abs(value - total) <= _NEAR * total
    is_far = value > _FAR * last or (reaches and abs(last - total) > _NEAR * total)
    if not is_far or value > (1 + _NEAR) * total:
        return None
    return Counter(key, f"{where}, of {total:,.0f} total steps", reaches)
