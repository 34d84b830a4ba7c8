"""Simulated studies over several tasks: of fork pairs, of arms alike, or of detached runs alone."""

import numpy as np

from benchmarks import simulated as sim

POOLED = tuple(f"{k} tasks of {what}" for k in (2, 5) for what in ("pairs", "arms", "jumps"))
UNEVEN = tuple(f"{k} tasks of uneven arms" for k in (2, 5))
MIXED = ("saturating", "sigmoid", sim.SPARSE, "linear", "loss")  # of the tasks, in turn


def kind_of(design: str) -> str:
    """What the tasks of a pooled design have: pairs, arms or jumps."""
    return design.split()[-1]


def draw_tasks(
    design: str, family: str, studies: int, most: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], list[sim.Draw]]:
    """The families of the tasks of a pooled design, and `most` runs, or pairs, of each."""
    count, kind = int(design.split()[0]), kind_of(design)
    families = MIXED[:count] if family == "mixed" else (family,) * count
    controls = most if kind == "arms" else 0
    draws = [
        sim.draw_forks(each, studies, most, rng)
        if kind == "pairs"
        else sim.draw_arms(each, studies, most, controls, rng)
        for each in families
    ]
    return families, draws
