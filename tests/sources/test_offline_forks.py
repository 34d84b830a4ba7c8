"""Forks among local runs: their parents, present or missing."""

from lib.runs import BranchPoint, Problem
from lib.sources import fetch
from tests.support.offline_kit import logged, start, study, values
from tests.support.wandb_files import log_bytes, write_run


def test_a_fork_whose_parent_is_missing_says_so(tmp_path):
    write_run(tmp_path, [start("f", branch=("base1", 500), project="p"), *logged([501])], "f")
    message = "Run f is a fork of base1 at step 500, whose files are not in this folder: its rows before step 500 are missing."
    for _ in range(2):
        manifest = fetch(study(tmp_path))
        assert manifest.problems == (Problem(message, run_id="f"),)
        assert [(run.warnings, run.branch_point) for run in manifest.runs] == [((message,), BranchPoint("base1", 500))]
    write_run(tmp_path, [start("base1", task="other", project="p"), *logged([499, 500, 501], 1)], "base1")
    manifest = fetch(study(tmp_path))
    assert (manifest.problems, manifest.runs[0].warnings) == ((), ())
    assert values(manifest, "f") == {499: 500.0, 500: 501.0, 501: 501.0}


def test_a_fork_whose_grandparent_is_missing_says_so(tmp_path):
    write_run(tmp_path, [start("f", branch=("p", 3)), *logged([4])], "f")
    write_run(tmp_path, [start("p", branch=("g", 9), task="u"), *logged([2])], "p")
    assert [problem.message for problem in fetch(study(tmp_path)).problems] == [
        "Run f descends from g at step 3, whose files are not in this folder: its rows before step 3 are missing."
    ]


def test_a_rewound_run_whose_earlier_file_is_missing_says_so(tmp_path):
    write_run(tmp_path, [start("r1", branch=("r1", 600)), *logged([601])])
    message = "Run r1 was rewound to step 600, and its earlier file is not in this folder: its rows before that step are missing."
    assert fetch(study(tmp_path)).problems == (Problem(message, run_id="r1"),)


def test_a_parent_is_of_the_forks_own_project(tmp_path):
    write_run(tmp_path / "a", [start("base", project="a", task="u"), *logged([1], 10)], "base")
    write_run(tmp_path / "b", [start("base", project="b", task="u"), *logged([1], 20)], "base")
    write_run(tmp_path / "c", [start("f", branch=("base", 1), project="b"), *logged([2])], "f")
    manifest = fetch(study(tmp_path))
    assert values(manifest, "f") == {1: 21.0, 2: 2.0}
    assert manifest.runs[0].branch_point == BranchPoint("b/base", 1)


def test_a_fork_is_read_again_when_its_parents_file_has_changed(tmp_path):
    parent = write_run(tmp_path, [start("base", task="u"), *logged([1])], "base")
    write_run(tmp_path, [start("f", branch=("base", 5)), *logged([6])], "f")
    assert sorted(values(fetch(study(tmp_path)), "f")) == [1, 6]
    parent.write_bytes(log_bytes([start("base", task="u"), *logged([1, 2])]))
    assert sorted(values(fetch(study(tmp_path)), "f")) == [1, 2, 6]


def test_a_fork_that_goes_back_below_its_branch_point_supersedes_its_parents_rows(tmp_path):
    write_run(tmp_path, [start("p", task="u"), *logged(range(1, 10), 100)], "p")
    for run_id, later in (("rewound", {"branch": ("rewound", 3)}), ("resumed", {"resumed": True})):
        write_run(tmp_path, [start(run_id, 10, branch=("p", 5)), *logged([6, 8], 200)], run_id)
        write_run(tmp_path, [start(run_id, 20, **later), *logged([4, 7], 300)], run_id, "20260102_000000")
        manifest = fetch(study(tmp_path))
        assert values(manifest, run_id) == {1: 101.0, 2: 102.0, 3: 103.0, 4: 304.0, 7: 307.0}
        assert [drop.count for drop in manifest.runs[-1].drops] == [4]


def test_runs_that_are_forked_from_each_other_end(tmp_path):
    write_run(tmp_path, [start("a", branch=("b", 3)), *logged([4])], "a")
    write_run(tmp_path, [start("b", branch=("a", 3)), *logged([3])], "b")
    assert sorted(values(fetch(study(tmp_path)), "a")) == [3, 4]
