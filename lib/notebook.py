"""A study in a notebook: frames and charts that display themselves."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import altair as alt
import polars as pl

from lib.curves import View, study_curves
from lib.discover import Choices, inspect_server, parse_addresses, propose, server_at
from lib.effects import StudyAnalysis, analyse, claim, cost_and_gain, encoder_table, pilots, plan
from lib.formatting import plural
from lib.report import GRID_STEM, Figure, curve_figure, figure_data, figure_of_stem
from lib.runs import (
    Manifest,
    Treatment,
    missing_keys,
    runs_table,
    task_treatments,
    treatments_with_duplicates,
    unknown_arms,
)
from lib.sources import Request, fetch, fetch_or_stored, resolve_key, server_of
from lib.study import FAMILIES, InputError, Study, load_study


@dataclass(frozen=True, repr=False)
class OpenStudy:
    """A study with its runs.

    Frames are polars, charts Altair. The settings of curves are those of `lib.curves.View`, by name:
    `study.curves(spread="ci", x="percent")`.
    """

    study: Study
    manifest: Manifest

    def __repr__(self) -> str:
        tasks = ", ".join(task.key for task in self.study.tasks)
        return f"<{self.study.title}: {plural(len(self.manifest.runs), 'run')} of {tasks}>"

    @cached_property
    def runs(self) -> pl.DataFrame:
        """The audit, one row per run and task: columns of runs.csv."""
        return runs_table(self.study, self.manifest)

    def curves(self, **settings: Any) -> pl.DataFrame:
        """Metrics over steps, aggregated over the seeds of each arm: columns of curves.csv."""
        return study_curves(self.study, self.manifest, View(**settings))

    def effects(self) -> pl.DataFrame:
        """One row per claim: columns of effects.csv."""
        return self._analysis.effects

    def claims(self) -> pl.DataFrame:
        """The sentence of every claim, with its task, metric, arm and verdict."""
        rows = self.effects()
        sentences = [claim(row, self.study, self._treatments) for row in rows.iter_rows(named=True)]
        return rows.select("task", "metric", "arm", "verdict", pl.Series("claim", sentences, pl.String))

    def encoder(self) -> pl.DataFrame:
        """What the encoder did, a row per task, arm and measure: the train-to-validation gap and the training speed.

        Columns `lib.effects.encoder.ENCODER`; `saved` are hours per run.
        """
        return encoder_table(self._analysis.tasks)

    def cost_and_gain(self) -> str:
        """What was gained, what it cost and what it saved in training time, in one line."""
        return cost_and_gain(self._analysis, self.effects(), self.study)

    def plan(self) -> pl.DataFrame:
        """The runs that a change of 10% or 25%, or a margin, needs, from the spread of these runs; by design, with their cost."""
        return plan(self.study, pilots(self._analysis))

    def chart(self, task: str, *families: str, **settings: Any) -> alt.TopLevelMixin:
        """The curves of a task's families ("reward", "loss"; by default all), with the detach rule and n.

        Raises
        ------
        InputError
            Where the study has no such task or family.
        """
        match = next((t for t in self.study.tasks if task in (t.key, t.title)), None)
        if match is None:
            raise InputError(f"No task '{task}': choose from {', '.join(t.key for t in self.study.tasks)}.")
        of_study = tuple(family for family in FAMILIES if self.study.family(family))
        if unknown := [family for family in families if family not in of_study]:
            raise InputError(f"No family '{unknown[0]}': choose from {', '.join(of_study)}.")
        data = figure_data(self.study, self.manifest, View(**settings))
        return _altair(curve_figure(data, match, *(families or of_study)))

    def grid(self, **settings: Any) -> alt.TopLevelMixin:
        """Every task and family in one figure: a row per task."""
        return _altair(figure_of_stem(figure_data(self.study, self.manifest, View(**settings)), GRID_STEM))

    @cached_property
    def _analysis(self) -> StudyAnalysis:
        return analyse(self.study, self.manifest)

    @cached_property
    def _treatments(self) -> tuple[Treatment, ...]:
        return treatments_with_duplicates(self.study, self.manifest)


def _altair(figure: Figure) -> alt.TopLevelMixin:
    """The figure in the size of a file, with its rows inside."""
    spec = figure.file_chart.to_dict()
    rows = spec.pop("datasets")  # added later: Altair would check each of them against its schema
    chart: Any = alt.Chart.from_dict(spec)
    chart.datasets = rows
    return cast(alt.TopLevelMixin, chart)


def open_study(study: str, *, refresh: bool = False, trust_server: str | None = None) -> OpenStudy:
    """Open a study, fetching what is new; the key is that of the environment or of the W&B login.

    Parameters
    ----------
    study : a name in studies/, or the path of a study file.
    refresh : fetch everything again.
    trust_server : a server that the study names, to which the key may go beside its own.

    Raises
    ------
    InputError
        One sentence, where the study or its runs cannot be read. A part that fails is a warning.
    """
    return _opened(load_study(study), trust_server, refresh)


def open_sweep(
    address: str,
    *,
    detach_step: int | None = None,
    total_steps: int | None = None,
    ratio_counts: str | None = None,
    trust_server: str | None = None,
) -> OpenStudy:
    """Propose a study from the address of a sweep, a run or a project (or of several sweeps), and open it.

    Parameters
    ----------
    detach_step, total_steps : in environment steps, of every task; where config and history do not say them.
    ratio_counts : "elapsed" or "remaining", where the runs do not say what their ratio counts.

    Raises
    ------
    InputError
        One sentence: where the runs cannot be listed, or what the address alone does not answer.
    """
    addresses = parse_addresses(address)
    key = resolve_key(server_at(addresses[0]), trust_server)
    if key is None:
        server = server_at(addresses[0])
        raise InputError(
            f"There is no W&B key for {server}: set WANDB_API_KEY, or run `wandb login`. To a server that is not the key's own "
            f'it goes with trust_server="{server}" alone.'
        )
    inspection = inspect_server(addresses, key)
    choices = Choices(ratio_counts=ratio_counts)
    names = [task.name for task in propose(inspection, choices).study.tasks]
    steps: Mapping[str, int | None] = {"detach_steps": detach_step, "total_steps": total_steps}
    typed: dict[str, Any] = {name: dict.fromkeys(names, step) for name, step in steps.items() if step is not None}
    proposal = propose(inspection, Choices(ratio_counts=ratio_counts, **typed))
    if proposal.questions:
        raise InputError(" ".join(proposal.questions))
    return _opened(proposal.study, trust_server)


def _opened(study: Study, trust_server: str | None, refresh: bool = False) -> OpenStudy:
    key = resolve_key(server_of(study), trust_server) if study.source.kind == "wandb" else None
    messages = list[str]()
    request = Request(key=key, refresh=refresh)
    manifest = fetch(study, request) if refresh else fetch_or_stored(study, request, messages.append)
    messages += [problem.message for problem in manifest.problems]
    messages += missing_keys(study, manifest)
    messages += [unknown_arms(task, task_treatments(study, manifest, task)) for task in study.tasks]
    for message in filter(None, messages):
        warnings.warn(message, stacklevel=3)
    return OpenStudy(study, manifest)
