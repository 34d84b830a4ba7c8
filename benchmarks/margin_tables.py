"""The tables of margins and of tasks together."""

from collections.abc import Iterable

import polars as pl

from benchmarks import simulated as sim
from benchmarks.study_tables import FOLDER, error, percent, table
from benchmarks.task_draws import POOLED, UNEVEN

MARGINS, MARGIN_STUDIES = FOLDER / "margins.parquet", FOLDER / "margin_studies.csv"
CRASHED_MARGINS, CRASHED_INTERVALS = FOLDER / "crashed_margins.csv", FOLDER / "crashed_intervals.csv"

BAR, COVER = 0.06, 0.938
_SCALES = {"percent": "a percent", "units": "in units", "log": "of a loss"}
_ARMS = {"fork": "fork pairs", "did": "arms alike"}


def tables() -> dict[str, str]:
    """All tables as Markdown, by their titles."""
    results = pl.read_parquet(MARGINS)
    return {
        **{f"Margins, {name}": margin_table(results, design) for design, name in _ARMS.items()},
        "Margins, arms of unequal size": unequal_table(results),
        "Margins of whole studies": studies_table(pl.read_csv(MARGIN_STUDIES)),
        "Margins with crashed runs": crashed_table(pl.read_csv(CRASHED_MARGINS)),
        "Intervals where a run crashed": intervals_table(pl.read_csv(CRASHED_INTERVALS)),
        "Tasks together": pooled_table(results),
        "Tasks of uneven arms": uneven_tasks_table(results),
    }


def with_errors(results: pl.DataFrame) -> pl.DataFrame:
    """With `wrong`: the share of studies that get a wrong answer at a bound of the margin, null elsewhere.

    At the harmful bound that is "no worse" or "equivalent", or, as the change is no larger than the margin, "worse";
    at the other it is "equivalent".
    """
    at = pl.col("change").abs() == pl.col("margin")
    harmful = pl.max_horizontal("no_worse", "worse")
    wrong = pl.when(at & (pl.col("change") < 0)).then(harmful).when(at).then("equivalent")
    return results.with_columns(wrong.alias("wrong"))


def base(results: pl.DataFrame) -> pl.DataFrame:
    """The families that the bar is set for."""
    return results.filter(pl.col("family") != sim.STRESS)


def failures(results: pl.DataFrame) -> pl.DataFrame:
    """Cells beyond the bar by more than two Monte Carlo errors, in the sizes that the app answers: none, if all is well."""
    leeway = 2 * (BAR * (1 - BAR) / pl.col("studies")).sqrt()
    shown = base(with_errors(results)).filter(pl.min_horizontal("n_t", "n_c") != 2)
    return shown.filter((pl.col("wrong") > BAR + leeway) | (pl.col("covered") < COVER - leeway))


def margin_table(results: pl.DataFrame, design: str) -> str:
    """By size: wrong answers at the bounds and coverage in the worst family, and power as the mean over families."""
    even = with_errors(results).filter(pl.col("design") == design, pl.col("n_t") == pl.col("n_c"))
    usual, steep = base(even), even.filter(pl.col("family") == sim.STRESS)
    rows = [
        (
            f"wrong at a margin of {margin:.0%}, {name}",
            _by_size(usual.filter(scale=scale, margin=margin), "wrong", "max"),
        )
        for scale, name in _SCALES.items()
        for margin in sorted(usual["margin"].unique())
    ]
    rows += [
        (f"wrong at a margin of {margin:.0%}, steep curves", _by_size(steep.filter(margin=margin), "wrong", "max"))
        for margin in sorted(usual["margin"].unique())
    ]
    rows.append(("coverage of the 95% interval", _by_size(usual, "covered", "min")))
    answers = usual.filter(margin=0.1)
    none, harm = answers.filter(change=0.0), answers.filter(change=-0.25)
    rows += [
        ("no change: no worse than 10%", _by_size(none, "no_worse", "mean", 0)),
        ("no change: equivalent within 10%", _by_size(none, "equivalent", "mean", 0)),
        ("no change: no worse than 25%", _by_size(usual.filter(change=0.0, margin=0.25), "no_worse", "mean", 0)),
        ("25% worse: worse than 10%", _by_size(harm, "worse", "mean", 0)),
    ]
    for change in (0.05, 0.1, 0.25):
        rows.append((f"{change:.0%} better: found", _by_size(answers.filter(change=change), "found_right", "mean", 0)))
    return _sized(rows, "%, runs per arm =" if design == "did" else "%, pairs =")


def _by_size(results: pl.DataFrame, key: str, how: str, digits: int = 1) -> dict[int, str]:
    """The worst or the mean of a share, by size; in brackets at a size without an answer."""
    shares = results.group_by("n_t").agg(getattr(pl.col(key), how)())
    texts = {n: percent(share, digits) for n, share in shares.iter_rows() if share is not None}
    return {n: text if n > 2 else f"[{text}]" for n, text in texts.items()}


def _sized(rows: Iterable[tuple[str, dict[int, str]]], head: str) -> str:
    rows = [row for row in rows if row[1]]
    sizes = sorted({n for _, cells in rows for n in cells})
    return table([head, *map(str, sizes)], [[name, *(cells.get(n, "") for n in sizes)] for name, cells in rows])


def unequal_table(results: pl.DataFrame) -> str:
    """By the arms' sizes, as `margin_table`."""
    uneven = base(with_errors(results)).filter(design="did").filter(pl.col("n_t") != pl.col("n_c"))
    lines = []
    for (n_t, n_c), cell in uneven.group_by("n_t", "n_c", maintain_order=True):
        none = cell.filter(change=0.0, margin=0.1)
        shares = [
            *(cell.filter(margin=margin)["wrong"].max() for margin in (0.05, 0.1, 0.25)),
            cell["covered"].min(),
            none["no_worse"].mean(),
            cell.filter(change=0.25, margin=0.1)["found_right"].mean(),
        ]
        lines.append([f"{n_t} against {n_c}", *(percent(float(str(share))) for share in shares)])
    wrong = [f"wrong at a margin of {m}%" for m in (5, 10, 25)]
    return table(
        ["%, detached against controls", *wrong, "coverage", "no change: no worse than 10%", "25% better: found"], lines
    )


def studies_table(results: pl.DataFrame) -> str:
    """By case and number of claims, wrong studies and the power of the claims without a change."""
    rows = []
    for (case,), cell in results.group_by("case", maintain_order=True):
        texts = []
        for row in cell.sort("claims").iter_rows(named=True):
            right = "" if row["right"] is None else f" ({percent(row['right'], 0)})"
            texts.append(f"{percent(row['wrong'])} ± {percent(error(row['wrong'], row['studies']))}{right}")
        rows.append([str(case), *texts])
    return table(["any claim wrong, % (and how many of the others are no worse)", "5 claims", "20 claims"], rows)


def crashed_at_bound(results: pl.DataFrame) -> pl.DataFrame:
    """With `wrong`, as `with_errors` at the harmful bound, which is the only negative change."""
    wrong = pl.when(pl.col("change") < 0).then(pl.max_horizontal("no_worse", "worse"))
    return results.with_columns(wrong.alias("wrong"))


def crashed_table(results: pl.DataFrame) -> str:
    """By case and size: wrong answers at the bound, false positives and coverage in the worst family, the rest as means."""
    rows = []
    for (case,), cell in crashed_at_bound(results).group_by("case", maintain_order=True):
        none = cell.filter(change=0.0)
        shares = (
            ("wrong at the harmful bound", cell, "wrong", "max", 1),
            ("no change: found", none, "found", "max", 1),
            ("coverage", cell, "covered", "min", 1),
            ("coverage by this interval or the cut one", cell, "covered_both", "min", 1),
            ("no change: answered", none, "answered", "mean", 0),
            ("no change: no worse than 10%", none, "no_worse", "mean", 0),
            *(
                (f"{change:.0%} better: found", cell.filter(change=change), "found", "mean", 0)
                for change in (0.1, 0.25)
            ),
        )
        for name, of, key, how, digits in shares:
            by_n = of.group_by("n").agg(getattr(pl.col(key), how)())
            if by_n[key].max():  # without a verdict nothing is said or found
                rows.append((f"{case}, {name}", {n: percent(share, digits) for n, share in by_n.iter_rows()}))
    return _sized(rows, "%, pairs or runs per arm =")


def intervals_table(results: pl.DataFrame) -> str:
    """By case and interval: the worst coverage and false positives of any family, power and width as means over families."""
    rows = []
    for (kind, interval), cell in results.group_by("kind", "interval", maintain_order=True):
        texts = []
        for n in sorted(cell["n"].unique()):
            of_size = cell.filter(n=n)
            none, at_once = (of_size.filter(change=change, is_gradual=False) for change in (0.0, 0.25))
            gradual = of_size.filter("is_gradual")
            shares = (of_size["covered"].min(), 1), (none["found"].max(), 1)
            shares += (at_once["found"].mean(), 0), (gradual["found"].mean(), 0)
            texts.append(" / ".join(percent(float(str(share)), digits) for share, digits in shares))
        rows.append([f"{kind}: {interval}", *texts])
    return table(["coverage / no change: found / 25% better: at once / gradually, %", "n = 6", "n = 16"], rows)


def pooled_table(results: pl.DataFrame) -> str:
    """By tasks and size: false positives and coverage in the worst family, power of mixed tasks, and margins of losses."""
    rows = []
    pooled = with_errors(results).filter(pl.col("design").is_in(POOLED))
    for (design,), cell in pooled.group_by("design", maintain_order=True):
        rewards, losses = cell.filter(scale=""), cell.filter(scale="log")
        mixed = rewards.filter(family="mixed")
        rows += [
            (f"{design}, no change: found", _by_runs(rewards.filter(change=0.0), "found", "max")),
            (f"{design}, coverage", _by_runs(cell, "covered", "min")),
            *(
                (f"{design}, {c:.0%} better: found", _by_runs(mixed.filter(change=c), "found_right", "mean", 0))
                for c in (0.05, 0.1, 0.25)
            ),
            (f"{design}, wrong at a margin of a loss", _by_runs(losses, "wrong", "max")),
            (
                f"{design}, no change: no worse than 10%",
                _by_runs(losses.filter(change=0.0, margin=0.1), "no_worse", "max", 0),
            ),
        ]
    return _sized(rows, "%, pairs or runs per task =")


def uneven_tasks_table(results: pl.DataFrame) -> str:
    """By tasks and the arms' sizes, as `pooled_table`."""
    uneven = with_errors(results).filter(pl.col("design").is_in(UNEVEN))
    sizes = uneven.select("n_t", "n_c").unique(maintain_order=True).rows()
    rows = []
    for (design,), cell in uneven.group_by("design", maintain_order=True):
        rewards, losses = cell.filter(scale=""), cell.filter(scale="log")
        mixed = rewards.filter(family="mixed")
        for name, of, key, how, digits in (
            ("no change: found", rewards.filter(change=0.0), "found", "max", 1),
            ("coverage", cell, "covered", "min", 1),
            ("25% better: found", mixed.filter(change=0.25), "found_right", "mean", 0),
            ("wrong at a margin of a loss", losses, "wrong", "max", 1),
            ("no change: no worse than 10%", losses.filter(change=0.0, margin=0.1), "no_worse", "mean", 0),
        ):
            shares = {
                (n_t, n_c): share
                for n_t, n_c, share in of.group_by("n_t", "n_c").agg(getattr(pl.col(key), how)()).rows()
            }
            rows.append([f"{design}, {name}", *(percent(shares[size], digits) for size in sizes)])
    return table(["%, detached against controls in each task =", *(f"{a} / {b}" for a, b in sizes)], rows)


def _by_runs(results: pl.DataFrame, key: str, how: str, digits: int = 1) -> dict[int, str]:
    """As `_by_size`; a jump over tasks needs two runs, an effect over tasks three pairs."""
    has_answer = results.filter((pl.col("n_t") > 2) | pl.col("design").str.ends_with("jumps"))
    shares = has_answer.group_by("n_t").agg(getattr(pl.col(key), how)())
    return {n: percent(share, digits) for n, share in shares.iter_rows() if share is not None}
