"""Arms from any config key, old and new, across sweeps; several detach steps against one control; the same numbers twice."""

from dataclasses import replace

import polars as pl
import pytest

from lib.curves import View, study_curves
from lib.report import study_results, write_report
from lib.report.page import claim_lines
from lib.runs import of_task, treatments_of
from lib.sources import fetch
from lib.study import DetachRule, Task
from lib.study.model import Arms
from tests.support.bundle_kit import AT, LOSS, REWARD, TOTAL, RunData, StudyParts, bundle, run

THREE = [run(seed, ratio, lift) for seed in (1, 2, 3) for ratio, lift in ((0.2, 5.0), (0.5, 10.0), (0.0, 0.0))]


def _opened(tmp_path, runs, **changes):
    study = bundle(tmp_path, StudyParts().study(**changes), runs)
    return study, fetch(study)


def test_three_arms_are_drawn_together_and_each_is_compared_with_the_control(tmp_path):
    results = study_results(*_opened(tmp_path, THREE), View())
    assert results.curves["arm"].unique(maintain_order=True).to_list() == ["control", "detached 0.2", "detached 0.5"]
    assert {t.arm: t.detach_step for t in results.treatments} == {
        "detached 0.2": 200,
        "detached 0.5": 500,
        "control": None,
    }
    rows = results.effects.filter(metric=REWARD.key)
    assert rows.select("arm", "control", "design", "n_arm", "n_control").rows() == [
        ("detached 0.2", "control", "fork", 3, 3),
        ("detached 0.5", "control", "fork", 3, 3),
    ]
    assert rows["change"].to_list() == pytest.approx([5.2, 10.2])
    assert rows["verdict"].to_list() == ["supported", "supported"]
    loss = results.effects.filter(metric=LOSS.key)
    assert loss["change"].to_list() == pytest.approx([0.5 * 1.01**2 - 1] * 2)


def test_arms_are_named_by_the_study(tmp_path):
    arms = Arms("ratio", (("0.2", "early"), ("0.5", "at half")))
    study, manifest = _opened(tmp_path, THREE, arms=arms)
    assert {t.arm for t in treatments_of(study, manifest)} == {"early", "at half", "control"}
    assert study_results(study, manifest, View()).effects["arm"].unique(maintain_order=True).to_list() == [
        "at half",
        "early",
    ]


def test_arms_by_another_key_than_the_detach(tmp_path):
    runs = [run(seed, 0.5, lift, lr=lr) for seed, lift, lr in ((1, 1.0, 1e-3), (2, 2.0, 1e-3), (3, 3.0, 3e-4))]
    runs += [run(seed, 0.0, lr=1e-3) for seed in (1, 2, 3)]
    study, manifest = _opened(tmp_path, runs, arms=Arms("lr", (("0.001", "fast"),)))
    assert [(t.seed, t.arm) for t in treatments_of(study, manifest)] == [
        ("3", "detached 0.0003"), ("1", "fast"), ("2", "fast"), ("1", "control"), ("2", "control"), ("3", "control"),
    ]  # fmt: skip


def test_a_learning_rate_cut_to_a_tenth_is_compared_with_the_runs_left_alone_and_never_with_the_frozen(tmp_path):
    rule = DetachRule(total_steps_key="steps", ratio_key="ratio", frozen_when=(("opt.scale", 0.0),))
    options = StudyParts(task=Task("walk", TOTAL, detach=rule))
    arms = {0.0: 10.0, "0.1": 4.0}
    cut = [replace(run(i, 0.5, lift, opt={"scale": s}), id=f"{i}-{s}") for s, lift in arms.items() for i in (1, 2, 3)]
    alone = [replace(run(i, 0.0, opt={"scale": 1}), id=f"{i}-c") for i in (1, 2, 3)]
    alone = [replace(r, config={**r.config, "ratio": 0.5}) for r in alone]
    study = bundle(tmp_path / "a", options.study(), cut + alone)
    other_results = study_results(study, fetch(study), View())
    rows = (
        other_results.effects.filter(metric=REWARD.key)
        .select("arm", "control", "design", "n_arm", "n_control", "change")
        .rows()
    )
    assert rows == [
        ("detached", "control", "fork", 3, 3, pytest.approx(10.2)),
        ("detached scale 0.1", "control", "fork", 3, 3, pytest.approx(4.2)),
    ]
    claims = [line for line in claim_lines(other_results) if "Eval Reward" in line]
    assert [line.split(" at 500 steps")[0] for line in claims] == [
        "On walk, detaching the encoder", "On walk, changing the encoder (scale 0.1)"
    ]  # fmt: skip
    without = bundle(tmp_path / "b", options.study(), cut)
    results = study_results(without, fetch(without), View())
    assert results.effects.select("arm", "control", "design").unique(maintain_order=True).rows() == [
        ("detached", None, "jump"), ("detached scale 0.1", None, "jump")
    ]  # fmt: skip


def test_the_control_of_another_sweep(tmp_path):
    detach = DetachRule(total_steps_key="steps", ratio_key="ratio")
    both = StudyParts(task=Task("walk", TOTAL, sweep_id=("d1",), control_sweep_id=("c1",), detach=detach))
    runs = [replace(run(seed, 0.5, 4.0), sweep="d1") for seed in (1, 2, 3)]
    runs += [replace(run(seed, 0.0), sweep="c1") for seed in (1, 2, 3)]
    runs += [replace(run(9, 0.0), sweep="other")]
    study = bundle(tmp_path, both.study(), runs)
    results = study_results(study, fetch(study), View())
    assert results.runs["run_id"].sort().to_list() == sorted(r.id for r in runs[:6])
    row = results.effects.filter(metric=REWARD.key).row(0, named=True)
    assert (row["design"], row["n_arm"], row["n_control"]) == ("fork", 3, 3)
    assert row["change"] == pytest.approx(4.2)
    alone = bundle(tmp_path / "alone", both.study(tasks=(replace(both.task, control_sweep_id=()),)), runs)
    assert study_results(alone, fetch(alone), View()).effects["design"].unique().to_list() == ["jump"]


def _old(run: RunData) -> RunData:
    """The run as older code wrote it: what remains of the training, under another name."""
    config = {k: v for k, v in run.config.items() if k not in ("ratio", "steps")}
    ratio = run.config["ratio"]
    return replace(run, config={**config, "detach_encoder_ratio": 1 - ratio if ratio else None})


def test_old_names_and_new_ones_give_the_same_effects(tmp_path):
    runs = [run(seed, ratio, 3.0) for seed in (1, 2, 3) for ratio in (0.2, 0.0)]
    new = study_results(*_opened(tmp_path / "new", runs), View())
    rule = DetachRule(ratio_key="detach_encoder_ratio", ratio_counts="remaining")
    old = StudyParts(task=Task("walk", TOTAL, detach=rule))
    study = bundle(tmp_path / "old", old.study(), [_old(r) for r in runs])
    results = study_results(study, fetch(study), View())
    assert {t.detach_step for t in results.treatments} == {200, None}
    assert results.effects.equals(new.effects)


def test_in_event_time_every_arm_starts_at_its_own_detach_and_a_control_without_one_stays_out(tmp_path):
    study, manifest = _opened(tmp_path, THREE)
    since = study_curves(study, manifest, View(x="since")).filter(metric=REWARD.key)
    ends = {arm: (low, high) for arm, low, high in since.group_by("arm").agg(
        pl.col("step").min().alias("low"), pl.col("step").max().alias("high")).iter_rows()}  # fmt: skip
    assert ends == {"detached 0.2": (-200.0, 800.0), "detached 0.5": (-500.0, 500.0)}
    one = [r for r in THREE if r.config["ratio"] in (0.5, 0.0)]
    study, manifest = _opened(tmp_path / "one", one)
    shared = study_curves(study, manifest, View(x="since_percent")).filter(metric=REWARD.key)
    assert shared.group_by("arm").agg(pl.col("step").min()).sort("arm").rows() == [
        ("control", -50.0),
        ("detached", -50.0),
    ]
    both = shared.filter(pl.col("step") <= 0).pivot(on="arm", index="step", values="mean")
    assert both["control"].to_list() == both["detached"].to_list()
    assert [t.detach_step for t in of_task(treatments_of(study, manifest), "walk")][:3] == [AT] * 3


def test_the_same_study_gives_the_same_bytes(tmp_path):
    """Also where p values are drawn at random: labels of 12 against 12 runs, and redrawn onsets."""
    apart = [run(seed, ratio, seed / 2) for seed in range(1, 13) for ratio in (0.5,)]
    apart += [replace(run(seed, 0.0), id=f"c{seed}") for seed in range(21, 33)]
    study, manifest = _opened(tmp_path, apart)
    tables = ["effects.csv", "effects_detail.csv", "curves.csv"]
    for name, runs in (("a", manifest.runs), ("b", manifest.runs[::-1])):
        write_report(study, replace(manifest, runs=runs), tmp_path / name, View(), ("csv",))
    for table in tables:
        assert (tmp_path / "a" / table).read_bytes() == (tmp_path / "b" / table).read_bytes()
    text = (tmp_path / "a" / "effects_detail.csv").read_text()
    assert "label permutation" in text
    assert pl.read_csv(tmp_path / "a" / "effects.csv")["design"].to_list() == ["did", "did"]


def test_randomised_onsets_give_the_same_numbers_twice(tmp_path):
    from lib.study.model import Randomised

    rule = DetachRule(total_steps_key="steps", ratio_key="ratio", randomised=Randomised(0.3, 0.7))
    options = StudyParts(task=Task("walk", TOTAL, detach=rule))
    study = bundle(tmp_path, options.study(), [run(i, 0.3 + 0.05 * i, 5.0) for i in range(1, 7)])
    manifest = fetch(study)
    first, second = (study_results(study, manifest, View()).effects for _ in range(2))
    assert first.write_csv() == second.write_csv()
    row = first.filter(metric=REWARD.key).row(0, named=True)
    assert (row["design"], row["n_arm"]) == ("onset", 6)
    assert 0 < row["p_value"] < 0.05
