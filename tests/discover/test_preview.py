"""The arms of a proposed study are those that a report of it has, on real and written runs."""

from pathlib import Path

import pytest

from lib.discover import Choices, Inspection, arms, inspect_bundle, inspect_folder, preview, propose
from lib.runs import treatments_of
from lib.sources import Request, fetch, write_bundle
from lib.study import Study, parse_study, to_toml
from tests.support.wandb_files import exit_message, row_message, run_message, write_run

CASES = Path(__file__).resolve().parents[1] / "data" / "discover"


def reported(study: Study) -> list[tuple]:
    """Run, arm and detach step as a report of the study has them, by run."""
    return sorted(
        (t.run_id, t.arm, t.detach_step, t.detach_source) for t in treatments_of(study, fetch(study, Request()))
    )


def previewed(study: Study, inspection: Inspection) -> list[tuple]:
    return sorted(preview(study, inspection).select("run", "arm", "detach step", "detach from").rows())


def proposed(folder: Path) -> tuple[Study, Inspection]:
    """What is proposed for a folder, whose arms are seen to be the report's."""
    inspection = inspect_folder(folder)
    proposal = propose(inspection)
    assert proposal.questions == ()
    study = proposal.study
    assert parse_study(to_toml(study)) == study
    assert previewed(study, inspection) == reported(study)
    return study, inspection


def write(folder: Path, name: str, config: dict, rows: list[dict], **more: str) -> None:
    messages = [run_message(name, config=config, **more), *(row_message(row) for row in rows), exit_message()]
    write_run(folder, messages, run_id=name)


def rows(fall: int | None = None, scale: int = 1) -> list[dict]:
    """Rows to step 1,000, each `scale` environment steps per call; the learning rate falls to 0 at `fall`."""
    return [
        {
            "_step": step // scale,
            "global_step": step,
            "eval/return": step / 10,
            "wm/consistency": 1 / step,
            "optim/encoder_lr": 0.0 if fall is not None and step >= fall else 1e-3,
        }
        for step in range(20, 1001, 20)
    ]  # fmt: skip


def without(rows: list[dict], *keys: str) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


# ---- runs of the real client ---------------------------------------------------------------------------------------


def test_text_numbers():
    study, inspection = proposed(CASES / "text-numbers")
    assert study.tasks[0].detach.ratio_key == "detach_encoder_ratio"
    assert study.tasks[0].detach.total_steps_key == "steps"
    assert arms(preview(study, inspection)).select("arm", "runs", "detach step").rows() == [
        ("detached", 2, "500"),
        ("control", 2, ""),
    ]


def test_a_learning_rate_cut_to_a_tenth_is_no_control():
    study, inspection = proposed(CASES / "learning-rates")
    assert arms(preview(study, inspection)).select("arm", "runs", "detach step").rows() == [
        ("detached", 2, "500"),
        ("detached enc_lr_step_scale 0.1", 2, "500"),
    ]


def test_a_freeze_step():
    study, inspection = proposed(CASES / "freeze-step")
    assert study.tasks[0].detach.detach_step_key == "freeze_encoder_step"
    assert arms(preview(study, inspection)).select("arm", "runs", "detach step").rows() == [
        ("detached", 2, "500"),
        ("control", 2, ""),
    ]


# ---- written runs ----------------------------------------------------------------------------------------------------


def test_a_nested_freeze_step_that_some_runs_lack(tmp_path):
    for name, encoder in (("a", {"freeze_at": 600}), ("b", {"freeze_at": None}), ("c", {})):
        config = {"env": {"name": "walk", "seed": 1}, "agent": {"encoder": encoder}, "train": {"total_steps": "1e3"}}
        write(tmp_path, name, config, without(rows(), "optim/encoder_lr"))
    study, inspection = proposed(tmp_path)
    assert study.tasks[0].detach.detach_step_key == "agent.encoder.freeze_at"
    assert preview(study, inspection).select("run", "arm", "detach step").rows() == [
        ("a", "detached", 600),
        ("b", "control", None),
        ("c", "control", None),
    ]


def test_a_flag_beside_a_typed_step(tmp_path):
    for name, flag in (("a", True), ("b", False)):
        config = {"task": "walk", "seed": 1, "total_steps": 1000, "agent": {"freeze_encoder": flag}}
        write(tmp_path, name, config, without(rows(), "optim/encoder_lr"))
    inspection = inspect_folder(tmp_path)
    study = propose(inspection, Choices(unchanged="False", detach_steps={"walk": 500})).study
    assert (
        previewed(study, inspection)
        == reported(study)
        == [("a", "detached", 500, "typed"), ("b", "control", None, "config")]
    )
    assert parse_study(to_toml(study)) == study
    # Without a step the flag has nothing to say, and the study is one all the same.
    study = propose(inspection, Choices(unchanged="False")).study
    assert parse_study(to_toml(study)) == study
    assert reported(study) == [("a", "unknown", None, ""), ("b", "unknown", None, "")]


@pytest.mark.parametrize("scale", [1, 20])
def test_the_signal_alone(tmp_path, scale):
    for name, fall in (("a", 520), ("b", 520), ("c", None)):
        config = {"task": "walk", "seed": 1, "total_steps": 1000}
        write(tmp_path, name, config, rows(fall, scale))
    study, inspection = proposed(tmp_path)
    assert study.step_key == (("_step",) if scale == 1 else ("global_step",))
    assert preview(study, inspection).select("run", "arm", "detach step", "detach from", "last step").rows() == [
        ("a", "detached", 500, "signal", 1000),
        ("b", "detached", 500, "signal", 1000),
        ("c", "control", None, "signal", 1000),
    ]


def test_the_signal_alone_in_a_bundle(tmp_path):
    for name, fall in (("a", 520), ("b", None)):
        write(tmp_path / "runs", name, {"task": "walk", "seed": 1, "total_steps": 1000}, rows(fall))
    study, _ = proposed(tmp_path / "runs")
    write_bundle(study, fetch(study, Request()), tmp_path / "b.zip")
    inspection = inspect_bundle(tmp_path / "b.zip")
    again = propose(inspection).study
    assert (
        previewed(again, inspection)
        == reported(again)
        == [("a", "detached", 500, "signal"), ("b", "control", None, "signal")]
    )


def test_files_of_one_run_and_runs_of_two_projects(tmp_path):
    config = {"task": "walk", "seed": 1, "total_steps": 1000, "freeze_step": 500}
    all_rows = without(rows(), "optim/encoder_lr", "global_step")
    for project, stamp, part in (("p", "1", all_rows[:30]), ("p", "2", all_rows[25:]), ("q", "3", all_rows)):
        messages = [run_message("r", config=config, project=project), *map(row_message, part), exit_message()]
        write_run(tmp_path / project, messages, run_id="r", stamp=f"20260101_00000{stamp}")
    _, inspection = proposed(tmp_path)
    assert sorted(run.id for run in inspection.runs) == ["p/r", "q/r"]
    assert {run.last_step for run in inspection.runs} == {1000}
