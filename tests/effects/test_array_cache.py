"""Effects do not depend on how many rows stay in memory, and quantiles of parts are those of all values together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.effects import analyse
from lib.effects.compare import quantiles as module
from lib.effects.compare import task_data
from lib.effects.compare.quantiles import quantiles
from lib.runs import History
from lib.sources import fetch
from lib.study import load_study

NUMBERS = st.floats(-1e100, 1e100) | st.integers(-3, 3).map(float)


@given(
    parts=st.lists(st.lists(NUMBERS, max_size=30), min_size=1).filter(any),
    samples=st.sampled_from([1, 2, 5, 128]),
    together=st.sampled_from([1, 3, 50]),
)
def test_quantiles_of_parts_are_those_of_all_values_together(parts, samples, together):
    arrays = [np.array(part, dtype=float) for part in parts]

    def parts(function, *arguments):
        return [function(array, *arguments) for array in arrays]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SAMPLES", samples)
        patch.setattr(module, "_TOGETHER", together)
        of_parts = quantiles(parts, (0.05, 0.5, 0.95))
    assert of_parts == np.quantile(np.concatenate(arrays), (0.05, 0.5, 0.95)).tolist()


def test_only_so_many_bytes_of_rows_stay_in_memory():
    example, history = [], History({}).with_cache(100)

    def read():
        example.append(run_id)
        return np.arange(3), np.ones(3)  # 48 bytes

    for run_id in "ababcab":
        history.cached_in_memory(run_id, read)
    # The third run takes the place of that used longest ago, which then takes the place of the other.
    assert example == ["a", "b", "c", "a", "b"]


@pytest.mark.slow
def test_effects_are_the_same_with_no_cache(monkeypatch):
    study = load_study("demo")
    manifest = fetch(study)
    before = analyse(study, manifest)
    monkeypatch.setattr(task_data, "CACHE_BYTES", 0)
    after = analyse(study, manifest)
    assert after.effects.equals(before.effects) and after.per_run.equals(before.per_run)
    for task, other in zip(after.tasks, before.tasks, strict=True):
        for name in ("differences", "fits", "placebo", "gap"):
            assert getattr(task, name).equals(getattr(other, name))
