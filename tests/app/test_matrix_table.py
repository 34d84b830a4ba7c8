"""The matrix of studies of other shapes: one task, eight tasks, three arms, 25 metrics."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lib.app.widgets.matrix import heights, matrix_data
from lib.effects import MatrixRow
from lib.effects.matrix import Level, Position
from lib.study import Metric, Source, Study, Task
from lib.study.model import Arms
from tests.support.app_kit import answer_lines, matrices, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import StudyParts, bundle, run


def study(tasks: int, metrics: int) -> Study:
    return Study(
        "kit",
        "Kit",
        Source("bundle", path="."),
        tuple(Metric(f"m{i}", "loss", "decrease", scale="log") for i in range(metrics)),
        tuple(Task(f"t{i}", 100) for i in range(tasks)),
    )


def rows(of: Study, arms: Sequence[str] = ("detached",), across: bool = True) -> list[MatrixRow]:
    """A row for every task, metric and arm."""
    tasks = [*(["*"] if across else []), *(task.key for task in of.tasks)]
    return [
        MatrixRow(
            task,
            metric.key,
            arm,
            "supported",
            "-20%",
            "[-30, -10]",
            Position(-1.0, -0.7, -0.3),
            "±30%",
            () if task == "*" else (Level(arm, "2", "1"), Level("control", "2", "1.3")),
            "6 pairs",
            "paired t",
            "",
        )
        for task in tasks
        for metric in of.metrics
        for arm in arms
    ]


def shape(data: dict) -> tuple[list[str], list[str], int]:
    """Labels of lines and heads, and the cells of a line."""
    return [x["label"] for x in data["lines"]], [x["label"] for x in data["heads"]], len(data["lines"][0]["rows"][0])


def levels(data: dict) -> set[int]:
    return {len(cell["levels"]) for line in data["lines"] for row in line["rows"] for cell in row if cell}


def test_one_task_is_a_row_with_its_levels():
    of = study(1, 5)
    data = matrix_data(rows(of, across=False), of)
    assert shape(data) == (["t0"], ["m0", "m1", "m2", "m3", "m4"], 5)
    assert data["lines"][0]["levels"] == ["detached", "control"]
    assert levels(data) == {2}


def test_eight_tasks_have_their_levels_inside_the_cells():
    of = study(8, 5)
    data = matrix_data(rows(of), of)
    assert shape(data) == (["Across tasks", *(f"t{i}" for i in range(8))], [f"m{i}" for i in range(5)], 5)
    assert levels(data) == {0}
    assert data["lines"][1]["rows"][0][0]["tip"][:3] == [
        "supported, -20% [-30, -10]",
        "detached 2 → 1",
        "control 2 → 1.3",
    ]


def test_arms_are_columns():
    of = study(3, 3)
    data = matrix_data(rows(of, ("early", "half", "late")), of)
    assert data["arms"] == ["early", "half", "late"]
    assert shape(data) == (["Across tasks", "t0", "t1", "t2"], ["m0", "m1", "m2"], 9)
    assert data["lines"][1]["rows"][0][1]["label"].startswith("t0, m0, half: supported, -20% [-30, -10]")
    assert not data["isFolded"]
    # Too many cells for levels in each; the name of an arm stands over its column.
    assert levels(data) == {0}
    few = study(1, 3)
    assert matrix_data(rows(few, ("early", "late"), across=False), few)["lines"][0]["levels"] == ["arm", "control"]


def test_arms_that_do_not_fit_beside_each_other_have_a_row_each():
    of = study(8, 12)
    data = matrix_data(rows(of, ("detached 0.25", "detached 0.5")), of)
    assert (data["armsAreBeside"], data["armsShare"], data["arms"]) == (False, "detached", ["0.25", "0.5"])
    assert [line["label"] for line in data["lines"]] == [f"m{i}" for i in range(12)]
    assert [len(line["rows"]) for line in data["lines"]] == [2] * 12
    assert data["isFolded"]  # on a phone 216 cells are a long list
    first, second = data["lines"][3]["rows"]
    assert (len(first), len(second)) == (9, 9)
    assert [row[1]["name"] for row in (first, second)] == ["t0, detached 0.25", "t0, detached 0.5"]
    assert second[1]["label"].startswith("m3, t0, detached 0.5: supported")


def test_a_margin_is_shaded_and_its_answer_a_level_of_every_cell_beside_it():
    of = study(1, 2)
    of = replace(of, metrics=(replace(of.metrics[0], margin=0.05, margin_after_looking=True), of.metrics[1]))
    first, second = rows(of, across=False)
    data = matrix_data([replace(first, margin=(-0.2, 0.2), answer="5%: no worse"), second], of)
    assert data["lines"][0]["levels"] == ["detached", "control", "margin"]
    with_margin, without = data["lines"][0]["rows"][0]
    assert (with_margin["margin"], without["margin"]) == ((-0.2, 0.2), None)
    assert (with_margin["levels"][-1], without["levels"][-1]) == (["margin", "5%: no worse"], ["margin", "–"])
    assert "margin 5%: no worse" in with_margin["tip"]
    assert data["hint"].endswith("; shaded: the margin, set after looking for m0.")


def test_columns_have_room_for_levels():
    """Ten columns of levels would be drawn over each other: metrics are the lines then."""
    of = study(1, 5)
    data = matrix_data(rows(of, ("early", "late"), across=False), of)
    assert shape(data) == ([f"m{i}" for i in range(5)], ["t0"], 2)
    assert data["lines"][0]["levels"] == []


def test_many_metrics_are_the_lines():
    of = study(3, 25)
    data = matrix_data(rows(of), of)
    assert shape(data) == ([f"m{i}" for i in range(25)], ["Across tasks", "t0", "t1", "t2"], 4)
    assert data["lines"][0]["note"] == "±30%"
    assert levels(data) == {0}
    # Of the list on a phone: legend 44, the open line and its 4 cells 24 each, the 24 folded lines 40 each.
    assert (data["isFolded"], heights(data)) == (True, (35 + 22 + 25 * 35, 44 + 5 * 24 + 24 * 40))
    one = study(1, 25)
    data = matrix_data(rows(one, across=False), one)
    assert shape(data) == ([f"m{i}" for i in range(25)], ["t0"], 1)
    assert (levels(data), data["lines"][0]["levels"]) == ({2}, [])


@pytest.mark.slow
def test_the_page_of_three_arms_over_two_tasks(tmp_path):
    walk = StudyParts().task
    arms = Arms("ratio", labels=(("0.25", "early"), ("0.5", "half")))
    runs = [run(seed, ratio, 10.0) for seed in (1, 2, 3) for ratio in (0.25, 0.5, 0.0)]
    others = [replace(one, id=f"b{one.id}", config={**one.config, "task": "hop"}) for one in runs]
    of = StudyParts().study(tasks=(walk, replace(walk, name="hop")), arms=arms)
    at = visit("overview", own=bundle(tmp_path, of, [*runs, *others]))
    (data,) = matrices(at)
    assert data["arms"] == ["early", "half"]
    assert [line["label"] for line in data["lines"]] == ["Across tasks", "walk", "hop"]
    assert [head["label"] for head in data["heads"]] == ["Eval Reward", "Consistency Loss"]
    assert [" in early and half" in line for line in answer_lines(at)[:2]] == [True, True]


def test_words_that_all_arms_share_are_said_once():
    of = study(2, 2)
    data = matrix_data(rows(of, ("detached 0.5", "detached 0.75")), of)
    assert (data["armsShare"], data["arms"]) == ("detached", ["0.5", "0.75"])
    assert data["lines"][0]["rows"][0][1]["name"] == "m0, detached 0.75"
    data = matrix_data(rows(of, ("detached", "detached late")), of)
    assert (data["armsShare"], data["arms"]) == ("", ["detached", "detached late"])
