"""Seeds are in the order of their numbers, wherever they are listed."""

import pytest

from lib.charts.effects.quadrant import quadrant_points
from lib.charts.run_colors import coloring
from lib.effects import analyse, effects_detail
from lib.formatting import number_order
from lib.runs import config_differences, runs_table, treatments_with_duplicates
from lib.sources import fetch
from tests.support.bundle_kit import LOSS, REWARD, StudyParts, bundle, run

SEEDS = ["1", "2", "3", "10", "20"]


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    runs = [run(int(seed), ratio) for seed in sorted(SEEDS) for ratio in (0.5, 0.0)]
    study = bundle(tmp_path_factory.mktemp("kit"), StudyParts().study(), runs)
    return study, fetch(study)


def test_numbers_come_before_other_texts_and_by_their_size():
    texts = ["b", "10", "-1", "2.5", "a", "9", "1e3", "02"]
    assert sorted(texts, key=number_order) == ["-1", "02", "2.5", "9", "10", "1e3", "a", "b"]


def test_seeds_of_the_tables_are_in_the_order_of_numbers(kit):
    study, manifest = kit
    table = runs_table(study, manifest)
    assert table.filter(arm="detached")["seed"].to_list() == table.filter(arm="control")["seed"].to_list() == SEEDS
    analysis = analyse(study, manifest)
    rows = analysis.per_run.filter(arm="detached", metric=REWARD.key)
    assert rows["seed"].to_list() == SEEDS
    detail = effects_detail(analysis).filter(kind="run", metric=REWARD.key, run_arm="detached")
    assert list(dict.fromkeys(detail["seed"])) == SEEDS
    assert quadrant_points(analysis.per_run, REWARD.key, LOSS.key)["seed"].to_list() == SEEDS


def test_seeds_of_a_legend_and_values_of_a_config_key_are_in_the_order_of_numbers(kit):
    study, manifest = kit
    colors = coloring(manifest, treatments_with_duplicates(study, manifest), "seed")
    assert colors is not None and list(colors.order) == SEEDS
    assert config_differences(manifest, "walk", {"ratio"})["seed"] == SEEDS
