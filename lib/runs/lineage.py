"""Which raw rows are a run: files of one run joined, rewinds and restarts cut, a fork's rows after its parent's.

Raw rows are frames as `normalise` takes them, in the order logged: Float64 columns, the step keys, `_timestamp` and the
metrics, and for a branch point `_step` in any case. They come before the histories: what is superseded is cut while the
order logged and every step key are still there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from lib.formatting import leading_names, listing
from lib.runs.model import Drop

_STEP = "_step"
#: Keys of evaluations, which may be logged late, at an old step, while training goes on.
_EVALUATION = re.compile(r"(?<![a-z])(eval|valid|val(?![a-z])|test)", re.IGNORECASE)
#: A training metric that goes back by less than this share of its steps is logged out of order: actors that run beside
#: each other log their episodes so.
_OUT_OF_ORDER = 0.01
#: Steps that a run went back to, told one by one.
_MOST = 3


@dataclass(frozen=True)
class RunPart:
    """The raw rows of one file of a run; `rewound_to` is W&B's `_step` after which a rewound file begins."""

    rows: pl.DataFrame
    rewound_to: float | None = None


def join_parts(
    parts: Sequence[RunPart], metrics: Sequence[str], step_keys: Sequence[str]
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """The rows of a run that lies in several files.

    A rewound file keeps the earlier rows whose `_step` is at most the one it was rewound to. Any other file supersedes
    the earlier rows whose study step is at or beyond its own first; without rows it supersedes nothing. Within one file
    nothing is cut.

    Parameters
    ----------
    parts : at least one, in order: the first begins the run.
    metrics, step_keys : as for `normalise`: a metric's step is the first key that any of its rows holds.

    Returns
    -------
    rows : the remaining rows, in order. A row of which only some metrics are superseded keeps the others.
    drops : the superseded points, by metric.
    """
    steps = _Steps(pl.concat([part.rows for part in parts], how="diagonal"), metrics, step_keys)
    cuts = _Cuts(steps)
    start = 0
    for part in parts:
        if part.rewound_to is not None:
            cuts.rewind(start, part.rewound_to)
        elif start:
            for key in steps.keys:
                cuts.supersede(start, key, _first(part.rows, key))
        start += len(part.rows)
    return cuts.apply()


def drop_restarts(
    rows: pl.DataFrame, metrics: Sequence[str], step_keys: Sequence[str]
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """A run's rows on a server that records no branch point, without those that a restart superseded.

    A restart is where a training metric goes back, by more than actors beside each other do, and logs at least two rows
    at steps that it had passed. Evaluations make no restart: they may come late. Earlier rows whose study step is at or
    beyond the restart's first are superseded. Parameters and results are those of `join_parts`, `rows` one frame.
    """
    if all(rows[key].drop_nulls().is_sorted() for key in step_keys if key in rows.columns):
        return rows, ()
    steps = _Steps(rows, metrics, step_keys)
    restarts = [restart for metric in steps.key_of for restart in _restarts(steps, metric)]
    places = np.unique([restart.place for restart in restarts])
    cuts = _Cuts(steps)
    for restart in restarts:
        # The rows between a metric's last old row and its first new one are new from where another metric began anew.
        place = int(places[np.searchsorted(places, restart.after, side="right")])
        cuts.supersede(restart.after + 1, restart.key, restart.step)
        cuts.supersede(place, restart.key, np.nextafter(restart.step, np.inf))
    return cuts.apply()


def with_ancestors(rows: pl.DataFrame, ancestors: Sequence[tuple[pl.DataFrame, float]]) -> pl.DataFrame:
    """A fork's history: its ancestors' rows up to where each was forked, then its own.

    Parameters
    ----------
    rows : the fork's own.
    ancestors : the parent's own rows and the `_step` of the branch point, then those of its parent, and so on.
    """
    until = np.inf
    for ancestor, step in ancestors:
        until = min(until, step)
        rows = pl.concat([ancestor.filter(pl.col(_STEP) <= until), rows], how="diagonal")
    return rows


class _Steps:
    """Raw rows with the step key of each metric, and the steps as arrays, NaN where a row has none."""

    def __init__(self, rows: pl.DataFrame, metrics: Sequence[str], step_keys: Sequence[str]) -> None:
        self.rows = rows
        self.keys = [key for key in step_keys if key in rows.columns]
        self.values = {key: _column(rows, key) for key in self.keys}
        present = {key: ~np.isnan(values) for key, values in self.values.items()}
        self.logged = {m: rows[m].is_not_null().to_numpy() for m in metrics if m in rows.columns}
        self.key_of = {
            metric: key
            for metric, logged in self.logged.items()
            if (key := next((k for k in self.keys if (logged & present[k]).any()), None)) is not None
        }
        #: By row, the place in `keys` of the first one that it holds.
        self.first_key = np.argmax([present[key] for key in self.keys], axis=0) if self.keys else None


def _column(rows: pl.DataFrame, key: str) -> np.ndarray:
    if key not in rows.columns:
        return np.full(len(rows), np.nan)
    return rows[key].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _first(rows: pl.DataFrame, key: str) -> float:
    """The first step logged, infinity where there is none: no row is beyond it."""
    steps = _column(rows, key)
    finite = steps[np.isfinite(steps)]
    return float(finite[0]) if len(finite) else np.inf


@dataclass(frozen=True)
class _Restart:
    """A metric's first row of a restart, its last row before it, and the step at which it begins anew."""

    place: int
    after: int
    key: str
    step: float


def _restarts(steps: _Steps, metric: str) -> list[_Restart]:
    """Where a training metric, in the order logged, begins anew below the steps that it had passed."""
    key = steps.key_of[metric]
    places = np.flatnonzero(steps.logged[metric] & np.isfinite(steps.values[key]))
    if _EVALUATION.search(metric) or len(places) < 3:
        return []
    own = steps.values[key][places]
    back = own[:-2] - own[1:-1]
    passed = np.maximum.accumulate(own)[:-2]
    firsts = 1 + np.flatnonzero((back > _OUT_OF_ORDER * np.ptp(own)) & (own[2:] <= passed))
    return [_Restart(int(places[i]), int(places[i - 1]), key, float(own[i])) for i in firsts]


class _Cuts:
    """The rows that later ones supersede."""

    def __init__(self, steps: _Steps) -> None:
        self._steps = steps
        size = len(steps.rows) + 1
        self._bounds = {key: np.full(size, np.inf) for key in steps.keys}
        self._rewinds = np.full(size, np.inf)

    def supersede(self, place: int, key: str, step: float) -> None:
        """Cut the rows before a place that are at a step or beyond."""
        self._bounds[key][place] = min(self._bounds[key][place], step)

    def rewind(self, place: int, step: float) -> None:
        """Cut the rows before a place that are beyond a `_step`."""
        self._rewinds[place] = min(self._rewinds[place], step)

    def apply(self) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
        """The remaining rows, and by metric how many points are cut."""
        steps = self._steps
        until = _lowest_later(self._rewinds)
        rewound = _column(steps.rows, _STEP) > until
        bounds = {key: _lowest_later(bound) for key, bound in self._bounds.items()}
        cut = {key: (steps.values[key] >= bound) & np.isfinite(bound) for key, bound in bounds.items()}
        if not any(mask.any() for mask in (rewound, *cut.values())):
            return steps.rows, ()
        first_steps = [until[rewound], *(np.floor(bounds[key][mask]) for key, mask in cut.items())]
        nothing = np.zeros(len(steps.rows), dtype=bool)
        masks = {m: rewound | cut.get(steps.key_of.get(m, ""), nothing) for m in steps.logged}
        bare = rewound
        if steps.first_key is not None:
            bare = rewound | np.stack([*cut.values()])[steps.first_key, np.arange(len(rewound))]
        return _remaining(steps, masks, bare), _drops(steps, masks, np.unique(np.concatenate(first_steps)))


def _lowest_later(bounds: np.ndarray) -> np.ndarray:
    """By row, the lowest of the bounds that stand after it."""
    return np.asarray(np.minimum.accumulate(bounds[::-1])[::-1][1:])


def _remaining(steps: _Steps, masks: Mapping[str, np.ndarray], bare: np.ndarray) -> pl.DataFrame:
    """The rows without the masked points; a row goes with all of its points, or as `bare` says where it has none."""
    nothing = np.zeros(len(bare), dtype=bool)
    logged = np.logical_or.reduce([nothing, *steps.logged.values()])
    remaining = np.logical_or.reduce([nothing, *(steps.logged[metric] & ~mask for metric, mask in masks.items())])
    remaining = np.where(logged, remaining, ~bare)
    partly = [metric for metric, mask in masks.items() if (mask & steps.logged[metric] & remaining).any()]
    columns = [pl.when(pl.Series(~masks[metric])).then(pl.col(metric)).alias(metric) for metric in partly]
    return steps.rows.with_columns(columns).filter(pl.Series(remaining))


def _drops(steps: _Steps, masks: Mapping[str, np.ndarray], first_steps: np.ndarray) -> tuple[Drop, ...]:
    counts = {metric: int((mask & steps.logged[metric]).sum()) for metric, mask in masks.items()}
    texts = leading_names([f"{step:,.0f}" for step in first_steps], _MOST)
    what = "step" if len(first_steps) == 1 else "steps"
    reason = f"superseded: the run went back to {what} {listing(texts)}"
    return tuple(Drop(metric, reason, count) for metric, count in counts.items() if count)
