"""The original notebook's own functions in pandas, and a comparison with them."""

import numpy as np
import pandas as pd
import polars as pl


def compute_stats(df: pd.DataFrame, metric: str) -> pd.DataFrame:
    valid = df[["_step", metric, "seed"]].dropna()
    if valid.empty:
        return pd.DataFrame()
    stats = valid.groupby("_step").agg(mean=(metric, "mean"), std=(metric, "std"), count=(metric, "count"))
    stats = stats.reset_index()
    stats["std"] = stats["std"].fillna(0)
    return stats


def compute_ma_window_from_steps(df: pd.DataFrame, ma_steps: int) -> int:
    steps = df["_step"].dropna().sort_values().unique()
    if len(steps) < 2:
        return 1
    return max(1, int(ma_steps / np.median(np.diff(steps))))


def plotted(df: pd.DataFrame, metric: str, ma_steps: int, window_of: pd.DataFrame) -> pd.DataFrame:
    """What the notebook draws of a metric: step, mean, std, count."""
    ma_window = compute_ma_window_from_steps(window_of, ma_steps)
    if metric not in df.columns:
        return pd.DataFrame()
    stats = compute_stats(df, metric)
    if not stats.empty and "train" in metric and "reward" in metric:
        stats["mean"] = stats["mean"].rolling(window=ma_window, min_periods=1).mean()
        stats["std"] = stats["std"].rolling(window=ma_window, min_periods=1).mean()
    return stats


def assert_same(result: pl.DataFrame, expected: pd.DataFrame) -> None:
    """Steps and n equal; mean, std and the bounds to 1e-9, relative to the size of the values for large ones."""
    assert result["step"].to_list() == [float(step) for step in expected.get("_step", [])]
    if expected.empty:
        return
    assert result["n"].to_list() == expected["count"].to_list()
    columns = {
        "mean": expected["mean"],
        "std": expected["std"],
        "lower": expected["mean"] - expected["std"],
        "upper": expected["mean"] + expected["std"],
    }
    for name, column in columns.items():
        np.testing.assert_allclose(result[name].to_numpy(), column.to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
