"""A colour for each metric of a study."""

import itertools
import math

from lib.charts.style import PALETTE
from lib.study import Study

#: Distance of two colours' levels of red, green and blue (0 to 255 each) below which they are alike.
ALIKE = 60


def metric_colors(study: Study) -> dict[str, str]:
    """A colour for every metric key: the study's, or the next of `PALETTE` that is unlike all those of the study."""
    named = [m.color for m in study.metrics if m.color]
    free = [color for color in PALETTE if not any(_alike(color, other) for other in named)] or list(PALETTE)
    spare = itertools.cycle(free)
    return {m.key: m.color or next(spare) for m in study.metrics}


def _alike(color: str, other: str) -> bool:
    """Whether two colours (#rrggbb) would be taken for each other in a chart."""
    return math.dist(bytes.fromhex(color[1:]), bytes.fromhex(other[1:])) < ALIKE
