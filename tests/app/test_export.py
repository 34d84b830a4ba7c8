"""What the Export popover offers: every figure in every format, and for each the numbers that it draws."""

import io
import json
from dataclasses import replace

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session import downloads
from lib.app.session.current import Current
from lib.charts.style import PALETTE
from lib.curves import COLUMNS, View, study_curves, study_raw
from lib.report import FORMATS, GRID_STEM, PRESETS, curve_names, figure_data, figure_of_stem, table
from lib.runs import Run
from lib.sources import fetch
from lib.study import DetachRule, load_study
from tests.support.app_kit import fine, open_popover, server_state, unopened, visit  # noqa: F401 - a fixture
from tests.support.frames import REWARD, series, study
from tests.support.frames import manifest as made
from tests.support.pdf import read_with

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]


def plotted(study, manifest, view, stem):
    """The numbers of a figure of curves."""
    return figure_of_stem(figure_data(study, manifest, view), stem).numbers()


PLAIN = {"font": "Liberation Sans", "size": 9.0, "scale": 1.0, "footer": True}


@pytest.fixture(scope="module")
def demo() -> Current:
    """The demo as a page has it."""
    study = load_study("demo")
    return Current(study, fetch(study), "demo", is_public=True, view=View(seeds=True))


def figure(demo: Current, name: str) -> downloads.FigureDownload:
    """An exported figure by its name; those of a metric are of the first task's third metric."""
    stems = curve_names(demo.study)
    if name in stems:
        return downloads.of_curves(demo, stems[name])
    if name in (downloads.CLAIMS, downloads.QUADRANT):
        return downloads.of_study(demo, name)
    return downloads.of_metric(demo, demo.study.tasks[0], demo.study.metrics[2])[name]


NAMES = {
    "Grid of all tasks": "combined_ablation",
    "Acrobot Swingup: loss": "acrobot_swingup_loss",
    "Acrobot Swingup: reward and loss": "acrobot_swingup_reward_and_loss",
    "All claims": "claims",
    "Reward against loss": "reward_against_loss",
    "Seed by seed": "acrobot_swingup_train_consistency_loss_seeds",
    "Fork pairs over steps": "acrobot_swingup_train_consistency_loss_pairs",
    "The jump at the detach": "acrobot_swingup_train_consistency_loss_jump",
    "Pretended detach steps": "acrobot_swingup_train_consistency_loss_pretended",
    "Event time": "event_time_train_consistency_loss",
}


def test_every_figure_has_a_name_and_a_file(demo):
    assert list(downloads.of_metric(demo, demo.study.tasks[0], demo.study.metrics[2])) == list(NAMES)[5:]
    assert {name: figure(demo, name).stem for name in NAMES} == NAMES


STARTS = {"html": b"<!DOCTYPE html>", "svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG", "json": b"{"}


#: Of the three figures of curves the grid is in the browser tests, and one of a family is drawn like that of two.
DRAWN = [name for name, stem in NAMES.items() if stem not in (GRID_STEM, "acrobot_swingup_loss")]


@pytest.mark.server
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_comes_in_every_format(demo, name, tmp_path):
    one = figure(demo.with_view(View()), name)  # without the lines of every seed, which are slow to draw
    for kind in FORMATS:
        content = one.file(kind=kind, look="paper, two columns", **PLAIN)
        assert content.startswith(STARTS[kind])
        if kind == "svg":
            assert b"@font-face" not in content and b"http" not in content.replace(b"http://www.w3.org", b"")
        if kind == "pdf":
            (tmp_path / "f.pdf").write_bytes(content)
    fonts = [line.split() for line in read_with("pdffonts", tmp_path / "f.pdf").splitlines()[2:]]
    assert fonts and all("LiberationSans" in font[0] and font[-5] == "yes" for font in fonts)
    size = read_with("pdfinfo", tmp_path / "f.pdf").split("Page size:")[1].split()
    assert float(size[0]) == pytest.approx(6.75 * 72, abs=4)
    text = " ".join(read_with("pdftotext", tmp_path / "f.pdf", "-").split())
    assert "Detach Encoder Demo. 32 runs, fetched 2026-11-22" in text


def test_rows_of_claims_keep_their_height_in_every_preset(demo):
    heights = {}
    for look in PRESETS:
        drawn = figure(demo, "All claims").file(kind="svg", look=look, **PLAIN).decode()
        heights[look] = float(drawn.split('viewBox="0 0 ')[1].split('"')[0].split()[1])
    assert max(heights.values()) < 1.5 * min(heights.values())


@pytest.mark.parametrize("families", [["loss"], ["reward", "loss"]])
def test_the_numbers_of_a_chart_are_those_of_its_families_and_task(demo, families):
    numbers = figure(demo, f"Acrobot Swingup: {' and '.join(families)}").numbers()
    assert numbers.columns == [*COLUMNS, "drawn", "run_id", "label"]
    assert numbers["task"].unique().to_list() == ["acrobot-swingup"]
    keys = {metric.key for family in families for metric in demo.study.family(family)}
    assert set(numbers["metric"]) == keys
    curves = study_curves(demo.study, demo.manifest, demo.view)
    own_rows = curves.filter(pl.col("task") == "acrobot-swingup", pl.col("metric").is_in(list(keys)))
    assert numbers.filter(pl.col("drawn") == "curve").select(COLUMNS).equals(own_rows)
    seeds = numbers.filter(pl.col("drawn") == "seed")
    assert seeds["run_id"].n_unique() == 12
    assert seeds["n"].unique().to_list() == [1]
    for kind, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet)):
        assert read(io.BytesIO(table(numbers, kind))).select("step", "mean").equals(numbers.select("step", "mean"))


def test_points_before_smoothing_are_among_the_numbers(demo):
    view = View(raw=True)
    points = plotted(demo.study, demo.manifest, view, "acrobot_swingup_reward").filter(pl.col("drawn") == "raw")
    shown = study_raw(demo.study, demo.manifest, view).filter(pl.col("task") == "acrobot-swingup")
    assert points.height > 0
    assert points.select("run_id", "step", "mean").rows() == shown.select("run_id", "step", "value").rows()
    assert set(points["metric"]) == {"train/episode_reward"}
    assert set(plotted(demo.study, demo.manifest, view, "acrobot_swingup_loss")["drawn"]) == {"curve"}


def test_the_numbers_have_the_range_and_the_arms_of_the_screen(demo):
    view = View(span=(20_000, 40_000), arms=("control",))
    numbers = plotted(demo.study, demo.manifest, view, "acrobot_swingup_reward")
    assert set(numbers["arm"]) == {"control"}
    assert set(numbers["drawn"]) == {"curve"}
    assert numbers["step"].is_between(20_000, 40_000).all()
    assert numbers["step"].max() > 39_000


def test_a_task_that_does_not_reach_the_range_is_whole_in_figure_and_numbers(tmp_path):
    points = [(step, float(step)) for step in range(0, 101, 5)]
    example = study(DetachRule(step=50), total=100)
    runs = made(tmp_path, [(Run("a", config={"task": "task"}), series("a", REWARD.key, points))])
    whole = plotted(example, runs, View(), "task_reward")
    assert whole.height == len(points)
    assert plotted(example, runs, View(span=(600.0, 900.0)), "task_reward").equals(whole)
    assert plotted(example, runs, View(span=(20.0, 40.0)), "task_reward")["step"].to_list() == [20, 25, 30, 35, 40]


def test_the_grids_numbers_are_every_cells(demo):
    view = replace(demo.view, seeds=False)
    numbers = plotted(demo.study, demo.manifest, view, GRID_STEM)
    assert numbers.select(COLUMNS).equals(study_curves(demo.study, demo.manifest, view))


def test_baselines_are_among_the_numbers_of_rewards_alone(demo, tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("step,reward,seed\n0,1,1\n100000,3,1\n")
    from lib.study import Baseline

    tasks = (replace(demo.study.tasks[0], baselines=(Baseline(str(path), "Other", PALETTE[0]),)), *demo.study.tasks[1:])
    study = replace(demo.study, tasks=tasks)
    rewards = plotted(study, demo.manifest, View(), "acrobot_swingup_reward").filter(pl.col("drawn") == "baseline")
    assert rewards.select("label", "step", "mean").rows() == [("Other", 0.0, 1.0), ("Other", 100_000.0, 3.0)]
    losses = plotted(study, demo.manifest, View(), "acrobot_swingup_loss")
    assert set(losses["drawn"]) == {"curve"}


def test_the_numbers_of_evidence_are_those_of_its_metric(demo):
    for name in list(NAMES)[5:]:
        assert figure(demo, name).numbers()["metric"].unique().to_list() == ["train/consistency_loss"]
    assert figure(demo, "Seed by seed").numbers().height == 12
    assert figure(demo, "All claims").numbers().height == 20


def test_footer_and_sidecar_tell_of_the_view_that_the_figure_was_drawn_with(demo):
    shown = replace(demo, view=View(x="wall", span=(0.0, 1.0), raw=True, color_by="seed", aggregate="median"))
    event = json.loads(figure(shown, "Event time").sidecar())
    texts = {name: event["settings"][name] for name in ("x", "grid", "span", "raw", "color_by", "aggregate")}
    assert texts == {
        "x": "since_percent", "grid": "aligned", "span": None, "raw": False, "color_by": "", "aggregate": "median",
    }  # fmt: skip
    assert "hours" not in event["text"]
    look = PLAIN | {"kind": "svg", "look": "notebook"}
    assert "hours since each" not in figure(shown, "Event time").file(**look).decode()
    assert "hours since each" in json.loads(figure(shown, "Acrobot Swingup: loss").sidecar())["text"]
    claims = json.loads(figure(shown, "All claims").sidecar())
    assert set(claims["settings"]) == {"left_out", "tasks", "metrics", "evidence"}
    assert "Claims from raw rows, in the windows that the study declares. altair" in claims["text"]
    assert "Claims from raw rows" in figure(shown, "Seed by seed").file(**look).decode()


@pytest.fixture
def is_open(monkeypatch) -> None:
    """The Export popover is open on every page."""
    open_popover(monkeypatch, "export")


@pytest.fixture
def opened(is_open) -> AppTest:
    """The overview with its Export popover open."""
    return visit("overview")


def buttons(at: AppTest) -> list[str]:
    return [button.label for button in at.button if (button.key or "").startswith("export_")]


def test_the_popover_offers_figure_sidecar_numbers_tables_and_report(opened):
    assert buttons(opened) == [
        "Figure (.html)", "Sidecar (.json)", "Numbers (.csv)", "Numbers (.parquet)", "curves.csv", "Report (.html)",
    ]  # fmt: skip


def test_evidence_is_chosen_by_task_metric_and_drawing(opened):
    at = opened
    fine(at.selectbox(key="export_figure").select("Evidence of one metric").run())
    assert at.selectbox(key="export_drawing").options == ["Seed by seed", "Fork pairs over steps", "Event time"]
    fine(at.selectbox(key="export_metric").select("Train Consistency Loss").run())
    assert at.selectbox(key="export_drawing").options == list(NAMES)[5:]
    # Evaluations of the third task are too sparse for a fit at its drawn detach steps, and it has no fork pairs.
    fine(at.selectbox(key="export_task").select("Cartpole Swingup, random detach").run())
    fine(at.selectbox(key="export_metric").select("Eval Episode Reward").run())
    assert at.selectbox(key="export_drawing").options == ["Seed by seed", "Event time"]
    assert "Figure (.html)" in buttons(at)


def test_a_study_without_a_detach_says_so_instead_of_offering_an_empty_figure(is_open):
    demo = load_study("demo")
    never = replace(demo, name="never", tasks=tuple(replace(task, detach=DetachRule()) for task in demo.tasks))
    at = unopened("overview", own=never)
    fine(at.run())
    for name in ("All claims", "Reward against loss"):
        fine(at.selectbox(key="export_figure").select(name).run())
        assert "Nothing to draw" in at.info[0].value
        assert buttons(at) == ["curves.csv", "Report (.html)"]
