"""Where a study's files lie: source folder, bundle and baselines, relative to the study file."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lib.study.model import Baseline, Source, Study


def local_paths(study: Study) -> list[str]:
    """The paths that a study names on this machine: its source's, where that is no server, and its baselines'."""
    source = [] if study.source.kind == "wandb" else [study.source.path]
    return source + [baseline.path for task in study.tasks for baseline in task.baselines]


def with_paths(study: Study, change: Callable[[str], str]) -> Study:
    """The study with each of its `local_paths` changed; a baseline keeps its name."""
    source = study.source
    if source.kind != "wandb":
        source = replace(source, path=change(source.path))
    tasks = tuple(
        replace(task, baselines=tuple(with_path(baseline, change) for baseline in task.baselines))
        for task in study.tasks
    )
    return replace(study, source=source, tasks=tasks)


def with_path(baseline: Baseline, change: Callable[[str], str]) -> Baseline:
    """The baseline with its path changed, under the name that it has."""
    path = change(baseline.path)
    return baseline if path == baseline.path else replace(baseline, path=path, label=baseline.name)


def with_baselines(study: Study, added: Sequence[tuple[str, Baseline]]) -> Study:
    """The study with more baselines, (task id, baseline) each; one of the same name takes the other's place."""
    tasks = []
    for task in study.tasks:
        baselines = {b.name: b for b in task.baselines} | {b.name: b for key, b in added if key == task.key}
        tasks.append(replace(task, baselines=tuple(baselines.values())))
    return replace(study, tasks=tuple(tasks))


def without_folders(study: Study) -> Study:
    """The study without absolute paths, to be shown to others: baselines and a bundle lie beside the study file."""
    source = study.source
    if source.kind == "bundle" and Path(source.path).is_absolute():
        source = replace(source, path=f"{study.name}.zip")
    tasks = tuple(replace(t, baselines=tuple(_bare(b) for b in t.baselines)) for t in study.tasks)
    return replace(study, source=source, tasks=tasks)


def _bare(baseline: Baseline) -> Baseline:
    path = Path(baseline.path)
    return replace(baseline, path=path.name, label=baseline.name) if path.is_absolute() else baseline


def with_source(study: Study, source: Source, folder: str = "") -> Study:
    """The study with another source; relative paths start at `folder`."""
    return replace(study, source=source, folder=folder)


def with_absolute_paths(study: Study) -> Study:
    """The study with its baselines at absolute paths, so that it needs its folder no more."""
    if not study.folder:
        return study
    tasks = tuple(
        replace(t, baselines=tuple(replace(b, path=str(study.at(b.path).resolve()), label=b.name) for b in t.baselines))
        for t in study.tasks
    )
    return replace(study, tasks=tasks)
