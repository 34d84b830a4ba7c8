"""A study written as a file and read again is the same study."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.study import (
    STUDIES,
    DetachRule,
    Evidence,
    Metric,
    Signal,
    Source,
    Study,
    Task,
    load_study,
    parse_study,
    shipped_studies,
    to_toml,
)
from lib.study.model import Arms, Randomised

names = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=12)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
steps = st.integers(1, 2**53)
scalars = st.one_of(
    names, st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False)
)
sweeps = st.lists(names, max_size=3, unique=True).map(tuple)
fractions = st.floats(0, 1)
metrics = st.builds(
    Metric,
    key=names,
    family=st.sampled_from(["reward", "loss"]),
    expect=st.sampled_from(["increase", "decrease"]),
    label=texts,
    scale=st.sampled_from(["linear", "log"]),
    color=st.sampled_from(["", "#1f77b4", "#ABCDEF"]),
    smooth=st.none() | st.booleans(),
)
rules = st.builds(
    DetachRule,
    step=st.none() | st.just(1),
    total_steps_key=texts,
    ratio_key=names,
    ratio_counts=st.sampled_from(["elapsed", "remaining"]),
    frozen_when=st.dictionaries(names, scalars, max_size=3),
    signal=st.none() | st.builds(Signal, key=names, falls_to=st.floats(allow_nan=False, allow_infinity=False)),
    randomised=st.none() | st.just(Randomised(0.25, 0.75)),
)
filters = st.dictionaries(names, scalars | st.dictionaries(names, scalars, max_size=2), max_size=3)
tasks = st.builds(
    Task,
    name=names,
    total_steps=steps,
    id=texts,
    display_name=texts,
    sweep_id=sweeps,
    control_sweep_id=sweeps,
    group=texts,
    runs_filter=st.just("") | filters,
    smoothing_steps=st.none() | steps,
    detach=rules,
)
sources = st.one_of(
    st.builds(Source, kind=st.just("wandb"), entity=names, project=names, base_url=texts),
    st.builds(Source, kind=st.sampled_from(["offline", "bundle"]), path=names),
)
studies = st.builds(
    Study,
    name=names,
    title=names,
    source=sources,
    metrics=st.lists(metrics, min_size=1, max_size=3, unique_by=(lambda m: m.key, lambda m: m.name)).map(tuple),
    tasks=st.lists(tasks, min_size=1, max_size=3, unique_by=lambda t: t.stem).map(tuple),
    hypothesis=texts,
    step_key=st.lists(names, min_size=1, max_size=3).map(tuple),
    task_key=names,
    seed_key=names,
    evidence=st.builds(
        Evidence,
        before=st.floats(0.01, 1e6),
        after=st.just("rest") | st.floats(0.01, 1e6),
        settle=st.floats(0, 1e6),
    ),
    arms=st.none() | st.builds(Arms, key=names, labels=st.dictionaries(texts, names, max_size=3)),
)


@given(studies)
def test_every_valid_study_comes_back_from_its_file(study):
    again = parse_study(to_toml(study))
    assert again == study
    assert repr(again) == repr(study)


@pytest.mark.parametrize("name", shipped_studies())
def test_the_shipped_studies_come_back_from_their_files(name):
    study = load_study(name)
    assert study.folder == str(STUDIES.resolve())
    assert parse_study(to_toml(study), folder=study.folder) == study


def test_the_demo_is_the_first_of_the_shipped_studies():
    assert shipped_studies() == ["demo", *sorted(set(shipped_studies()) - {"demo"})]
    assert "detach_encoder" in shipped_studies()
