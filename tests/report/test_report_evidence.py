"""The report's evidence: what the Detach effect page draws, as SVG, and a table that can be read."""

import re

import polars as pl
import pytest

from lib.curves import View
from lib.effects.effects_table import EFFECTS
from lib.report import evidence, report_page, study_results
from lib.report.render import Picture
from lib.report.tables import effects_table
from lib.sources import fetch
from lib.study import load_study
from tests.support.effects_kit import REWARD, study, task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def text(demo_report) -> str:
    """The page of the demo's report."""
    return (demo_report / "report.html").read_text(encoding="utf-8")


def test_the_report_of_the_demo_holds_its_evidence(text):
    assert len(text.encode()) < 3_000_000
    assert re.findall(r'(?:src|href)="', text) == []
    assert "20 claims: 8 supported, 11 not shown, 1 cannot say. Largest supported change: Cartpole Swingup" in text
    assert "in 7 of 12 detached runs." in text
    assert text.count(": can this be claimed?</h3>") == 3
    assert text.count("<strong>Control arm:</strong>") == 3
    claims = text.partition("What can be claimed</h2>")[2].partition("<h2>")[0]
    titles = ["Across tasks", "Acrobot Swingup", "Cartpole Swingup", "Cartpole Swingup, random detach"]
    assert re.findall("<h3>(.*)</h3>", claims) == titles
    assert [claims.count(f">{verdict}</strong>") for verdict in ("supported", "not shown", "cannot say")] == [8, 11, 1]
    assert text.count(">Seed by seed</text>") == 15
    assert text.count(">Fork pairs over steps</text>") == 10
    # evaluations are too sparse for a jump
    assert text.count(">Pretended detach steps</text>") == 12


def test_every_id_of_the_page_is_one_drawings_own(text):
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 50
    for drawing in re.findall("<svg.*?</svg>", text, re.DOTALL):
        assert set(re.findall(r"url\(#([^)]+)\)", drawing)) <= set(re.findall(r'\sid="([^"]+)"', drawing))


def test_seeds_are_faint_behind_the_mean_where_nobody_points(text):
    drawings = re.findall("<svg.*?</svg>", text, re.DOTALL)
    seeds = next(drawing for drawing in drawings if ">Seed by seed</text>" in drawing)
    assert seeds.count('opacity="0.4"') == 36  # 12 lines and their ends


@pytest.mark.slow
def test_a_report_of_many_metrics_stays_small(monkeypatch):
    study = load_study("demo")
    demo = study_results(study, fetch(study), View())
    monkeypatch.setattr(evidence, "ENOUGH", 100_000)
    blank = Picture(f"<svg>{30_000 * ' '}</svg>", 1.0)
    monkeypatch.setattr(evidence, "pictures", lambda charts, workers: (blank for _ in charts))
    assert len(list(evidence.overview(demo))) == 2
    tasks = list(evidence.evidence(demo))
    names = [metric.name for metric in demo.study.metrics]
    for one in tasks:
        assert [*one.drawings, *one.left_out] == names
    assert tasks[1].left_out == tuple(names)
    assert "Not drawn here, to keep this page small: Eval Episode Reward, " in report_page(demo)


def test_the_table_of_effects_is_in_words():
    row = {"task": "walk", "metric": "reward", "arm": "detached", "verdict": "not shown"}
    numbers = {"n_arm": 3, "n_control": 3, "change": 1.0, "ci_low": -1.2345, "ci_high": 3.2345}
    across = {"task": "*", "design": "did", "change": 0.12, "ci_low": -0.08, "ci_high": 0.32}
    rows = [row | numbers | {"design": "fork"}, row | numbers | across, row | {"n_arm": 1}]
    frame = pl.DataFrame([dict.fromkeys(EFFECTS) | r for r in rows], schema=EFFECTS, orient="row")
    effects = effects_table(frame, study(task(), metrics=[REWARD]))
    assert effects.select("task", "metric", "runs", "change", "95% CI").rows() == [
        ("walk", "reward", "3 fork pairs", "+1.0", "-1.2 to +3.2"),
        ("across tasks", "reward", "3 against 3", "+12% of the range", "-8% to +32%"),
        ("walk", "reward", "1", None, None),
    ]
    assert "arm" not in effects.columns
