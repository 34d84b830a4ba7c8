"""The calibration's results as the tables and the figure that the README shows."""

import math
from pathlib import Path

import altair as alt
import polars as pl

from benchmarks import simulated as sim
from benchmarks.calibration import RESULTS, SIZES

TABLE = RESULTS.with_suffix(".md")
FIGURE = Path(__file__).parents[1] / "assets" / "calibration.svg"
BAR = 0.065
COVER = 0.93

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
    "fork pairs taken as unpaired, Welch": "valid, but see its power: it ignores the shared history",
}


def write_report(results: pl.DataFrame) -> None:
    """Write the tables to `TABLE` and the figure to `FIGURE` (and as PNG beside it)."""
    TABLE.write_text(tables(results), encoding="utf-8")
    FIGURE.parent.mkdir(exist_ok=True)
    drawing = figure(results)
    drawing.save(str(FIGURE))
    drawing.save(str(FIGURE.with_suffix(".png")), scale_factor=2)


def named(results: pl.DataFrame) -> pl.DataFrame:
    """With the number of tasks in the names of methods across tasks, and without the stress family."""
    tasks = pl.col("design").str.extract(r"(\d+) tasks")
    name = pl.when(tasks.is_not_null()).then(pl.col("method") + " (" + tasks + " tasks)").otherwise(pl.col("method"))
    return results.with_columns(name.alias("method"))


def base(results: pl.DataFrame) -> pl.DataFrame:
    """The families that the bar is set for."""
    return results.filter(pl.col("family") != sim.STRESS)


def even(results: pl.DataFrame) -> pl.DataFrame:
    """Equal arms, or one arm."""
    return results.filter((pl.col("n_c") == pl.col("n_t")) | (pl.col("n_c") == 0))


def worst(results: pl.DataFrame) -> pl.DataFrame:
    """By method and size, the largest false positives and the smallest coverage over families and effects at once."""
    nothing = pl.col("effect") == 0
    return (
        results.filter(~pl.col("gradual"))
        .group_by("method", "n_t", "n_c", "offered")
        .agg(pl.col("found").filter(nothing).max().alias("false"), pl.col("covered").min())
    )


def failures(results: pl.DataFrame) -> pl.DataFrame:
    """Offered methods beyond the bar in any base family: none, if all is well."""
    beyond = ((pl.col("effect") == 0) & (pl.col("found") > BAR)) | (pl.col("covered") < COVER)
    return base(named(results)).filter("offered", beyond, ~pl.col("gradual"))


def tables(results: pl.DataFrame) -> str:
    """All tables as Markdown."""
    results = named(results)
    studies = int(results.filter(pl.col("effect").is_in([0.0, 0.25]), ~pl.col("gradual"))["studies"].min() or 0)
    error = 100 * math.sqrt(0.05 * 0.95 / max(studies, 1))
    parts = [
        f"At least {studies:,} simulated studies per cell: the Monte Carlo error of 5% is {error:.2f} points "
        f"(a quarter of them for the power of small and gradual effects). Each figure is that of the worst of the families "
        f"{', '.join(sim.FAMILIES)}.",
        "### Offered: false positives in % (nominal 5), and coverage of the 95% interval; [refused at this size]\n",
        _offered(even(base(results))),
        "### Refused: false positives in %\n",
        _refused(even(base(results))),
        "### Unequal arms: DiD, Welch, false positives in %\n",
        _unequal(base(results)),
        "### Power: share of studies that find the effect in its direction, in %, mean over families\n",
        _power(even(base(results))),
        f"### Beyond the bar: the stress family ({sim.STRESS}), false positives in %\n",
        _stress(even(results)),
    ]
    return "\n\n".join(parts) + "\n"


def _grid(rows: dict[str, dict[int, str]], extra: dict[str, str] | None = None) -> str:
    sizes = list(SIZES)
    head = ["method, runs per arm ="] + [str(n) for n in sizes] + (["why"] if extra else [])
    lines = [_line(head), _line(["---"] * len(head))]
    for name, cells in rows.items():
        line = [name] + [cells.get(n, "") for n in sizes]
        lines.append(_line(line + ([extra.get(name, "")] if extra else [])))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{100 * value:.{digits}f}"


def _offered(results: pl.DataFrame) -> str:
    """Sizes at which a method is refused stand in brackets."""
    summary = worst(results)
    rows: dict[str, dict[int, str]] = {}
    for name in _kinds(summary):
        rows[name] = {}
        for row in summary.filter(method=name).iter_rows(named=True):
            cover = f" ({_percent(row['covered'])})" if row["covered"] is not None else ""
            cell = _percent(row["false"]) + cover
            rows[name][row["n_t"]] = cell if row["offered"] else f"[{_percent(row['false'])}]"
    return _grid(rows)


def _kinds(results: pl.DataFrame) -> list[str]:
    """The methods that are offered at some size."""
    return results.filter("offered")["method"].unique().sort().to_list()


def _refused(results: pl.DataFrame) -> str:
    never = worst(results).filter(pl.col("method").is_in(list(WHY)))
    rows = {
        name: {r["n_t"]: _percent(r["false"]) for r in never.filter(method=name).iter_rows(named=True)} for name in WHY
    }
    return _grid({k: v for k, v in rows.items() if v}, WHY)


def _unequal(results: pl.DataFrame) -> str:
    chosen = results.filter(pl.col("method") == "DiD, Welch", pl.col("n_t") != pl.col("n_c"))
    summary = worst(chosen).sort("offered", "n_t", "n_c", descending=[True, False, False])
    lines = [_line(["arms", "false positives", "coverage", "offered"]), _line(["---"] * 4)]
    for row in summary.iter_rows(named=True):
        arms = f"{row['n_t']} against {row['n_c']}"
        offered = "yes" if row["offered"] else "refused"
        lines.append(_line([arms, _percent(row["false"]), _percent(row["covered"]), offered]))
    return "\n".join(lines)


POWER_OF_REFUSED = ("fork pairs taken as unpaired, Welch", "local jump, 3 rows a side", "local jump, smoothed series")


def _power(results: pl.DataFrame) -> str:
    chosen = results.filter(pl.col("effect") > 0, pl.col("method").is_in([*_kinds(results), *POWER_OF_REFUSED]))
    by = ("method", "effect", "gradual", "n_t", "offered")
    mean = chosen.group_by(by).agg(pl.col("found_right").mean(), pl.col("covered").mean()).sort(by)
    rows: dict[str, dict[int, str]] = {}
    for method, effect, gradual, n, offered, power, _ in mean.iter_rows():
        name = f"{method}, {effect:+.0%}{' gradually' if gradual else ''}"
        rows.setdefault(name, {})[n] = _percent(power, 0) if offered else f"[{_percent(power, 0)}]"
    return _grid(rows)


def _stress(results: pl.DataFrame) -> str:
    steep = worst(results.filter(pl.col("family") == sim.STRESS))
    chosen = steep.filter(pl.col("offered") | pl.col("method").str.starts_with("local jump, ")).sort("method")
    rows: dict[str, dict[int, str]] = {}
    for row in chosen.iter_rows(named=True):
        cell = _percent(row["false"])
        rows.setdefault(row["method"], {})[row["n_t"]] = cell if row["offered"] else f"[{cell}]"
    return _grid(rows)


def figure(results: pl.DataFrame) -> alt.FacetChart:
    """False positives by number of runs, one point per family: what is offered above what is refused for them."""
    chosen = even(base(named(results))).filter(pl.col("effect") == 0)
    kinds = chosen.filter("offered")["method"].unique().to_list()
    wrong = ~pl.col("method").is_in([*kinds, *POWER_OF_REFUSED])  # refused for its false positives
    shown = chosen.filter(pl.col("offered") | wrong).with_columns(
        (100 * pl.col("found")).alias("false"),
        pl.when("offered").then(pl.lit("offered")).otherwise(pl.lit("refused")).alias("group"),
    )
    order = shown.group_by("method").agg(pl.col("false").max()).sort("false")["method"].to_list()
    scale = alt.Scale(type="log", domain=[2, 100], clamp=True, nice=False)
    axis = alt.Axis(values=[2, 5, 10, 20, 50, 100], grid=True)
    points = (
        alt.Chart()
        .mark_point(filled=True, opacity=0.75, size=45)
        .encode(
            x=alt.X(
                "false:Q", title="false positives in % (log scale; the line is the nominal 5%)", scale=scale, axis=axis
            ),
            y=alt.Y("method:N", title=None, sort=order, axis=alt.Axis(labelLimit=320)),
            color=alt.Color("n_t:O", title="runs per arm", scale=alt.Scale(scheme="viridis")),
            shape=alt.Shape("family:N", title="curves"),
        )
    )
    rule = alt.Chart().mark_rule(color="#c0392b", strokeDash=[4, 3]).encode(x=alt.datum(5))
    columns = ["method", "family", "n_t", "false", "group"]
    return (
        alt.layer(points, rule, data=shown.select(columns))
        .properties(width=520, height=alt.Step(22))
        .facet(row=alt.Row("group:N", title=None, header=alt.Header(labelFontSize=13, labelFontWeight="bold")))
        .resolve_scale(y="independent")
    )
