"""Smooth one run over a window in environment steps."""

import numpy as np
import polars as pl


def smoothed(step: np.ndarray, value: np.ndarray, detach: int | None, window: int) -> np.ndarray:
    """Trailing moving average of a run's points over `window` environment steps, never across the detach."""
    if detach is not None:
        # A gap as long as the window keeps its two sides apart.
        step = step + window * (step > detach)
    return pl.Series(value).rolling_mean_by(pl.Series(step), f"{window}i").to_numpy()
