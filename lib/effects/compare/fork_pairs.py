"""Fork pairs: runs of two arms whose histories are the same up to the detach."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.effects.compare.units import Rows
from lib.formatting import number_order
from lib.runs import Treatment, is_telling


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


def fork_pairs(rows: Rows, keys: Sequence[str], treated: Sequence[Treatment]) -> tuple[Pair, ...]:
    """Runs of two arms that are one run up to the detach.

    Their metrics are equal at every step strictly below it, and either W&B says that one is a fork of the other, or both
    forks of one run at the same step, or enough rows are equal to say it.

    Parameters
    ----------
    rows : by run and metric.
    keys : the study's metrics.
    treated : the treatments of one detached arm and of the controls.

    Returns
    -------
    At most one pair per detached run and per control: of several controls that match, the one of the same seed, then
    that of the same lineage, else the first by seed.
    """
    runs = sorted(treated, key=lambda t: (number_order(t.seed), t.run_id))
    detached = [t for t in runs if t.detach_step is not None]
    steps = sorted({t.detach_step for t in detached if t.detach_step is not None})
    by_history: dict[tuple[int, _History], list[Treatment]] = {}
    for control in (t for t in runs if t.is_control):
        for step in steps:
            by_history.setdefault((step, _fingerprint(rows, keys, control.run_id, step)), []).append(control)
    candidates = []
    for run in detached:
        step = run.detach_step or 0
        history = _fingerprint(rows, keys, run.run_id, step)
        for control in by_history.get((step, history), ()):
            kin = are_kin(run, control)
            if kin or history.is_telling:
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


@dataclass(frozen=True)
class _History:
    """A digest of every row of some metrics below a step, and whether two runs with the same must be one."""

    digest: str
    is_telling: bool


def _fingerprint(rows: Rows, keys: Sequence[str], run_id: str, before: int) -> _History:
    digest, telling = hashlib.blake2b(digest_size=16), False
    for key in sorted(keys):
        steps, values = rows.series(run_id, key)
        early = steps < before
        plain = np.where(np.isnan(values[early]), np.nan, values[early]) + 0.0  # one NaN, and no -0.0
        telling = telling or is_telling(plain)
        if len(plain):
            digest.update(f"{key}\0{len(plain)}\0".encode())
            digest.update(steps[early].tobytes())
            digest.update(plain.tobytes())
    return _History(digest.hexdigest(), telling)
