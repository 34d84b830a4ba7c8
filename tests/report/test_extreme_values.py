"""Values at the ends of what a number can be: analyses, charts and reports of them neither fail nor warn."""

import random
import warnings

import pytest

from lib.curves import View, curves
from lib.effects import analyse
from lib.report import write_report
from lib.runs import treatments_of
from lib.sources import fetch
from tests.support.bundle_kit import LOSS, REWARD, RunData, StudyParts, bundle, run

pytestmark = pytest.mark.slow

EXTREMES = {
    "large": (1e308, -1e308, 1.7976931348623157e308),
    "infinite": (float("inf"), float("-inf"), float("nan")),
    "tiny": (5e-324, -5e-324, 0.0),
    "mixed": (1e308, -1e308, 5e-324, float("inf"), 0.0, -1.0, float("nan")),
}
VIEWS = (
    View(seeds=True, raw=True),
    View(grid="exact", seeds=True),
    View(aggregate="iqm", spread="minmax", log_reward=True, log_loss=True),
    View(spread="ci", x="since_percent", smooth=False),
)


def extreme_run(seed: int, ratio: float, values: tuple[float, ...], share: float) -> RunData:
    """A run of which a share of the points is one of these values."""
    rng = random.Random(seed)
    plain = run(seed, ratio, 10)
    points = {
        key: [(step, rng.choice(values) if rng.random() < share else value) for step, value in rows]
        for key, rows in plain.points.items()
    }
    return RunData(plain.id, plain.config, points)


def extreme_study(folder, values, share):
    ratios = ((1, 0.5), (2, 0.5), (3, 0.5), (4, 0.0), (5, 0.0), (6, 0.0))
    return bundle(folder, StudyParts().study(), [extreme_run(seed, ratio, values, share) for seed, ratio in ratios])


@pytest.mark.parametrize("share", [0.02, 1.0])
@pytest.mark.parametrize("values", EXTREMES.values(), ids=EXTREMES)
def test_curves_and_effects_neither_fail_nor_warn(tmp_path, values, share):
    study = extreme_study(tmp_path, values, share)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manifest = fetch(study)
        analyse(study, manifest)
        for view in VIEWS:
            for metric in (REWARD, LOSS):
                treatments = treatments_of(study, manifest)
                curves(manifest.history(), study.tasks[0], [metric], treatments, view)


@pytest.mark.slow
@pytest.mark.parametrize("values", EXTREMES.values(), ids=EXTREMES)
def test_a_report_neither_fails_nor_warns(tmp_path, values):
    study = extreme_study(tmp_path, values, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = write_report(study, fetch(study), tmp_path / "out", VIEWS[0], ("html", "csv"))
    assert {"report.html", "claims.md", "effects.csv"} <= {path.name for path in written}
