"""claims.json: what a program reads."""

import json

import pytest

from lib.__main__ import main
from lib.curves import View
from lib.report import study_results
from lib.report.claims_json import claims_json
from lib.sources import fetch
from lib.study import load_study


@pytest.fixture(scope="module")
def results():
    study = load_study("demo")
    return study_results(study, fetch(study), View())


@pytest.mark.slow
def test_every_row_of_effects_is_there_with_its_claim(results):
    document = json.loads(claims_json(results))
    assert document["study"]["name"] == "demo"
    assert (document["runs"], document["problems"]) == (32, [])
    effects = results.effects.to_dicts()
    assert document["effects"] == effects
    assert [row["task"] for row in document["claims"]] == [row["task"] for row in effects]
    first = document["claims"][0]
    assert (first["metric"], first["arm"], first["verdict"]) == ("eval/episode_reward", "detached", "not shown")
    assert first["claim"].startswith("On Acrobot Swingup, detaching the encoder at 50,000 steps was not shown to raise")
    assert [family["family"] for family in document["answer"]] == ["reward", "loss"]
    assert [row["what"] for row in document["encoder"]] == ["gap", "gap", "speed"] * 3
    assert document["headline"] is None
    assert document["encoder"][0]["text"].startswith(
        "1.06 before the detach, 1.06 after it (1.02 without it): change +5%"
    )


@pytest.mark.slow
def test_report_prints_the_document_that_it_writes(tmp_path, capsys):
    assert main(["report", "demo", "--out", str(tmp_path), "--formats", "csv", "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads((tmp_path / "claims.json").read_text())
    assert len(json.loads(printed)["effects"]) == 20
