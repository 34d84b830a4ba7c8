"""Random studies: every estimate, interval, p and verdict again from the raw rows, by scipy and the text of the methods alone."""

import math

import numpy as np
import pytest
from scipy import stats

from lib.study import Metric, Task
from tests.support.effects_kit import Run, analysed, study, task

pytestmark = pytest.mark.slow

AT, TOTAL = 50, 100
METRICS = (
    Metric("reward", "reward", "increase", margin=0.1),
    Metric("loss", "loss", "decrease", scale="log", margin=0.2),
)
Rows = dict[str, list[tuple[int, float]]]


def rows(rng: np.random.Generator, effect: float, every: int = 1) -> Rows:
    """A reward that rises from a level of its own and a loss that falls; beyond the detach both are `effect` larger."""
    level, steps = rng.normal(20, 3), np.arange(0, TOTAL + 1, every)
    noise = rng.normal(size=(2, len(steps)))
    reward = level + steps / 10 + noise[0] + np.where(steps > AT, effect * level, 0)
    loss = np.exp(level / 20 - steps / 50 + noise[1] / 5 + np.where(steps > AT, effect, 0))
    return {"reward": [*zip(steps.tolist(), reward, strict=True)], "loss": [*zip(steps.tolist(), loss, strict=True)]}


def task_runs(rng: np.random.Generator, design: str) -> list[Run]:
    n, n_c = int(rng.integers(3, 9)), int(rng.integers(3, 9))
    effect = float(rng.choice([0.0, 0.1, -0.1, 0.4]))
    every = 1 if design == "jump" else int(rng.integers(1, 4))
    detached = [rows(rng, effect, every) for _ in range(n)]
    runs = [Run(f"{i}", AT, points) for i, points in enumerate(detached)]
    if design == "fork":
        others = [rows(rng, 0.0, every) for _ in range(n)]
        for other, own in zip(others, detached, strict=True):
            for key, points in own.items():
                before = [p for p in points if p[0] < AT]
                other[key] = before + [p for p in other[key] if p[0] >= AT]
        runs += [Run(f"{i}", None, points) for i, points in enumerate(others)]
    elif design == "did":
        runs += [Run(f"{100 + i}", None, rows(rng, 0.0)) for i in range(n_c)]
    return runs


def columns(runs: list[Run], metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    """Before and after of each run, by the windows of the methods: [T - 10, T] and (T, end]."""
    end = min(max(s for s, _ in run.points[metric.key]) for run in runs)
    f = math.log if metric.scale == "log" else float
    sides = [
        [np.mean([f(v) for s, v in run.points[metric.key] if low < s <= high]) for run in runs]
        for low, high in ((AT - 10 - 1e-9, AT), (AT, end))
    ]
    return np.array(sides[0]), np.array(sides[1])


def jump(run: Run, metric: Metric, half: float) -> float:
    s, y = np.array([p for p in run.points[metric.key] if abs(p[0] - AT) <= half]).T
    y = np.log(y) if metric.scale == "log" else y
    after = (s > AT).astype(float)
    return float(np.linalg.lstsq(np.column_stack([s**0, s - AT, after, (s - AT) * after]), y, rcond=None)[0][2])


def expected(runs: list[Run], design: str, metric: Metric) -> tuple[float, float, float, float]:
    """The estimate, its interval and its p, on the scale of the estimate."""
    detached, controls = ([r for r in runs if (r.detach_step is None) == is_control] for is_control in (False, True))
    before, after = columns(runs, metric)
    n = len(detached)
    if design == "did":
        d, d_c = (after - before)[:n], (after - before)[n:]
        result = stats.ttest_ind(d, d_c, equal_var=False)
        estimate, error = d.mean() - d_c.mean(), math.sqrt(d.var(ddof=1) / n + d_c.var(ddof=1) / len(d_c))
        small, large = sorted((n, len(controls)))
        df = small - 1 if large > max(small * (small - 2) / 2, small) else result.df
    else:
        half = 10 if n < 4 else 5
        values = after[:n] - after[n:] if design == "fork" else np.array([jump(r, metric, half) for r in detached])
        estimate, error, df = values.mean(), values.std(ddof=1) / math.sqrt(n), n - 1
    reach = stats.t.ppf(0.975, df) * error
    return estimate, estimate - reach, estimate + reach, 2 * stats.t.sf(abs(estimate / error), df)


@pytest.mark.parametrize("seed", range(8))
def test_every_number_and_verdict_again_from_the_rows(seed):
    rng = np.random.default_rng(seed)
    designs = [str(design) for design in rng.permutation(["fork", "did", "jump"])][: int(rng.integers(1, 4))]
    by_task = {f"task {i}": task_runs(rng, design) for i, design in enumerate(designs)}
    tasks: list[Task] = [task(key=key) for key in by_task]
    effects = analysed(by_task, study(*tasks, metrics=METRICS)).effects
    rows_ = [row for row in effects.to_dicts() if row["task"] != "*"]
    again = [
        expected(by_task[row["task"]], designs[int(row["task"][-1])], METRICS[row["metric"] == "loss"]) for row in rows_
    ]
    order = sorted(range(len(again)), key=lambda i: again[i][3])
    p_holm = dict.fromkeys(order, 0.0)
    for rank, i in enumerate(order):
        p_holm[i] = max([p_holm[j] for j in order[:rank]] + [min(1.0, again[i][3] * (len(order) - rank))])
    for i, (row, (*numbers, p)) in enumerate(zip(rows_, again, strict=True)):
        metric = METRICS[row["metric"] == "loss"]
        shown = [math.expm1(v) if metric.scale == "log" else v for v in numbers]
        assert row["design"] == designs[int(row["task"][-1])]
        assert [row["change"], row["ci_low"], row["ci_high"]] == pytest.approx(shown, rel=1e-9)
        assert (row["p_value"], row["p_holm"]) == pytest.approx((p, p_holm[i]), rel=1e-7)
        is_found = p_holm[i] < 0.05 and not numbers[1] <= 0 <= numbers[2]
        is_wanted = (numbers[0] > 0) == (metric.expect == "increase")
        assert row["verdict"] == (("supported" if is_wanted else "contradicted") if is_found else "not shown")
