"""The logged signal that falls where an encoder is detached: it checks a run's detach step, or gives it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.runs.detach import Detach, run_total
from lib.runs.disk_cache import NUMBERS
from lib.runs.model import Manifest, Run
from lib.runs.parallel import GROUP_SIZE, each
from lib.runs.reader import History
from lib.study import Task

AGREES, DISAGREES = "agrees", "disagrees"
#: Words of a signal that cannot tell: without rows on both sides of the detach, in a run that ends before it, with rows too
#: far apart, and where the signal changes in another way: at the detach of others without falling, or twice.
NOT_LOGGED, NOT_REACHED, TOO_SPARSE, CHANGES = "not logged", "not reached", "too sparse", "changes"
_ROW = np.dtype([("step", "<i8"), ("value", "<f8")])
#: Rows at least this share of training apart do not say what happened between them.
WIDE = 0.05
#: A signal that falls by more than so many times what it fell by before falls at once.
_ABRUPT = 2


class SignalCheck(NamedTuple):
    """What the signal says of a run's detach, in a word, and the warning where it does not agree."""

    word: str
    warning: str = ""


@dataclass(frozen=True)
class SignalRows:
    """A run's finite rows of the signal, or those of them that `is_edge` names.

    `last` is the run's last step of any kind; rows `wide` steps apart are too far apart.
    """

    key: str
    falls_to: float
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    last: int
    wide: float

    @cached_property
    def above(self) -> int | None:
        """The last step at which the signal is above where it falls to; None where it never is."""
        above = self.steps[self.values > self.falls_to]
        return int(above[-1]) if len(above) else None

    @cached_property
    def fallen(self) -> int | None:
        """The first step from which the signal has fallen for good; None where it has not."""
        after = self.steps if self.above is None else self.steps[self.steps > self.above]
        return int(after[0]) if len(after) else None

    @cached_property
    def pause(self) -> str:
        """What it does where it falls only for a while: `falls to 0 by 310 and rises again by 410`; else empty."""
        edges = np.diff(self.values > self.falls_to, prepend=False)
        # The first edge is where it is above, be it from the start; the next two are a fall and a rise.
        _, *others = [int(step) for step in self.steps[edges][:3]] or [0]
        return (
            f"falls to {self.falls_to:g} by {others[0]:,} and rises again by {others[1]:,}" if len(others) > 1 else ""
        )

    @cached_property
    def is_annealed(self) -> bool:
        """Whether it comes down to where it falls to little by little: by no more at last than twice the row before."""
        at = 0 if self.fallen is None else int(np.searchsorted(self.steps, self.fallen))
        if at < 2:
            return False
        before, last = self.values[at - 2 : at].tolist()
        return bool(last - self.falls_to <= _ABRUPT * (before - last))

    @property
    def fall(self) -> tuple[int, int] | None:
        """The steps between which it falls, once and close enough to each other to say where; None where nothing says it."""
        above, fallen = self.above, self.fallen
        if self.pause or self.is_annealed or above is None or fallen is None:
            return None
        return (above, fallen) if fallen - above < self.wide else None

    def check(self, step: int) -> SignalCheck:
        """Whether the signal falls at a detach step: it lies between the last row above and the first one fallen."""
        if not len(self.steps):
            return self._not_logged()
        above, fallen = self.above or 0, self.fallen
        if self.pause:
            return SignalCheck(DISAGREES, f"detach step {step:,}, but {self.key} {self.pause}")
        if fallen is None and above <= step:
            return self._not_after(step)
        if fallen is None:
            return SignalCheck(DISAGREES, f"detach step {step:,}, but {self.key} never falls to {self.falls_to:g}")
        between = f"by {fallen:,}" if self.above is None else f"between {above:,} and {fallen:,}"
        text = f"detach step {step:,}, but {self.key} falls to {self.falls_to:g} {between}"
        if not above <= step <= fallen:
            return SignalCheck(DISAGREES, text)
        if fallen - above >= self.wide:
            return SignalCheck(TOO_SPARSE, f"{text}: too far apart to check the detach")
        return SignalCheck(AGREES)

    def agrees(self, step: int) -> bool:
        """Whether the signal falls at a detach step."""
        return self.check(step).word == AGREES

    def check_change(self, step: int, change: str) -> SignalCheck:
        """Whether the signal falls at the step of a change, but not as far as where an encoder is frozen."""
        if self.steps.size and self.fallen is not None:
            text = f"{change}, but {self.key} falls to {self.falls_to:g} by {self.fallen:,}"
            return SignalCheck(DISAGREES, text)
        around = self._around(step)
        if isinstance(around, SignalCheck):
            return around
        if around[-1] < around[0]:
            return SignalCheck(AGREES)
        return SignalCheck(DISAGREES, f"detach step {step:,}, but {self.key} does not fall there")

    def check_control(self, steps: Collection[int]) -> SignalCheck:
        """Whether the signal stays as it is around the detach steps of other runs."""
        if not len(self.steps):
            return self._not_logged()
        if self.pause:
            return SignalCheck(DISAGREES, f"never detached, but {self.key} {self.pause}")
        if self.fallen is not None and not self.is_annealed:
            text = f"never detached, but {self.key} falls to {self.falls_to:g} by {self.fallen:,}"
            return SignalCheck(DISAGREES, text)
        checks = [self._check_still(step) for step in sorted(steps)]
        return next((check for check in checks if check.word != AGREES), SignalCheck(AGREES))

    def check_unknown(self, steps: Collection[int]) -> SignalCheck:
        """Why the signal does not say whether a run was detached, beside runs whose signal falls at these steps."""
        if self.pause:
            return SignalCheck(CHANGES, f"{self.key} {self.pause}: it does not say which is the detach")
        if self.fallen is not None and self.above is None:
            return SignalCheck(NOT_LOGGED, f"{self.key} is {self.falls_to:g} from its first row on, at {self.fallen:,}")
        if self.is_annealed:
            return SignalCheck(
                CHANGES, f"{self.key} comes down to {self.falls_to:g} little by little: that is no detach"
            )
        if self.fallen is not None:
            between = f"between {self.above:,} and {self.fallen:,}"
            return SignalCheck(
                TOO_SPARSE, f"{self.key} falls to {self.falls_to:g} {between}: too far apart to say where"
            )
        return self.check_control(steps) if steps or not len(self.steps) else SignalCheck("")

    def _check_still(self, step: int) -> SignalCheck:
        around = self._around(step)
        if isinstance(around, SignalCheck):
            return around
        if (around == around[0]).all():
            return SignalCheck(AGREES)
        text = f"{self.key} changes from {around[0]:g} to {around[-1]:g} around {step:,}, where others are detached"
        return SignalCheck(CHANGES, text)

    def _around(self, step: int) -> NDArray[np.float64] | SignalCheck:
        """The values around a step, from the last row up to it and the first one after it on; or why there are none."""
        after = int(np.searchsorted(self.steps, step, side="right"))
        if not after:
            text = f"{self.key} is not logged before {step:,}" if len(self.steps) else f"{self.key} is not logged"
            return SignalCheck(NOT_LOGGED, f"{text}: the detach cannot be checked")
        if after == len(self.steps):
            return self._not_after(step)
        low, high = self.steps[after - 1], self.steps[after]
        if high - low >= self.wide:
            text = f"{self.key} is logged at {low:,} and {high:,}: too far apart to check the detach at {step:,}"
            return SignalCheck(TOO_SPARSE, text)
        start, end = np.searchsorted(self.steps, [step - self.wide, step + self.wide])
        return self.values[min(start, after - 1) : max(end, after + 1)]

    def _not_logged(self) -> SignalCheck:
        return SignalCheck(NOT_LOGGED, f"{self.key} is not logged: the detach cannot be checked")

    def _not_after(self, step: int) -> SignalCheck:
        if self.last <= step:
            return SignalCheck(NOT_REACHED, f"ends at {self.last:,}: the detach at {step:,} cannot be checked")
        return SignalCheck(
            NOT_LOGGED, f"{self.key} is not logged after detach step {step:,}: the detach cannot be checked"
        )


def signal_rows(manifest: Manifest, task: Task, runs: Sequence[Run]) -> dict[str, SignalRows]:
    """The rows of the task's signal by run; empty where the task names none."""
    signal = task.detach.signal
    if signal is None:
        return {}
    history = manifest.history(runs)
    wide = {run.id: WIDE * run_total(task, run.config) for run in runs}
    calls = ((run_id, history.of_run(run_id), steps) for run_id, steps in wide.items())
    rows = each(partial(_rows_of_run, signal.key), calls, GROUP_SIZE)
    return {
        run.id: SignalRows(
            signal.key, signal.falls_to, of_run["step"], of_run["value"], run.last_step or 0, wide[run.id]
        )
        for run, of_run in zip(runs, rows, strict=True)
    }


def _rows_of_run(key: str, call: tuple[str, History, float]) -> NDArray[Any]:
    """The finite rows of a run's signal that say what all of them say, from the cache or from the run's rows."""
    run_id, history, wide = call

    def compute() -> NDArray[Any]:
        steps, values = history.series(run_id, key)
        chosen = np.isfinite(values)
        chosen[chosen] = is_edge(steps[chosen], values[chosen], wide)
        rows = np.empty(int(chosen.sum()), dtype=_ROW)
        rows["step"], rows["value"] = steps[chosen], values[chosen]
        return rows

    return history.cached_on_disk(run_id, NUMBERS, _ROW, {f"signal\0{key}\0{wide}": compute})[0]


def is_edge(steps: NDArray[np.int64], values: NDArray[np.float64], wide: float) -> NDArray[np.bool_]:
    """Which rows are the first or last ones of a piece: rows of one value within a quarter of `wide`.

    Rows between them change no answer of `SignalRows`: they are closer to each other than `wide`, and its answers depend on
    where values change, on the values there, and on rows that are `wide` apart.
    """
    place = np.floor(steps / (wide / 4))
    first = (np.diff(place, prepend=np.nan) != 0) | (np.diff(values, prepend=np.nan) != 0)
    last = (np.diff(place, append=np.nan) != 0) | (np.diff(values, append=np.nan) != 0)
    return np.asarray(first | last)


def signal_detaches(
    task: Task, detaches: Mapping[str, Detach], rows: Mapping[str, SignalRows]
) -> tuple[dict[str, Detach], dict[str, SignalCheck]]:
    """The detaches of a task's runs, those of which nothing else is known by their signal, and what the signal says of each.

    A run whose signal falls was detached there; one whose signal stays as it is around the steps at which that of other runs
    falls was never detached.

    Parameters
    ----------
    detaches, rows : by run id; without `rows` nothing is checked.
    """
    unknown = {run: rows[run] for run, detach in detaches.items() if not detach.source and run in rows}
    falls = {run: fall for run, seen in unknown.items() if (fall := seen.fall)}
    steps = {detach.step for detach in detaches.values() if detach.step is not None}
    by_signal = dict(detaches)
    for run, step in (_own_steps(falls) if task.detach.randomised else _shared_steps(falls, steps)).items():
        low, high = falls[run]
        text = f"detach step {step:,} is read from {unknown[run].key}, which falls between {low:,} and {high:,}"
        by_signal[run] = replace(detaches[run], step=step, source="signal", warnings=(*detaches[run].warnings, text))
    steps = {detach.step for detach in by_signal.values() if detach.step is not None}
    seen_steps = {
        d.step for run, d in by_signal.items() if d.step is not None and run in rows and rows[run].agrees(d.step)
    }
    for run in unknown.keys() - falls.keys():
        if seen_steps and unknown[run].check_control(seen_steps).word == AGREES:
            by_signal[run] = replace(detaches[run], source="signal")
    return by_signal, {run: _check(by_signal[run], seen, steps, seen_steps) for run, seen in rows.items()}


def _check(detach: Detach, rows: SignalRows, steps: Collection[int], seen_steps: Collection[int]) -> SignalCheck:
    """What the signal says of a run's detach; nothing where it is the signal that gives it."""
    if detach.source == "signal":
        return SignalCheck("")
    if not detach.source:
        return rows.check_unknown(seen_steps)
    if detach.step is None:
        return rows.check_control(steps)
    return rows.check_change(detach.step, detach.change) if detach.change else rows.check(detach.step)


def _own_steps(falls: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Each run's last step above: every row up to it was logged before the detach, and a row logged at T counts as before."""
    return {run: above for run, (above, _) in falls.items()}


def _shared_steps(falls: Mapping[str, tuple[int, int]], steps: Collection[int]) -> dict[str, int]:
    """The same for runs that were detached at one step but logged at others: those whose falls overlap share the last one.

    Where one of `steps`, the detach steps of other runs, lies in a fall, it is that.
    """
    shared = {}
    for run, (above, fallen) in falls.items():
        if inside := [step for step in steps if above <= step <= fallen]:
            shared[run] = min(inside)
    rest = sorted((fallen, above, run) for run, (above, fallen) in falls.items() if run not in shared)
    while rest:
        first_fallen = rest[0][0]
        overlapping = [fall for fall in rest if fall[1] < first_fallen]
        step = max(above for _, above, _ in overlapping)
        shared |= {run: step for *_, run in overlapping}
        rest = [fall for fall in rest if fall[1] >= first_fallen]
    return shared
