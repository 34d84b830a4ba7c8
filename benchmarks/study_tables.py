"""Where the results of whole studies lie, and their tables."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

FOLDER = Path(__file__).parent / "results"
ANY_VERDICT, MESSY, POWER = FOLDER / "any_verdict.csv", FOLDER / "messy_studies.csv", FOLDER / "verdict_power.csv"
POWER_BEFORE = FOLDER / "verdict_power_before.csv"


def tables() -> dict[str, str]:
    """All tables as Markdown, by their titles."""
    return {
        "Any verdict": any_verdict_table(pl.read_csv(ANY_VERDICT)),
        "Messy runs": messy_table(pl.read_csv(MESSY)),
        "Power without and with the rules": power_table(pl.read_csv(POWER_BEFORE), pl.read_csv(POWER)),
    }


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float, digits: int = 1) -> str:
    """A share in percent."""
    return f"{100 * share:.{digits}f}"


def error(share: float, studies: int) -> float:
    """The Monte Carlo standard error of a share."""
    return math.sqrt(share * (1 - share) / studies)


def any_verdict_table(results: pl.DataFrame) -> str:
    """By mix and number of claims, the largest share over the families of Holm's correction, and its Monte Carlo error."""
    claims = results["claims"].unique().sort().to_list()
    worst = results.sort("any_verdict").group_by("mix", "claims").last()
    texts = {
        (mix, n): f"{percent(share)} ± {percent(error(share, studies))}"
        for mix, n, share, studies in worst.select("mix", "claims", "any_verdict", "studies").iter_rows()
    }
    mixes = results["mix"].unique(maintain_order=True)
    rows = [[mix, *(texts.get((mix, n), "") for n in claims)] for mix in mixes]
    return table(["designs of the tasks", *(f"{n} claims" for n in claims)], rows)


def messy_table(results: pl.DataFrame) -> str:
    """By case, the share of studies with any verdict and of claims that cannot be said."""
    rows = [
        [
            row["case"],
            row["designs"],
            f"{percent(row['any_verdict'])} ± {percent(error(row['any_verdict'], row['studies']))}",
            percent(row["refused"], 0),
        ]
        for row in results.iter_rows(named=True)
    ]
    return table(["studies in which nothing happened", "design", "any verdict, %", "claims refused, %"], rows)


def power_table(before: pl.DataFrame, now: pl.DataFrame) -> str:
    """By case, the share of studies whose claim is supported without and with the rules."""
    rows = []
    for row in now.join(before, on="case", how="left", suffix="_before", maintain_order="left").iter_rows(named=True):
        shares = [row["supported_before"], row["supported"]]
        rows.append(
            [row["case"], *(f"{percent(share, 0)} ± {percent(error(share, row['studies']), 0)}" for share in shares)]
        )
    return table(["a reward that rises by 25%", "without, %", "with, %"], rows)
