"""Baselines: read from CSV, aggregated as curves are, drawn behind rewards, carried by studies and bundles."""

import zipfile
from dataclasses import replace

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session import access
from lib.curves import BASELINES, COLUMNS, BaselineError, View, baseline_curve, read_baseline, task_baselines
from lib.runs import Run, StoreError
from lib.sources import SourceError, bundled_study, fetch, write_bundle
from lib.study import (
    Baseline,
    DetachRule,
    Study,
    StudyError,
    Task,
    parse_study,
    to_toml,
    with_baselines,
    without_folders,
)
from tests.support.app_kit import charts, fine, go, server_state, visit  # noqa: F401
from tests.support.chart_frames import plotted, valid
from tests.support.frames import REWARD, SMALL, manifest, series, study, treatment

CSV = b"step,reward,seed\n0,1,1\n10,2,1\n20,3,1\n0,3,2\n10,4,2\n20,5,2\n200,9,1\n"
TASK = Task("task", 100, detach=DetachRule(step=50))


def _of_first_task(example: Study) -> pl.DataFrame:
    return task_baselines(example, example.tasks[0], (), View(), list[str]().append)


def test_a_baseline_is_aggregated_over_its_seeds():
    rows = baseline_curve(
        read_baseline(CSV, "b.csv"), TASK, Baseline("b.csv", color="#123456"), (), View(spread="minmax")
    )
    assert rows.schema == BASELINES
    assert rows.rows() == [
        ("task", "b", "#123456", 0.0, 2.0, 1.0, 3.0, 2),
        ("task", "b", "#123456", 10.0, 3.0, 2.0, 4.0, 2),
        ("task", "b", "#123456", 20.0, 4.0, 3.0, 5.0, 2),
    ]


def test_a_baseline_follows_the_axis_and_one_seed_has_no_band():
    rows = read_baseline(b"step,reward,seed\n40,1,1\n60,2,1\n", "b.csv")
    treatments = [treatment("a", at=50)]
    for x, steps in (("since", [-10.0, 10.0]), ("percent", [40.0, 60.0])):
        frame = baseline_curve(
            rows, TASK, Baseline("b.csv"), treatments, View(x=x, grid="exact" if x == "percent" else "aligned")
        )
        assert frame["step"].to_list() == steps
        assert frame["lower"].to_list() == [None, None]
    apart = [treatment("a", at=50), treatment("b", at=60)]
    assert baseline_curve(rows, TASK, Baseline("b.csv"), apart, View(x="since")).is_empty()


def test_a_baseline_beyond_the_task_is_refused():
    rows = read_baseline(b"step,reward,seed\n500,1,1\n", "b.csv")
    with pytest.raises(BaselineError, match=r"^The baseline b has no row within the 100 steps of task\.$"):
        baseline_curve(rows, TASK, Baseline("b.csv"), (), View())


def _warnings(tmp_path, baseline: Baseline, content: bytes) -> tuple[pl.DataFrame, list[str]]:
    (tmp_path / "b.csv").write_bytes(content)
    example = study(tasks=(replace(TASK, baselines=(baseline,)),), folder=str(tmp_path))
    warnings: list[str] = []
    return task_baselines(example, example.tasks[0], (), View(), warnings.append), warnings


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (200, "its last step, 200, is twice the total of task: set step_scale = 0.5 if it counts frames."),
        (195, "its last step, 195, is twice the total of task: set step_scale = 0.5 if it counts frames."),
        (300, "its last step, 300, is 3 times the total of task: set step_scale = 0.3333 if it counts frames."),
        (800, "its last step, 800, is 8 times the total of task: set step_scale = 0.125 if it counts frames."),
        *((last, None) for last in (50, 100, 110, 150, 190, 210, 250, 900)),
    ],
)
def test_a_last_step_that_is_a_multiple_of_the_total_is_said(tmp_path, last, message):
    content = f"step,reward,seed\n0,1,1\n50,2,1\n{last},3,1\n".encode()
    _, warnings = _warnings(tmp_path, Baseline("b.csv", "TD-MPC2"), content)
    assert warnings == ([f"TD-MPC2: {message}"] if message else [])
    assert _warnings(tmp_path, Baseline("b.csv", step_scale=0.999), content)[1] == []


def test_a_baseline_that_counts_frames_lies_on_the_steps_of_the_study(tmp_path):
    frames = b"step,reward,seed\n0,1,1\n100,2,1\n200,3,1\n"
    curve, warnings = _warnings(tmp_path, Baseline("b.csv", step_scale=0.5), frames)
    assert (curve["step"].to_list(), curve["mean"].to_list(), warnings) == ([0.0, 50.0, 100.0], [1.0, 2.0, 3.0], [])


def test_rows_left_out_are_said_for_the_baseline(tmp_path):
    curve, warnings = _warnings(tmp_path, Baseline("b.csv", "published"), b"step,reward,seed\n0,1,1\n\n,2,1\n50,3,1\n")
    assert curve["mean"].to_list() == [1.0, 3.0]
    assert warnings == ["published: 1 of 3 rows left out; line 4: step is empty."]


# ---- in studies and bundles ------------------------------------------------------------------------------------------

NAMED = f'{SMALL}\n[[tasks.baselines]]\npath = "b.csv"\n\n[[tasks.baselines]]\npath = "c.csv"\nlabel = "C"\ncolor = "#123456"\n'


def test_a_study_names_its_baselines_and_gives_them_back():
    example = parse_study(NAMED)
    assert example.tasks[0].baselines == (Baseline("b.csv"), Baseline("c.csv", "C", "#123456"))
    assert [b.name for b in example.tasks[0].baselines] == ["b", "C"]
    assert parse_study(to_toml(example)) == example
    assert parse_study(SMALL).tasks[0].baselines == ()
    assert "baselines" not in to_toml(parse_study(SMALL))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('label = "C"', 'label = "b"', "study: task 'acrobot-swingup': baseline 'b' is named twice"),
        ('label = "C"', 'lable = "C"', "study, task 1: unknown key baselines entry 2.lable, perhaps label is meant."),
        ('color = "#123456"', 'color = "red"', "study, task 1: baselines entry 2.color must be a colour"),
        ('path = "c.csv"\n', "", "study, task 1: baselines entry 2.path is missing."),
    ],
)
def test_a_baseline_that_is_written_wrongly(old, new, message):
    with pytest.raises(StudyError) as caught:
        parse_study(NAMED.replace(old, new))
    assert str(caught.value).startswith(message)


def test_paths_start_at_the_study_file(tmp_path):
    (tmp_path / "b.csv").write_bytes(CSV)
    (tmp_path / "c.csv").write_bytes(CSV)
    example = parse_study(NAMED, folder=str(tmp_path))
    rows = _of_first_task(example)
    assert rows.select("label", "color").unique(maintain_order=True).rows() == [("b", "#888888"), ("C", "#123456")]
    (tmp_path / "c.csv").unlink()
    with pytest.raises(BaselineError) as caught:
        _of_first_task(example)
    assert str(caught.value) == f"There is no baseline at {tmp_path / 'c.csv'}."


def test_an_added_baseline_takes_the_place_of_one_of_its_name():
    example = parse_study(NAMED)
    added = Baseline("/kept/1.csv", "b")
    more = with_baselines(example, [("acrobot-swingup", added), ("nothing", added)])
    assert more.tasks[0].baselines == (added, Baseline("c.csv", "C", "#123456"))
    assert without_folders(more).tasks[0].baselines[0] == Baseline("1.csv", "b")
    assert without_folders(example) == example


def _bundle(tmp_path, name="out.zip"):
    (tmp_path / "b.csv").write_bytes(CSV)
    example = study(DetachRule(step=50), total=100, folder=str(tmp_path))
    example = replace(example, tasks=(replace(example.tasks[0], baselines=(Baseline("b.csv"),)),))
    runs = manifest(
        tmp_path / "runs",
        [(Run("a", config={"task": "task"}), series("a", REWARD.key, [(k, k) for k in range(0, 101, 5)]))],
    )
    write_bundle(example, runs, tmp_path / name)
    return tmp_path / name


def test_a_bundle_carries_its_baselines(tmp_path):
    path = _bundle(tmp_path)
    (tmp_path / "b.csv").unlink()
    carried = bundled_study(path)
    baseline = carried.tasks[0].baselines[0]
    assert (baseline.name, _of_first_task(carried)["mean"].to_list()) == (
        "b",
        [2.0, 3.0, 4.0],
    )
    assert [run.id for run in fetch(carried).runs] == ["a"]
    again = tmp_path / "again.zip"
    write_bundle(carried, fetch(carried), again)
    assert again.read_bytes() == path.read_bytes()


def test_a_baseline_that_is_gone_cannot_be_bundled(tmp_path):
    own_task = replace(TASK, baselines=(Baseline("b.csv"),))
    with pytest.raises(StoreError, match=r"^The baseline b of task cannot be read: b\.csv\.$"):
        write_bundle(study(tasks=(own_task,), folder=str(tmp_path)), manifest(tmp_path / "runs"), tmp_path / "out.zip")


@pytest.mark.parametrize("outside", ["../b.csv", "/etc/hostname"])
def test_a_bundle_names_no_baseline_outside_itself(tmp_path, outside):
    path, bad = _bundle(tmp_path), tmp_path / "bad.zip"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bad, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            other.writestr(
                name, content.replace(b"baselines/task_1.csv", outside.encode()) if name == "study.toml" else content
            )
    with pytest.raises(SourceError) as caught:
        bundled_study(bad)
    assert str(caught.value) == f"bad.zip is not a safe bundle: it names a baseline outside its folder ({outside})."


# ---- drawn -----------------------------------------------------------------------------------------------------------


def test_a_baseline_is_drawn_behind_rewards_alone():
    example = study(DetachRule(step=50), total=100)
    rows = [("task", "detached", m.key, s, 1.0, None, 1, None, None) for m in example.metrics for s in (0.0, 20.0)]
    kinds = [pl.String, pl.String, pl.String, pl.Float64, pl.Float64, pl.Float64, pl.UInt32, pl.Float64, pl.Float64]
    curves = pl.DataFrame(rows, schema=dict(zip(COLUMNS, kinds, strict=True)), orient="row")
    own_rows = baseline_curve(read_baseline(CSV, "b.csv"), TASK, Baseline("b.csv", color="#888888"), (), View())
    names = {}
    for family in ("reward", "loss"):
        view = View(span=(0.0, 12.0))
        spec = valid(plotted(curves, family, study=example, task=example.tasks[0], view=view, baselines=own_rows))
        names[family] = [layer["name"].removeprefix(f"task_{family}_") for layer in spec["layer"]]
        if family == "reward":
            [band] = [layer for layer in spec["layer"] if layer["name"].endswith("baseline_band")]
            rows = spec["datasets"][band["data"]["name"]]
            assert [(row["label"], row["step"], row["mean"]) for row in rows] == [("b", 0, 2), ("b", 10, 3)]
    first = names["reward"].index("baseline_band")
    assert names["reward"][first : first + 4] == ["baseline_band", "baselines", "baseline_names", "band"]
    assert [name for name in names["loss"] if "baseline" in name] == []


# ---- on the page -----------------------------------------------------------------------------------------------------


def _rewards(at: AppTest):
    return charts(at)[1]


@pytest.mark.slow
def test_upload_a_baseline_for_this_session():
    at = visit("rewards")
    assert "baselines" not in _rewards(at).layers
    fine(at.selectbox(key="baseline_task").select("Cartpole Swingup").run())
    fine(at.file_uploader(key="baseline_upload").upload("mine.csv", b"step,reward\n", "text/csv").run())
    fine(at.button(key="baseline_add").click().run())
    assert [e.value for e in at.error] == [
        "mine.csv has no column seed: a baseline is a CSV file of the columns step, reward, seed."
    ]
    content = b"step,reward,seed\n0,1,1\n50000,500,1\n100000,700,1\n"
    fine(at.file_uploader(key="baseline_upload").upload("mine.csv", content, "text/csv").run())
    fine(at.button(key="baseline_add").click().run())
    assert [e.value for e in at.error] == []
    assert _rewards(at).rows("baselines")["mean"].to_list() == [1.0, 500.0, 700.0]
    fine(next(n for n in at.number_input if n.label.startswith("mine: ")).set_value(0.5).run())
    drawn = _rewards(at).rows("baselines")
    assert (drawn["step"].to_list(), drawn["mean"].to_list()) == ([0, 25_000, 50_000], [1.0, 500.0, 700.0])
    assert "baselines" not in charts(at)[0].layers
    go(at, "overview")
    assert [c.rows("baselines")["label"][0] for c in charts(at) if "baselines" in c.layers] == ["mine"]
    go(at, "rewards")
    fine(next(b for b in at.button if b.label == "Remove what was added").click().run())
    assert "baselines" not in _rewards(at).layers
    assert [n.label for n in at.number_input if n.label.startswith("mine: ")] == []


@pytest.mark.slow
def test_the_steps_of_a_study_s_baseline_can_be_counted_anew_for_this_session(tmp_path):
    at = visit("rewards", own=bundled_study(_bundle(tmp_path)))
    assert [w.value for w in at.warning if w.value.startswith("b")] == [
        "b: its last step, 200, is twice the total of task: set step_scale = 0.5 if it counts frames."
    ]
    fine(at.number_input(key="baseline_scale_task_b_1.0").set_value(0.5).run())
    assert [w.value for w in at.warning if w.value.startswith("b")] == []
    assert charts(at)[0].rows("baselines")["step"].to_list() == [0, 5, 10, 100]
    fine(next(b for b in at.button if b.label == "Remove what was added").click().run())
    assert at.number_input(key="baseline_scale_task_b_1.0").value == 1.0
    assert charts(at)[0].rows("baselines")["step"].to_list() == [0, 10, 20]


def test_an_opened_study_with_a_baseline_that_cannot_be_read(tmp_path):
    path = _bundle(tmp_path)
    bundled = bundled_study(path)
    broken = replace(bundled, tasks=(replace(bundled.tasks[0], baselines=(Baseline("/gone/b.csv", "b"),)),))
    at = visit("rewards", own=broken)
    assert at.warning[-1].value == "There is no baseline at /gone/b.csv."
    assert [c.legend for c in charts(at)] == [["train/episode_reward (MA 1)"]]


def test_a_hosted_deployment_refuses_a_study_that_names_a_baseline_of_its_own(monkeypatch, tmp_path):
    from lib.app.session import studies

    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)
    monkeypatch.setattr(access.st, "session_state", {})
    cloud = NAMED.replace('kind = "offline"\npath = "wandb"', 'kind = "wandb"\nentity = "e"\nproject = "p"')
    with pytest.raises(StudyError, match=r"^This deployment opens no local paths"):
        studies.open_text(cloud)
    assert studies.open_text(cloud.split("[[tasks.baselines]]")[0]) == "small"
    name = studies.open_upload("b.zip", _bundle(tmp_path).read_bytes())
    assert access.may_name_paths(studies.study_named(name))
    carried = studies.study_named(name)
    elsewhere = replace(carried.tasks[0], baselines=(Baseline("/etc/hostname"),))
    assert not access.may_name_paths(replace(carried, tasks=(elsewhere,)))


def test_an_exported_page_shows_what_was_drawn(tmp_path):
    from lib.report import report_page, study_results

    carried = bundled_study(_bundle(tmp_path))
    text = report_page(study_results(carried, fetch(carried), View()))
    assert (
        "<li>b: its last step, 200, is twice the total of task: set step_scale = 0.5 if it counts frames.</li>" in text
    )
    assert "task_1.csv" in text
    assert carried.tasks[0].baselines[0].path not in text
    assert text.count(">b</text>") == 1
