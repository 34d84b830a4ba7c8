"""The tables of the calibration: false positives, coverage, tails and power of every method."""

import polars as pl

from benchmarks import simulated as sim
from benchmarks.calibration_cells import SIZES, TAILS, UNEQUAL
from benchmarks.methods import POWER_OF_REFUSED
from benchmarks.study_tables import error, percent, table

BAR = 0.065
COVER = 0.935

WHY = {
    "pooled rows, Welch": "rows are not runs, and curves rise by themselves",
    "before/after, paired t": "curves rise by themselves",
    "before/after in 10% windows, paired t": "the same, less of it",
    "before/after, percentile bootstrap": "the same, and too narrow",
    "gap to a linear trend, t": "curves are not lines",
    "segmented regression, Newey-West": "the same, with errors of one mean curve",
    "local jump, h = 10% at any n": "a curve's bend passes for a jump, the more the more runs there are",
    "local jump, 3 rows a side": "no narrower window is left against the bend (see the stress family), and less power",
    "local jump, smoothed series": "smoothing removes the jump: see its power",
    "row-level DiD, OLS": "rows are not runs",
    "DiD, percentile bootstrap": "too narrow in small samples",
    "DiD, BCa bootstrap": "too narrow in small samples",
    "DiD, best of six windows": "choosing after looking",
    "fork pairs, every run twice": "copies are not runs",
    "fork pairs, every run three times": "copies are not runs",
    "DiD, every run twice": "copies are not runs",
    "DiD, every run three times": "copies are not runs",
    "across tasks of jumps, h of each task (5 tasks)": "the bends of all tasks add up (see the stress family)",
    "fork pairs taken as unpaired, Welch": "valid, but see its power: it ignores the shared history",
}


def named(results: pl.DataFrame) -> pl.DataFrame:
    """With the number of tasks in the names of methods across tasks, and without the stress family."""
    tasks = pl.col("design").str.extract(r"(\d+) tasks")
    name = pl.when(tasks.is_not_null()).then(pl.col("method") + " (" + tasks + " tasks)").otherwise(pl.col("method"))
    return results.with_columns(name.alias("method"))


def base(results: pl.DataFrame) -> pl.DataFrame:
    """The families that the bar is set for."""
    return results.filter(pl.col("family") != sim.STRESS)


def even(results: pl.DataFrame) -> pl.DataFrame:
    """Equal arms of equal spread, or one arm."""
    return results.filter((pl.col("n_c") == pl.col("n_t")) | (pl.col("n_c") == 0), pl.col("spread") == 1)


def worst(results: pl.DataFrame) -> pl.DataFrame:
    """By method and size, the largest false positives and the smallest coverage over families and effects at once."""
    nothing = pl.col("effect") == 0
    return (
        results.filter(~pl.col("gradual"))
        .group_by("method", "n_t", "n_c", "spread", "offered")
        .agg(pl.col("found").filter(nothing).max().alias("false"), pl.col("covered").min())
    )


def failures(results: pl.DataFrame) -> pl.DataFrame:
    """Offered methods beyond the bar in any base family: none, if all is well.

    Label permutation and ANCOVA, which give no verdict, are not asked for unequal spreads.
    """
    beyond = ((pl.col("effect") == 0) & (pl.col("found") > BAR)) | (pl.col("covered") < COVER)
    is_needed = (pl.col("spread") == 1) | pl.col("method").str.starts_with("DiD, Welch")
    return base(named(results)).filter("offered", beyond, is_needed, ~pl.col("gradual"))


def tables(results: pl.DataFrame) -> dict[str, str]:
    """All tables as Markdown, by their titles."""
    results = named(results)
    usual, steep = even(base(results)), results.filter(pl.col("family") == sim.STRESS)
    return {
        "Offered: false positives in % (nominal 5), and coverage of the 95% interval; [refused at this size]": _offered(
            usual
        ),
        "Offered: how many of 10,000 studies have p < .0025 (nominal 25) and p < .0001 (nominal 1), over all families": _tails(
            even(results)
        ),
        "Refused: false positives in %": _refused(usual),
        "Unequal arms: false positives in %, and in brackets where the app does not use the test": _unequal(
            base(results)
        ),
        "Power: share of studies that find the effect in its direction, in %, mean over families": _power(usual),
        f"Beyond the bar: the stress family ({sim.STRESS}), false positives in %": _stress(even(steep)),
    }


def monte_carlo(results: pl.DataFrame) -> str:
    """How many studies there are and what that leaves open."""
    studies = int(results.filter(pl.col("effect") == 0)["studies"].min() or 1)
    return (
        f"At least {studies:,} simulated studies per cell: the Monte Carlo error of 5% is "
        f"{percent(error(0.05, studies), 2)} points (a quarter of them for the power of small and gradual effects). "
        f"Each figure is that of the worst of the families {', '.join(sim.FAMILIES)}."
    )


def _grid(rows: dict[str, dict[int, str]], extra: dict[str, str] | None = None) -> str:
    head = ["method, runs per arm =", *map(str, SIZES), *(["why"] if extra else [])]
    lines = [[name, *(cells.get(n, "") for n in SIZES)] for name, cells in rows.items()]
    return table(head, [[*line, extra[line[0]]] for line in lines] if extra else lines)


def _offered(results: pl.DataFrame) -> str:
    """Sizes at which a method is refused stand in brackets."""
    summary = worst(results)
    rows: dict[str, dict[int, str]] = {}
    for name in _kinds(summary):
        rows[name] = {}
        for row in summary.filter(method=name).iter_rows(named=True):
            cover = f" ({percent(row['covered'])})" if row["covered"] is not None else ""
            cell = percent(row["false"]) + cover
            rows[name][row["n_t"]] = cell if row["offered"] else f"[{percent(row['false'])}]"
    return _grid(rows)


def _kinds(results: pl.DataFrame) -> list[str]:
    """The methods that are offered at some size."""
    return results.filter("offered")["method"].unique().sort().to_list()


def _refused(results: pl.DataFrame) -> str:
    never = worst(results).filter(pl.col("method").is_in(list(WHY)))
    rows = {
        name: {r["n_t"]: percent(r["false"]) for r in never.filter(method=name).iter_rows(named=True)} for name in WHY
    }
    return _grid({k: v for k, v in rows.items() if v}, WHY)


def _tails(results: pl.DataFrame) -> str:
    """Pooled over the families of curves: a single cell has too few studies for its far tail."""
    null = results.filter(pl.col("effect") == 0, "offered", pl.col("found_0025").is_not_null())
    shares = [((pl.col(tail) * pl.col("studies")).sum() / pl.col("studies").sum()).alias(tail) for tail in TAILS]
    rows: dict[str, dict[int, str]] = {}
    for method, n, *tails in null.group_by("method", "n_t").agg(shares).sort("method").iter_rows():
        rows.setdefault(method, {})[n] = ", ".join(f"{10_000 * tail:.1f}" for tail in tails)
    return _grid(rows)


_UNEQUAL_TESTS = ("DiD, Welch", "DiD, Welch, the smaller arm's df", "DiD, label permutation", "ANCOVA")


def _unequal(results: pl.DataFrame) -> str:
    """By the arms' sizes and by the spread of the larger arm's runs to that of the smaller's; with the tails of the test used."""
    used = _UNEQUAL_TESTS[:2]
    null = results.filter(pl.col("effect") == 0, pl.col("method").is_in(list(_UNEQUAL_TESTS)))
    by = ("n_t", "n_c", "spread")
    lines = []
    for (n_t, n_c, spread), cell in null.group_by(by, maintain_order=True):
        if (n_t, n_c) not in UNEQUAL and spread == 1:
            continue
        shares = cell.group_by("method").agg(pl.col("found").max(), pl.col(*TAILS).mean(), pl.col("offered").any())
        rows = {row["method"]: row for row in shares.iter_rows(named=True)}
        texts = [
            percent(rows[m]["found"]) if rows[m]["offered"] else f"[{percent(rows[m]['found'])}]"
            for m in _UNEQUAL_TESTS
        ]
        tails = next([rows[m][tail] for tail in TAILS] for m in used if rows[m]["offered"])
        ratio = f"{spread:g} to 1" if spread >= 1 else f"1 to {1 / spread:g}"
        lines.append([f"{n_t}, {n_c}", ratio, *texts, ", ".join(f"{10_000 * tail:.1f}" for tail in tails)])
    return table(["larger, smaller arm", "spreads", *_UNEQUAL_TESTS, "p < .0025, p < .0001 of 10,000"], lines)


def _power(results: pl.DataFrame) -> str:
    chosen = results.filter(pl.col("effect") > 0, pl.col("method").is_in([*_kinds(results), *POWER_OF_REFUSED]))
    by = ("method", "effect", "gradual", "n_t", "offered")
    mean = chosen.group_by(by).agg(pl.col("found_right").mean(), pl.col("covered").mean()).sort(by)
    rows: dict[str, dict[int, str]] = {}
    for method, effect, gradual, n, offered, power, _ in mean.iter_rows():
        name = f"{method}, {effect:+.0%}{' gradually' if gradual else ''}"
        rows.setdefault(name, {})[n] = percent(power, 0) if offered else f"[{percent(power, 0)}]"
    return _grid(rows)


def _stress(results: pl.DataFrame) -> str:
    steep = worst(results.filter(pl.col("family") == sim.STRESS))
    chosen = steep.filter(pl.col("offered") | pl.col("method").str.contains("^local jump, |of jumps, ")).sort("method")
    rows: dict[str, dict[int, str]] = {}
    for row in chosen.iter_rows(named=True):
        cell = percent(row["false"])
        rows.setdefault(row["method"], {})[row["n_t"]] = cell if row["offered"] else f"[{cell}]"
    return _grid(rows)
