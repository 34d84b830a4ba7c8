"""The treatments of runs with these configs."""

from lib.runs import Run, treatments_of
from lib.study import DetachRule
from tests.support.frames import manifest

TOTAL = 100_000
BY_RATIO = DetachRule(ratio_key="r")


def treatments(tmp_path, example, *configs, left_out=()):
    """The treatments of runs a, b, c, ... with these configs."""
    runs = [(Run(chr(97 + i), config={"seed": i, **config}, last_step=TOTAL), []) for i, config in enumerate(configs)]
    return treatments_of(example, manifest(tmp_path, runs), left_out)


def arms(tmp_path, example, *configs):
    """The arms of runs a, b, c, ... with these configs."""
    return [t.arm for t in sorted(treatments(tmp_path, example, *configs), key=lambda t: t.run_id)]
