"""A history as series: each run's points of each metric, in the order of steps, a series at a time.

The store has them one after the other, so that no more than a batch of a history is ever held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl


@dataclass
class Part:
    """A stretch of a history of one run and metric: its rows, and their spacings.

    Of the spacings up to the finest bin only the number (`fine`) and the largest (`top`) are held.
    """

    run_id: str
    metric: str
    rows: int = 0
    fine: int = 0
    top: float = 0.0
    wide: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def ordered(history: pl.LazyFrame, finest: float) -> tuple[pl.LazyFrame, list[Part]]:
    """The history with every run's metrics one after the other in the order of steps, and what lies where in it.

    The store has them so; anything else is sorted.
    """
    parts = _parts(history)
    if len({(part.run_id, part.metric) for part in parts}) < len(parts) or not _spaced(history, parts, finest):
        history = history.sort("run_id", "metric", "step", maintain_order=True).collect().lazy()
        parts = _parts(history)
        _spaced(history, parts, finest)
    return history, parts


def _parts(history: pl.LazyFrame) -> list[Part]:
    """The stretches of a history that are of one run and metric, up to the first that comes a second time."""
    parts: list[Part] = []
    seen = set[tuple[str, str]]()
    for batch in history.select("run_id", "metric").collect_batches(maintain_order=True):
        ends = {int(end) for names in batch for end in names.rle().struct.unnest()["len"].cum_sum()}
        for start, end in pairwise([0, *sorted(ends)]):
            name = run_id, metric = batch.row(start)
            if not parts or (parts[-1].run_id, parts[-1].metric) != name:
                parts.append(Part(run_id, metric))
                if name in seen:
                    return parts
                seen.add(name)
            parts[-1].rows += end - start
    return parts


def _spaced(history: pl.LazyFrame, parts: Sequence[Part], finest: float) -> bool:
    """Note the spacings of every part; False where steps go back."""
    for part, (step,) in zip(parts, read(history, parts, "step"), strict=True):
        spacing = np.diff(step)
        if spacing.min(initial=0) < 0:
            return False
        part.wide = spacing[spacing > finest]
        part.fine = len(spacing) - len(part.wide)
        part.top = float(spacing[spacing <= finest].max(initial=0) if len(part.wide) else spacing.max(initial=0))
    return True


def read(history: pl.LazyFrame, parts: Sequence[Part], *columns: str) -> Iterator[list[np.ndarray]]:
    """Columns of a history part by part, read in batches as they are asked for."""
    batches = history.select(columns).collect_batches(maintain_order=True)
    batch = pl.DataFrame()
    for part in parts:
        pieces, missing = list[list[np.ndarray]](), part.rows
        while missing:
            if batch.is_empty():
                batch = next(batches)
            pieces.append([column[:missing].to_numpy() for column in batch])
            taken = len(pieces[-1][0])
            batch, missing = batch[taken:], missing - taken
        yield pieces[0] if len(pieces) == 1 else [np.concatenate(column) for column in zip(*pieces, strict=True)]


def widths(parts: Sequence[Part], finest: float) -> dict[str, float]:
    """By metric the median spacing of all its parts, or the finest width where that is larger."""
    found = {}
    for key in {part.metric for part in parts}:
        mine = [part for part in parts if part.metric == key]
        wide = np.sort(np.concatenate([part.wide for part in mine]))
        fine, top = sum(part.fine for part in mine), max(part.top for part in mine)
        count = fine + len(wide)
        middle = ((count - 1) // 2, count // 2) if count else ()
        found[key] = max(finest, sum(float(wide[at - fine]) if at >= fine else top for at in middle) / 2)
    return found
