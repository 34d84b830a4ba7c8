"""The histories and runs that the comparisons of a study need."""

from collections.abc import Collection

from lib.runs import History, Manifest, Treatment, of_task, treatments
from lib.study import Study


def effect_inputs(
    study: Study, manifest: Manifest, left_out: Collection[str] = ()
) -> dict[str, tuple[History, tuple[Treatment, ...]]]:
    """The history and the runs of every task, as `lib.effects.effects_table` takes them, without those left out.

    Which arms are drawn is no matter: hiding the control arm on screen does not take it from the evidence.
    """
    treated = treatments(study, manifest, left_out)
    return {
        task.key: (manifest.history(manifest.of_task(task.key)), of_task(treated, task.key)) for task in study.tasks
    }
