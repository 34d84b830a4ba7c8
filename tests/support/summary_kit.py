"""Rows of effects that the tests of the answer and of the headline share."""

from dataclasses import replace

import polars as pl

from lib.effects import summary
from lib.effects.effects_table import EFFECTS
from lib.study import CONTROL, DETACHED, Metric, Source, Study, Task

REWARD = Metric("r", "reward", "increase", "Reward")
LOSSES = tuple(Metric(key, "loss", "decrease", key.upper(), "log") for key in ("a", "b", "c"))
STUDY = Study(
    "kit", "Kit", Source("bundle", path="."), (REWARD, *LOSSES), (Task("walk", 100), Task("run", 100), Task("hop", 100))
)
METRICS = {metric.key: metric for metric in STUDY.metrics}


def row(task: str, metric: str, verdict: str, change: tuple[float, ...] = (), design: str = "fork", **more) -> dict:
    """A row of effects of 6 runs, its change with its interval."""
    numbers = dict(zip(("change", "ci_low", "ci_high"), change, strict=False))
    method = "mean over 2 tasks of the difference of fork pairs" if task == "*" else "paired t"
    fixed = {"arm": DETACHED, "control": CONTROL, "n_arm": 6, "n_control": 6, "method": method, "role": "primary"}
    expectation = METRICS[metric].expect
    return {"task": task, "metric": metric, "verdict": verdict, "design": design, "expectation": expectation} | (
        fixed | numbers | more
    )


def guard(task: str, equivalence: str | None, change: tuple[float, ...] = (0.4, -1.2, 2.0), **more) -> dict:
    fixed = {"role": "guardrail", "equivalence": equivalence, "reasons": "guardrail: see equivalence"}
    return row(task, "r", "cannot say", change, **(fixed | more))


FALL, STEEPER, UNSHOWN = (-0.26, -0.32, -0.2), (-0.29, -0.37, -0.21), (-0.1, -0.25, 0.05)
GUARDED = replace(
    STUDY,
    metrics=(
        replace(REWARD, role="guardrail", margin=0.05),
        *LOSSES[:2],
        replace(LOSSES[2], role="guardrail", margin=0.1),
    ),
)


def line(*rows: dict, study: Study = STUDY) -> tuple[str, str]:
    """The verdict and text of the only family that these rows are of."""
    (family,) = summary(pl.DataFrame(list(rows), schema=EFFECTS), study)
    return family.verdict, family.text
