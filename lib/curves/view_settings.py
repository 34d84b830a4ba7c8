"""The settings of every chart, table and export."""

from dataclasses import dataclass
from typing import Literal

from lib.study import Task

Aggregate = Literal["mean", "iqm", "median"]
Spread = Literal["std", "se", "ci", "minmax"]
Axis = Literal["steps", "percent", "since", "since_percent", "wall"]


@dataclass(frozen=True)
class View:
    """How curves are drawn: the one settings object of every view, table and export.

    `window` is in environment steps (None: each task's own); `arms`, `tasks` (ids)
    and `metrics` (keys) empty mean all; `left_out` are run ids;
    `x` is steps, percent of training, either of them since the detach, or hours of wall time; `span` is the range of x
    that is drawn (None: all of it). `log_reward` and `log_loss` choose the axis of a family (None: as its metrics'
    scales say). `seeds` draws every run's own curve, `color_by` does so in the colour of its seed, its arm or its
    value of that config key (empty: none), and `raw` draws the points of smoothed metrics as they were before
    smoothing, one value per bin.
    """

    aggregate: Aggregate = "mean"
    spread: Spread = "std"
    smooth: bool = True
    window: int | None = None
    grid: Literal["aligned", "exact"] = "aligned"
    arms: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    seeds: bool = False
    x: Axis = "steps"
    span: tuple[float, float] | None = None
    log_reward: bool = False
    log_loss: bool | None = None
    color_by: str = ""
    raw: bool = False

    def __post_init__(self) -> None:
        if self.aggregate != "mean" and self.spread in ("se", "ci"):
            raise ValueError("A standard error or t interval belongs to the mean: choose std or min-max.")
        if self.grid == "exact" and self.x == "wall":
            raise ValueError(
                "Notebook arithmetic has no wall time: whoever logged at exactly a step would say when that step was."
            )

    @property
    def draws_runs(self) -> bool:
        """Whether every run's own curve is drawn."""
        return self.seeds or bool(self.color_by)

    @property
    def draws_raw(self) -> bool:
        """Whether points are drawn as they were before smoothing: there is nothing to tell apart without it."""
        return self.raw and self.smooth

    def log(self, family: str) -> bool | None:
        """Whether a family is drawn on a log axis; None: as its metrics' scales say."""
        return (self.log_reward or None) if family == "reward" else self.log_loss

    def smoothing(self, task: Task) -> int:
        """The moving-average window of a task in environment steps, 0 where smoothing is off."""
        return (self.window or task.window) if self.smooth else 0
