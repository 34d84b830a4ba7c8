"""A report makes each comparison once and reads each task's history once."""

import sys
from collections import Counter

import pytest

from lib.curves import View
from lib.effects.compare import designs, jumps, task_data
from lib.report import render, write_report
from lib.report.render import Picture, pictures
from lib.sources import fetch
from lib.study import load_study


@pytest.fixture
def replace_function(monkeypatch):
    """Replace a function wherever it was imported."""

    def replace(function, other):
        for module in [module for name, module in sys.modules.items() if name.startswith("lib.")]:
            if getattr(module, function.__name__, None) is function:
                monkeypatch.setattr(module, function.__name__, other)

    return replace


@pytest.fixture
def counted(replace_function):
    """Count the calls of a function by what `key` makes of its arguments."""

    def wrap(function, key):
        calls = Counter()

        def counting(*arguments, **options):
            calls[key(*arguments, **options)] += 1
            return function(*arguments, **options)

        replace_function(function, counting)
        return calls

    return wrap


@pytest.mark.slow
def test_a_report_makes_each_comparison_once_and_reads_each_history_once(counted, replace_function, tmp_path):
    # Drawing is slow and compares nothing.
    replace_function(render, lambda *arguments, **options: b"<html></html>")
    replace_function(pictures, lambda charts, workers: (Picture("<svg/>", 1.0) for _ in charts))
    study = load_study("demo")
    manifest = fetch(study)
    comparisons = counted(designs.compare, lambda data, metric, arm: (data.task, metric, arm))
    alone = counted(jumps.jump, lambda metric, arm, runs, window: (metric, arm, tuple(r.run_id for r in runs)))
    histories = counted(task_data.task_data, lambda study, task, *_: task)
    written = write_report(study, manifest, tmp_path, View(), ("html", "csv"))
    assert {"report.html", "effects.csv", "effects_detail.csv", "claims.md"} <= {path.name for path in written}
    for calls in (comparisons, alone, histories):
        assert {key: n for key, n in calls.items() if n > 1} == {}
    assert len(histories) == len(study.tasks)
    # 5 metrics, 2 gaps and the speed of 3 tasks
    assert len(comparisons) == 15 + 6 + 3
    assert len(alone) == 15
