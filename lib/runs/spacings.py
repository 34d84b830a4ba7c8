"""The median spacing of the rows of runs, from a few numbers of each."""

import numpy as np
from numpy.typing import NDArray

#: Spacings of rows with their counts, as `spacing_counts` gives them.
SPACING = np.dtype([("spacing", "<f8"), ("count", "<i8")])
#: Runs after whose numbers those of all are merged.
_PARTS = 256


def spacing_counts(step: NDArray[np.int64], finest: float, widest: float = 0.0) -> NDArray:
    """What a median spacing takes from one run: distinct spacings of its rows with their counts.

    The first is the least that the median may be for this run (`finest`, or `widest` where that is more), counted 0 times;
    the second stands for all spacings up to `finest`: there may be millions of them.
    """
    spacing = np.diff(step)
    fine = spacing[spacing <= finest]
    wide, counts = np.unique(spacing[spacing > finest], return_counts=True)
    least = max(finest, widest)
    rows = [(least, 0), (fine.max(initial=0), len(fine)), *zip(wide.tolist(), counts.tolist(), strict=True)]
    return np.array(rows, dtype=SPACING)


class MedianSpacing:
    """The median spacing of rows within a run, in environment steps; at least `finest`.

    Parameters
    ----------
    finest : the spacing where the median is smaller, or where no run logged twice.
    """

    def __init__(self, finest: float) -> None:
        self._least, self._parts = finest, [np.empty(0, dtype=SPACING)]

    def add(self, spacings: NDArray) -> None:
        """Count a run, by what `spacing_counts` gives of it."""
        self._least = max(self._least, float(spacings["spacing"][0]))
        self._parts.append(spacings[1:])
        if len(self._parts) > _PARTS:
            self._parts = [self._merged()]

    def steps(self) -> float:
        """The median for the runs counted so far."""
        merged = self._merged()
        ends = np.cumsum(merged["count"])
        count = int(ends[-1]) if len(ends) else 0
        if not count:
            return self._least
        middle = np.searchsorted(ends, [(count - 1) // 2, count // 2], side="right")
        return max(self._least, float(merged["spacing"][middle].sum()) / 2)

    def _merged(self) -> NDArray:
        rows = np.concatenate(self._parts)
        distinct, place = np.unique(rows["spacing"], return_inverse=True)
        merged = np.zeros(len(distinct), dtype=SPACING)
        merged["spacing"] = distinct
        np.add.at(merged["count"], place, rows["count"])
        return merged
