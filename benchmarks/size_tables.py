"""The tables of looks before the planned size, and of the plan."""

import polars as pl

from benchmarks import simulated as sim
from benchmarks.study_tables import FOLDER, percent, table

LOOKS, PLANNED_POWER = FOLDER / "looks.parquet", FOLDER / "planned_power.parquet"

ANYTIME_BAR = 0.05
_DESIGNS = {"fork": "fork pairs", "did": "arms alike", "jump": "jumps"}


def tables() -> dict[str, str]:
    """All tables as Markdown, by their titles."""
    power = pl.read_parquet(PLANNED_POWER).filter(pl.col("family") != sim.STRESS)
    return {
        "Looks before the planned size": looks_table(pl.read_parquet(LOOKS)),
        "Planned and simulated power": power_table(power),
        "Power after a pilot": pilot_table(power),
    }


def looks_table(results: pl.DataFrame) -> str:
    """By how the study grows: wrong intervals and coverage in the worst family, and how soon a change is found."""
    lasts = sorted(results["last"].unique())
    rows = []
    for (growth,), cell in results.group_by("growth", maintain_order=True):
        large = cell.filter(change=0.25)
        for name, shares, digits in (
            ("wrong at any look", _by_last(cell, "wrong", "max"), 1),
            ("wrong at any look with a t test", _by_last(cell, "wrong_t", "max"), 1),
            ("coverage at the last look", _by_last(cell, "covered", "min"), 1),
            ("25% better: found at any look", _by_last(large, "found_right", "mean"), 0),
        ):
            rows.append([f"{growth}, {name}", *(percent(shares[last], digits) for last in lasts)])
    return table(["%, detached runs or pairs at the last look =", *map(str, lasts)], rows)


def _by_last(results: pl.DataFrame, key: str, how: str) -> dict[int, float]:
    return dict(results.group_by("last").agg(getattr(pl.col(key), how)()).iter_rows())


def power_table(results: pl.DataFrame) -> str:
    """By design and target: planned and simulated power as the mean over families, and the largest difference of any."""
    studies = results.filter(~pl.col("is_pilot")).with_columns(gap=(pl.col("simulated") - pl.col("planned")).abs())
    sizes = sorted(studies["n"].unique())
    rows = []
    for (design, target, change), cell in studies.group_by("design", "target", "change", maintain_order=True):
        mean = {n: texts for n, *texts in cell.group_by("n").agg(pl.col("planned", "simulated").mean()).iter_rows()}
        texts = [" / ".join(percent(share, 0) for share in mean[n]) for n in sizes]
        rows.append(
            [f"{_DESIGNS.get(str(design), design)}, {_target(str(target), change)}", *texts, percent(_max(cell["gap"]))]
        )
    return table(["planned / simulated, %, n =", *map(str, sizes), "largest difference"], rows)


def pilot_table(results: pl.DataFrame) -> str:
    """By design and size of the pilot: the mean power of the plans that are to have 80%, over targets within reach.

    Within reach is what some size up to the largest shows by the true spread, without which no plan can be right.
    """
    pilots = results.filter(pl.col("is_pilot"), pl.col("planned") >= 0.8)
    sizes = sorted(pilots["n"].unique())
    rows = []
    for (design,), cell in pilots.group_by("design", maintain_order=True):
        shares = {n: values for n, *values in cell.group_by("n").agg(
            pl.col("simulated").mean(), pl.col("simulated").min().alias("least")).iter_rows()}  # fmt: skip
        rows.append(
            [_DESIGNS[str(design)], *(f"{percent(shares[n][0], 0)} ({percent(shares[n][1], 0)})" for n in sizes)]
        )
    return table(["mean power, % (in the worst family), runs of the pilot =", *map(str, sizes)], rows)


def _target(target: str, change: object) -> str:
    return f"no worse than {float(str(change)):.0%}" if target == "margin" else f"a change of {float(str(change)):.0%}"


def _max(values: pl.Series) -> float:
    return float(str(values.max()))


def failures(results: pl.DataFrame) -> pl.DataFrame:
    """Cells whose looks are wrong more often than they may be: none, if all is well."""
    return results.filter(pl.col("wrong") > ANYTIME_BAR)
