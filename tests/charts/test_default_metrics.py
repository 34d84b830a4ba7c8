"""The metrics that charts draw where nobody chose any."""

from lib.charts import default_metrics, default_metrics_text
from lib.charts.metric_colors import metric_colors
from lib.study import Metric, Source, Study, Task, load_study


def study(*metrics: Metric) -> Study:
    return Study("kit", "Kit", Source("bundle", path="."), metrics, (Task("walk", 100),))


def loss(key: str, role: str = "primary") -> Metric:
    return Metric(key, "loss", "decrease", scale="log", role=role)


def drawn(of: Study, *unlogged: str) -> list[str]:
    return [metric.key for metric in default_metrics(of, {m.key for m in of.metrics} - {*unlogged})]


SPLITS = [loss(f"{split}/value") for split in ("train", "val", "recent", "test", "old", "new")]
REWARD = Metric("eval/reward", "reward", "increase")


def test_up_to_five_metrics_of_a_family_are_all_drawn():
    for name in ("demo", "detach_encoder"):
        of = load_study(name)
        assert default_metrics(of, {metric.key for metric in of.metrics}) == of.metrics
    five = study(*(loss(f"a/{name}") for name in "bcde"), loss("a/f", "secondary"), REWARD)
    assert drawn(five) == ["a/b", "a/c", "a/d", "a/e", "a/f", "eval/reward"]


def test_of_more_those_that_measure_what_the_first_primary_one_does_are_drawn():
    others = [loss(f"train/{name}", "secondary") for name in ("policy", "entropy", "total")]
    assert drawn(study(*others, *SPLITS[:2], loss("train/model"), REWARD)) == [
        "train/value",
        "val/value",
        "eval/reward",
    ]
    assert drawn(study(*SPLITS)) == ["train/value", "val/value", "recent/value"]
    # Where no other measures the same, the first three are.
    assert drawn(study(loss("a"), loss("b", "guardrail"), *(loss(key) for key in "cdef"))) == ["a", "c", "d"]


def test_a_metric_that_no_run_has_takes_no_place():
    assert drawn(study(*SPLITS), "train/value") == [split.key for split in SPLITS]
    seven = study(*SPLITS, loss("extra/value"))
    assert drawn(seven, "train/value") == ["val/value", "recent/value", "test/value"]


def test_the_page_says_which_metrics_charts_draw():
    of = study(*SPLITS, REWARD)
    metrics = default_metrics(of, {metric.key for metric in of.metrics})
    text = "Charts draw 3 of 6 loss metrics: train/value, val/value and recent/value. Choose others under Metrics."
    assert default_metrics_text(of, metrics, "reward", "loss") == text
    assert default_metrics_text(of, metrics, "reward") == ""


def test_what_is_drawn_has_five_colours():
    """Those after the fifth have the first ones' again."""
    of = study(loss("other"), *SPLITS, REWARD, Metric("train/reward", "reward", "increase"))
    colors = metric_colors(of)
    assert list(colors) == [metric.key for metric in of.metrics]
    assert len({colors[key] for key in drawn(of)}) == len(drawn(of)) == 5
