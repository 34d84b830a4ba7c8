"""How many studies in which nothing happened get any verdict, by the number of their claims and the mix of their designs.

    python -m benchmarks.any_verdict                   runs what is not done yet
    python -m benchmarks.any_verdict --studies 400     a quick look

Each claim's p comes from the app's estimators on arrays, its correction from Holm in the app's families. The first 10 studies of
every cell also go through `analyse_runs`, as a page or a report does it: the run stops where one p differs or one
verdict is another. Results are kept cell by cell in `benchmarks/results/any_verdict.csv`.
"""

import argparse
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import polars as pl

from benchmarks.batches import Array, Outcome
from benchmarks.calibration_docs import write_docs
from benchmarks.simulated_runs import as_study, simulated_runs, study_metrics, task_runs
from benchmarks.simulated_studies import METRICS, Mix, Plan, TaskDraw, draw_studies
from benchmarks.study_methods import across_outcome, task_outcome
from benchmarks.study_tables import ANY_VERDICT
from lib.effects.compare.estimators import ALPHA
from lib.effects.multiple_testing import holm_family
from lib.effects.study_analysis import analyse_runs
from lib.effects.verdicts import CONTRADICTED, SUPPORTED
from lib.study import Study

STUDIES, PRODUCT_STUDIES, CHUNK = 2_000, 10, 100
CLAIMS = (5, 15, 20, 40)

FORKS, MANY_FORKS, ARMS, MORE_ARMS = Plan("fork", 3), Plan("fork", 6), Plan("did", 3, 3), Plan("did", 5, 5)
UNEQUAL = Plan("did", 8, 3, 0.5)
ONSET, JUMPS, MANY_JUMPS = Plan("onset", 5), Plan("jump", 3), Plan("jump", 8)
EVERY = (FORKS, MORE_ARMS, UNEQUAL, JUMPS, MANY_FORKS, ARMS, ONSET, MANY_JUMPS)
MIXES = (
    Mix("every design", EVERY, share=1),
    Mix("every design, two roles", EVERY, two_roles=True, share=1),
    Mix("3 fork pairs", (FORKS,), share=1),
    Mix("6 fork pairs", (MANY_FORKS,)),
    Mix("arms, 3 against 3", (ARMS,)),
    Mix("arms, 5 against 5", (MORE_ARMS,)),
    Mix("arms, 8 against 3, the smaller of twice the spread", (UNEQUAL,)),
    Mix("randomised onset, 5 runs", (ONSET,)),
    Mix("detached runs alone, 3", (JUMPS,), share=1),
    Mix("detached runs alone, 8", (MANY_JUMPS,), share=1),
)

SCHEMA = pl.Schema(
    {
        "mix": pl.String,
        "claims": pl.Int64,
        "holm_family": pl.String,
        "studies": pl.Int64,
        "any_verdict": pl.Float64,  # share of the studies with a claim supported or contradicted in this family
        "product_studies": pl.Int64,
        "product_any_verdict": pl.Float64,  # the same of those that went through analyse_runs
    }
)


def holm_verdicts(outcomes: Sequence[Outcome]) -> Array:
    """Whether each claim (studies, claims) of one family gets a verdict: its interval excludes 0 and Holm's p is below .05."""
    p, low, high = (np.stack([getattr(o, name) for o in outcomes], axis=1) for name in ("p", "low", "high"))
    order = np.argsort(p, axis=1)
    steps = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(np.minimum(steps, 1), axis=1), axis=1)
    return ((low > 0) | (high < 0)) & (p < ALPHA) & (adjusted < ALPHA)


def claims_of(study: Study, tasks: Sequence[TaskDraw]) -> dict[tuple[str, str], Outcome]:
    """The outcome of every claim, by task and metric."""
    claims = {}
    for i, metric in enumerate(study.metrics):
        for task, draws in zip(study.tasks, tasks, strict=True):
            claims[task.key, metric.key] = task_outcome(draws.plan.design, draws.metrics[i])
        batches = [(draws.plan.design, draws.metrics[i]) for draws in tasks]
        if (across := across_outcome(batches, is_log=metric.scale == "log")) is not None:
            claims["*", metric.key] = across
    return claims


def run_chunk(mix: Mix, claims: int, start: int, studies: int, through_product: int) -> pl.DataFrame:
    """Some studies of a cell: per study and family whether there is any verdict, by arrays and by the product (or null)."""
    rng = np.random.default_rng([zlib.crc32(mix.name.encode()), claims, start])
    tasks = draw_studies(mix, start // CHUNK, claims // len(METRICS), studies, rng)
    study = as_study(tasks, study_metrics(two_roles=mix.two_roles))
    outcomes = claims_of(study, tasks)
    families: dict[str, list[tuple[str, str]]] = {}
    for task, key in outcomes:
        families.setdefault(str(holm_family(task, study.metric(key))), []).append((task, key))
    verdicts = {family: holm_verdicts([outcomes[c] for c in members]) for family, members in families.items()}
    by_product = [_by_product(study, tasks, i, outcomes) for i in range(min(through_product, studies))]
    rows = []
    for family, shown in verdicts.items():
        for i, any_verdict in enumerate(shown.any(axis=1)):
            product_verdict = family in by_product[i] if i < len(by_product) else None
            if product_verdict not in (None, any_verdict):
                raise AssertionError(f"{mix.name}, {claims} claims, study {start + i}: {family} differs from the app's")
            rows.append((mix.name, claims, family, bool(any_verdict), product_verdict))
    schema = ["mix", "claims", "holm_family", "any_verdict", "product_any_verdict"]
    return pl.DataFrame(rows, schema=schema, orient="row", schema_overrides={"product_any_verdict": pl.Boolean})


def _by_product(study: Study, tasks: Sequence[TaskDraw], i: int, outcomes: dict[tuple[str, str], Outcome]) -> set[str]:
    """The families in which the app gives a study any verdict; its p and intervals are those of the outcomes."""
    effects = analyse_runs(study, {t.key: task_runs(t.key, simulated_runs(t, i)) for t in tasks}).effects
    with_p = effects.filter(pl.col("p_value").is_not_null())
    if set(with_p.select("task", "metric").rows()) != set(outcomes):
        raise AssertionError("the app tests other claims")
    for row in with_p.iter_rows(named=True):
        outcome = outcomes[row["task"], row["metric"]]
        np.testing.assert_allclose(row["p_value"], outcome.p[i], rtol=1e-6, atol=1e-12)
    return set(effects.filter(pl.col("verdict").is_in([SUPPORTED, CONTRADICTED]))["holm_family"])


def run_cell(mix: Mix, claims: int, studies: int, through_product: int) -> pl.DataFrame:
    """One row per family of a cell: columns `SCHEMA`."""
    starts = range(0, studies, CHUNK)
    chunks = [
        run_chunk(mix, claims, start, min(CHUNK, studies - start), max(0, through_product - start)) for start in starts
    ]
    return (
        pl.concat(chunks)
        .group_by("mix", "claims", "holm_family", maintain_order=True)
        .agg(
            pl.len().alias("studies"),
            pl.col("any_verdict").mean(),
            pl.col("product_any_verdict").count().alias("product_studies"),
            pl.col("product_any_verdict").mean(),
        )
        .select(list(SCHEMA))
        .cast(dict(SCHEMA))
    )


def load_results() -> pl.DataFrame:
    """The results so far of the mixes there are now."""
    if not ANY_VERDICT.exists():
        return pl.DataFrame(schema=SCHEMA)
    return pl.read_csv(ANY_VERDICT, schema=SCHEMA).filter(pl.col("mix").is_in([mix.name for mix in MIXES]))


def run(studies: int, processes: int) -> pl.DataFrame:
    """Run the cells that are not done with so many studies."""
    results = load_results()
    most = results.group_by("mix", "claims").agg(pl.col("studies").max())  # a family may lack some studies' claims
    done = {(mix, claims): n for mix, claims, n in most.iter_rows()}
    todo = [(mix, n) for mix, n in product(MIXES, CLAIMS) if done.get((mix.name, n), 0) < mix.share * studies]
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(run_cell, mix, n, int(mix.share * studies), PRODUCT_STUDIES) for mix, n in todo]
        for (mix, n), future in zip(todo, futures, strict=True):
            others = results.filter((pl.col("mix") != mix.name) | (pl.col("claims") != n))
            results = pl.concat([others, future.result()])
            results.write_csv(ANY_VERDICT)
            print(
                results.filter(mix=mix.name, claims=n).select("mix", "claims", "holm_family", "any_verdict").rows(),
                flush=True,
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--studies", type=int, default=STUDIES, help="studies per cell (default: %(default)s; half of one design)"
    )
    parser.add_argument("--processes", type=int, default=2, help="processes at once (default: %(default)s)")
    options = parser.parse_args()
    run(options.studies, options.processes)
    write_docs()


if __name__ == "__main__":
    main()
