"""Figures of the effects of the open study, cached."""

from collections.abc import Mapping

import polars as pl

from lib import report
from lib.app.session import cached_results
from lib.app.session.cached_results import of_effects
from lib.app.session.caches import cached
from lib.app.session.current import Current
from lib.effects import run_looks, standing
from lib.report import Figure
from lib.runs import arms_of
from lib.study import Evidence


@cached(of_effects)
def claims_figure(current: Current, evidence: Evidence | None = None, metric: str = "") -> Figure | None:
    """Every claim, or those of a metric, on one axis; None where there is none."""
    study = current.visible_study
    effects = cached_results.effects(current, evidence)
    return report.claims_figure(effects, study, study.metric(metric) if metric else None)


@cached(of_effects)
def quadrant_figure(current: Current, evidence: Evidence | None = None, *metrics: str) -> Figure | None:
    """Reward effect against loss effect, of two metrics or of the study's own choice; None where no run has both."""
    study = current.visible_study
    return report.quadrant_figure(
        cached_results.analysis(current, evidence).per_run, study, *map(study.metric, metrics)
    )


@cached(of_effects)
def metric_figures(current: Current, task: str, metric: str, evidence: Evidence | None = None) -> Mapping[str, Figure]:
    """What stands behind one metric of a task, by name: seeds, fork pairs, jump, pretended detach steps."""
    analysis = cached_results.analysis(current, evidence).task(task)
    fits = analysis.fits.filter(pl.col("metric") == metric)
    rows = None
    if fits.height:
        step, half = pl.col("detach_step"), pl.col("half_width")
        low, high = fits.select(low=(step - half).min(), high=(step + half).max()).row(0)
        rows = cached_results.rows_around(current, tuple(fits["run_id"].unique().sort()), metric, low, high)
    figures = report.metric_figures(analysis, current.study.metric(metric), rows)
    return {figure.name: figure for figure in figures}


@cached(of_effects)
def looks_figure(current: Current, task: str, metric: str, arm: str, planned: int) -> Figure | None:
    """The looks at a metric of an arm so far; None before the first interval."""
    analysis = cached_results.analysis(current, None).task(task)
    comparison = next(c for c in analysis.comparisons if (c.metric.key, c.arm) == (metric, arm))
    looks = run_looks(comparison, current.manifest.history())
    return report.looks_figure(looks, standing(analysis, comparison), planned) if looks.height else None


@cached()
def event_figure(current: Current, metric: str) -> Figure | None:
    """A metric in every task, with a view that counts from the detach; None where no run has a curve there."""
    study, arms = current.visible_study, current.view.arms or arms_of(current.treatments)
    curves = pl.concat([cached_results.curves(current, task.key) for task in study.tasks])
    return report.event_figure(curves, study, study.metric(metric), current.view, arms)
