"""The demo's claims, computed a second time from its files with scipy alone."""

from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from lib.effects import analyse, effects_detail
from lib.sources import fetch
from lib.study import load_study

DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture(scope="module")
def manifest():
    return fetch(load_study(str(DEMO / "study.toml")))


@pytest.fixture(scope="module")
def analysis(manifest):
    return analyse(load_study(str(DEMO / "study.toml")), manifest)


@pytest.fixture(scope="module")
def effects(analysis):
    return analysis.effects


def _means(manifest, task, metric, low, high, *, log=False):
    """By ratio and seed, the mean of a metric over low < step <= high, straight from the files."""
    runs = {r.id: (r.config["detach_encoder_ratio"], r.config["seed"]) for r in manifest.runs if r.tasks == (task,)}
    rows = pl.read_parquet(sorted((DEMO / "runs").glob("*.parquet"))).filter(
        pl.col("run_id").is_in(list(runs)), pl.col("metric") == metric, pl.col("step") > low, pl.col("step") <= high
    )
    value = pl.col("value").log() if log else pl.col("value")
    means = dict(rows.group_by("run_id").agg(value.mean()).iter_rows())
    arms = {0.0: {}, 0.5: {}}
    for run, mean in means.items():
        arms[runs[run][0]][runs[run][1]] = mean
    return [np.array([arms[ratio][seed] for seed in sorted(arms[ratio])]) for ratio in (0.5, 0.0)]


@pytest.mark.parametrize("task", ["cartpole-swingup", "acrobot-swingup"])
def test_the_loss_claim_of_the_demo(manifest, effects, task):
    metric = "validation_all/consistency_loss"
    detached, control = _means(manifest, task, metric, 50_000, 100_000, log=True)
    test = stats.ttest_rel(detached, control)
    low, high = test.confidence_interval(0.95)
    row = effects.filter(task=task, metric=metric).row(0, named=True)
    assert (row["design"], row["n_arm"]) == ("fork", 6)
    assert row["change"] == pytest.approx(np.expm1((detached - control).mean()))
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(np.expm1(low)), pytest.approx(np.expm1(high)))
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert row["after"] == pytest.approx(stats.gmean(np.exp(detached)))


def test_the_reward_claim_of_the_demo(manifest, effects):
    metric, task = "eval/episode_reward", "cartpole-swingup"
    detached, control = _means(manifest, task, metric, 50_000, 100_000)
    test = stats.ttest_rel(detached, control)
    row = effects.filter(task=task, metric=metric).row(0, named=True)
    assert row["change"] == pytest.approx((detached - control).mean())
    assert row["change_pct"] == pytest.approx(100 * (detached - control).mean() / control.mean())
    assert row["ci_low"] == pytest.approx(test.confidence_interval(0.95).low)
    assert row["verdict"] == "not shown"


def test_holm_over_the_demo(effects):
    for family, across in (("across:primary", True), ("tasks:primary", False)):
        claims = effects.filter((pl.col("task") == "*") == across, pl.col("p_value").is_not_null())
        p = claims["p_value"].to_numpy()
        order = np.argsort(p)
        adjusted = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
        assert claims["p_holm"].to_numpy()[order] == pytest.approx(adjusted)
        assert set(claims["holm_family"]) == {family}


def test_the_effect_across_the_demo_is_the_mean_of_its_fork_pairs(manifest, analysis, effects):
    metric, differences = "train/consistency_loss", []
    for task in ("acrobot-swingup", "cartpole-swingup"):
        detached, control = _means(manifest, task, metric, 50_000, 100_000, log=True)
        differences.append(detached - control)
    row = effects.filter(task="*", metric=metric).row(0, named=True)
    assert (row["design"], row["n_arm"], row["n_control"]) == ("fork", 12, 12)
    # independent means: those of the pairs of one task against those of the other with their sign turned
    test = stats.ttest_ind(differences[0], -differences[1], equal_var=False)
    assert row["change"] == pytest.approx(np.expm1(np.mean([d.mean() for d in differences])))
    assert np.log1p(row["ci_high"]) == pytest.approx(test.confidence_interval(0.95).high / 2)
    assert row["p_value"] == pytest.approx(test.pvalue)
    signs = np.array(list(product((1, -1), repeat=12)))
    far = np.abs(signs @ np.concatenate(differences)) >= abs(np.sum(differences)) - 1e-12
    assert effects_detail(analysis).filter(task="*", metric=metric)["p_value"].item() == far.mean()


def test_the_sign_flip_of_the_demo(manifest, analysis):
    metric, task = "eval/episode_reward", "acrobot-swingup"
    detached, control = _means(manifest, task, metric, 50_000, 100_000)
    scipys = stats.permutation_test(
        (detached - control,),
        lambda x, axis: np.abs(x.mean(axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    detail = effects_detail(analysis)
    assert detail.filter(task=task, metric=metric, name="sign-flip")["p_value"].item() == pytest.approx(scipys.pvalue)
