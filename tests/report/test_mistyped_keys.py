"""Keys that no run has: said on the command line, in the report, on every page and in runs.csv; nobody is a control."""

import html
import re
from dataclasses import replace

import polars as pl
import pytest

from lib.__main__ import main
from lib.study import DetachRule
from lib.study.model import Arms
from tests.support.app_kit import server_state, visit  # noqa: F401
from tests.support.bundle_kit import StudyParts, bundle, run
from tests.support.wandb_files import exit_message, row_message, run_message, write_run

pytestmark = pytest.mark.slow

STUDY = """
[study]
name = "typo"
title = "Typo"
seed_key = "run.sed"

[source]
kind = "offline"
path = "runs"

[[metrics]]
key = "eval/episode_reward"
family = "reward"
expect = "increase"

[[tasks]]
name = "walk"
total_steps = 100
detach = { ratio_key = "algo.ration" }
"""
SEED = "No run has 'run.sed' in its config: check seed_key; the id of a run stands for its seed."
RATIO = "No run has 'algo.ration' in its config: check ratio_key; no run is called control for want of it."
UNKNOWN = "Nothing says whether 4 runs of walk were detached: a, b, c and d."


@pytest.fixture
def study_file(tmp_path):
    """A study of runs whose nested config holds ratios as text, with a slip in two keys."""
    for level, (name, ratio) in enumerate((("a", "0.5"), ("b", "0.50"), ("c", "0"), ("d", None))):
        config = {"task": "walk", "run": {"seed": "1"}, "algo": {"ratio": ratio}}
        rows = [row_message({"_step": step, "eval/episode_reward": level + step / 10}) for step in range(0, 101, 5)]
        write_run(tmp_path / "runs", [run_message(name, config), *rows, exit_message()], name)
    file = tmp_path / "typo.toml"
    file.write_text(STUDY)
    return file


def report(file, capsys):
    """What `report` says on stderr in warnings, and the folder it writes."""
    out = file.parent / "out"
    assert main(["report", str(file), "--out", str(out)]) == 0
    lines = capsys.readouterr().err.splitlines()
    return [line.removeprefix("Warning: ") for line in lines if line.startswith("Warning: ")], out


def test_a_slip_in_a_key_is_said_everywhere_and_compares_nothing(study_file, capsys):
    warnings, out = report(study_file, capsys)
    assert warnings == [SEED, RATIO, UNKNOWN]
    runs = pl.read_csv(out / "runs.csv")
    assert runs.select("arm", "run_id", "seed", "detach_step", "detach_source").rows() == [
        ("unknown", name, name, None, "") for name in "abcd"
    ]
    for text in ("no run has algo.ration in its config: check ratio_key", "run.sed is not in its config"):
        assert runs["warnings"].str.contains(text, literal=True).all()
    assert pl.read_csv(out / "effects.csv").is_empty()
    assert pl.read_csv(out / "curves.csv")["arm"].unique().to_list() == ["unknown"]
    assert RATIO in html.unescape((out / "report.html").read_text())


def test_the_keys_as_they_are_give_the_arms(study_file, capsys):
    text = STUDY.replace("ration", "ratio").replace("run.sed", "run.seed")
    study_file.write_text(text)
    warnings, out = report(study_file, capsys)
    assert warnings == []
    runs = pl.read_csv(out / "runs.csv")
    assert runs.select("arm", "run_id", "seed", "detach_step", "detach_source").rows() == [
        ("detached", "a", 1, 50, "config"),
        ("detached", "b", 1, 50, "config"),
        ("control", "c", 1, None, "config"),
        ("control", "d", 1, None, "config"),
    ]


def test_fetch_says_it_too(study_file, capsys):
    assert main(["fetch", str(study_file)]) == 0
    assert f"Warning: {RATIO}\n" in capsys.readouterr().err


def test_a_slip_in_the_key_of_the_task_is_one_line(study_file, capsys):
    study_file.write_text(STUDY.replace("[source]", 'task_key = "env.id"\n\n[source]'))
    assert main(["fetch", str(study_file)]) == 2
    assert capsys.readouterr().err.endswith("No run has 'env.id' in its config: check task_key.\n")


@pytest.mark.parametrize("page", ["overview", "rewards", "detach_effect", "runs"])
def test_every_page_says_it(tmp_path, page):
    runs = [run(seed, ratio, 5.0) for seed in (1, 2, 3) for ratio in (0.5, 0.0)]
    study = StudyParts().study()
    task = study.tasks[0]
    slip = replace(task, detach=DetachRule(ratio_key="ration"))
    own = bundle(tmp_path, replace(study, tasks=(slip,), arms=Arms("varient")), runs)
    at = visit(page, own)
    assert [re.sub(r"\\(.)", r"\1", warning.value) for warning in at.warning] == [
        "No run has 'ration' in its config: check ratio_key; no run is called control for want of it.",
        "No run has 'varient' in its config: check [arms] key; arms are named by their detach steps.",
    ]
