"""Fork pairs: runs of two arms whose histories are the same up to the detach."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from lib.effects.compare.units import Rows
from lib.runs import Treatment


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
    """Runs of two arms whose metrics are equal at every step strictly below the detach.

    Parameters
    ----------
    rows : by run and metric.
    keys : the study's metrics.
    treated : the treatments of one detached arm and of the controls.

    Returns
    -------
    At most one pair per detached run and per control: of several controls that match, the one of the same seed, else the
    first by seed. Runs that logged nothing below the detach pair with none.
    """
    runs = sorted(treated, key=lambda t: (t.seed, t.run_id))
    free = {t.run_id: t for t in runs if t.is_control}
    fingerprint = cache(partial(_fingerprint, rows, keys))
    alike = {}
    for run in (t for t in runs if t.detach_step is not None):
        history = fingerprint(run.run_id, run.detach_step or 0)
        alike[run.run_id] = [c for c in free if history and history == fingerprint(c, run.detach_step or 0)]
    pairs: dict[str, Pair] = {}
    for by_seed in (True, False):  # pairs of one seed first, so that no other run takes their control
        for run in (t for t in runs if t.run_id in alike and t.run_id not in pairs):
            controls = [c for c in alike[run.run_id] if c in free and (free[c].seed == run.seed or not by_seed)]
            if controls:
                pairs[run.run_id] = Pair(run.run_id, controls[0], run.detach_step or 0, run.seed)
                del free[controls[0]]
    return tuple(sorted(pairs.values(), key=lambda p: (p.seed, p.detached)))


def _fingerprint(rows: Rows, keys: Sequence[str], run_id: str, before: int) -> str:
    """A digest of every row of the metrics strictly below a step; empty where there is none."""
    digest, count = hashlib.blake2b(digest_size=16), 0
    for key in sorted(keys):
        steps, values = rows[run_id, key]
        early = steps < before
        plain = np.where(np.isnan(values[early]), np.nan, values[early]) + 0.0  # one NaN, and no -0.0
        count += len(plain)
        if len(plain):
            digest.update(f"{key}\0{len(plain)}\0".encode())
            digest.update(steps[early].tobytes())
            digest.update(plain.tobytes())
    return digest.hexdigest() if count else ""
