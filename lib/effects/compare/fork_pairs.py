"""Fork pairs: runs of two arms whose histories are the same up to the detach."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lib.formatting import number_order
from lib.runs import GROUP_SIZE, NUMBERS, History, Treatment, each, is_telling

_DIGEST = 16


@dataclass(frozen=True)
class Pair:
    """A detached run and the control that shares its history up to the detach step."""

    detached: str
    control: str
    detach_step: int
    seed: str

    @property
    def name(self) -> str:
        """The pair in tables: its seed, or the detached run."""
        return self.seed or self.detached


def fork_pairs(history: History, keys: Sequence[str], treatments: Sequence[Treatment]) -> tuple[Pair, ...]:
    """Runs of two arms that are one run up to the detach.

    Their metrics are equal at every step strictly below it, and either W&B says that one is a fork of the other, or both
    forks of one run at the same step, or enough rows are equal to say it.

    Parameters
    ----------
    history : of the runs.
    keys : the study's metrics.
    treatments : the treatments of one detached arm and of the controls.

    Returns
    -------
    At most one pair per detached run and per control: of several controls that match, the one of the same seed, then
    that of the same lineage, else the first by seed.
    """
    runs = sorted(treatments, key=lambda t: (number_order(t.seed), t.run_id))
    steps = sorted({t.detach_step for t in runs if t.detach_step is not None})
    controls, detached = [t for t in runs if t.is_control], [t for t in runs if t.detach_step is not None]
    by_history: dict[tuple[int, bytes], list[Treatment]] = {}
    for control, histories in zip(controls, _histories(history, keys, [(t, steps) for t in controls]), strict=True):
        for step, early in zip(steps, histories, strict=True):
            by_history.setdefault((step, early[:_DIGEST]), []).append(control)
    candidates = []
    own = [(t, [t.detach_step or 0]) for t in detached]
    for run, (early,) in zip(detached, _histories(history, keys, own), strict=True):
        step = run.detach_step or 0
        for control in by_history.get((step, early[:_DIGEST]), ()):
            kin = are_kin(run, control)
            if kin or early[_DIGEST]:
                candidates.append((run.seed != control.seed, not kin, Pair(run.run_id, control.run_id, step, run.seed)))
    pairs, paired = list[Pair](), set[str]()
    for _, _, pair in sorted(candidates, key=lambda candidate: candidate[:2]):  # stable: then by seed
        if paired.isdisjoint((pair.detached, pair.control)):
            pairs.append(pair)
            paired |= {pair.detached, pair.control}
    return tuple(sorted(pairs, key=lambda p: (number_order(p.seed), p.detached)))


def are_kin(run: Treatment, other: Treatment) -> bool:
    """Whether W&B says that a run is a fork of another, or that both are forks of one run at the same step."""
    points = (run.branch_point, other.branch_point)
    is_parent = any(point and point.run_id == t.run_id for point, t in zip(points, (other, run), strict=True))
    return is_parent or (points[0] is not None and points[0] == points[1])


def _histories(
    history: History, keys: Sequence[str], runs: Iterable[tuple[Treatment, Sequence[int]]]
) -> Iterator[list[bytes]]:
    """By run and step, a digest of every row of some metrics below it, then whether two runs with the same must be one."""
    calls = ((t.run_id, history.of_run(t.run_id), steps) for t, steps in runs)
    return each(partial(_histories_of, sorted(keys)), calls, GROUP_SIZE)


def _histories_of(keys: Sequence[str], call: tuple[str, History, Sequence[int]]) -> list[bytes]:
    run_id, history, steps = call
    compute = {f"history {keys} {step}": partial(_history, history, keys, run_id, step) for step in steps}
    return [array.tobytes() for array in history.cached_on_disk(run_id, NUMBERS, np.uint8, compute)]


def _history(history: History, keys: Sequence[str], run_id: str, before: int) -> NDArray[np.uint8]:
    digest, telling = hashlib.blake2b(digest_size=_DIGEST), False
    for key in keys:
        steps, values = history.series(run_id, key)
        early = steps < before
        plain = np.where(np.isnan(values[early]), np.nan, values[early]) + 0.0  # one NaN, and no -0.0
        telling = telling or is_telling(plain)
        if len(plain):
            digest.update(f"{key}\0{len(plain)}\0".encode())
            digest.update(steps[early].tobytes())
            digest.update(plain.tobytes())
    return np.frombuffer(digest.digest() + bytes([telling]), np.uint8)
