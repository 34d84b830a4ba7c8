"""The matrix of tasks by metrics: a table whose cells lead to their evidence."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import streamlit as st

from lib import effects
from lib.app.session import cached_results, widget_keys
from lib.app.session.current import Current
from lib.app.widgets.markdown import escaped
from lib.app.widgets.verdicts import COLORS
from lib.effects import ALL_TASKS, OF_RANGE, MatrixRow
from lib.formatting import MISSING, listing
from lib.study import Study

_FOLDER = Path(__file__).parent
_TABLE = st.components.v2.component(
    "matrix",
    html='<div class="matrix">\n</div>',
    css=(_FOLDER / "matrix.css").read_text("utf-8"),
    js=(_FOLDER / "matrix.js").read_text("utf-8"),
)

#: Marks of verdicts, told apart without their colours, as in the charts of effects; any other is a ring.
_SHAPES = {"blue": "disc", "orange": "diamond", "violet": "square"}
_UNSAID = "cannot say"
#: Columns beside each other at most before metrics become the lines: without levels, and with levels, which are wider.
_COLUMNS, _COLUMNS_OF_LEVELS = 10, 6
#: Tasks and cells up to which levels stand in the cells; beyond, they are in what a cell shows on hover and focus.
_TASKS, _CELLS = 3, 30
#: Pixels of the list on a phone beyond which its lines are folded, but the first.
_LONGEST = 1200
#: Pixels of the parts of the table, which keep its place free until it is drawn; as in matrix.css.
_HEAD, _ARMS, _CELL, _LEVEL, _LEGEND, _NARROW, _FOLD = 35, 18, 35, 14, 22, 24, 40


def matrix(current: Current) -> None:
    """Every change against 0 on its metric's scale, with its verdict, and what it was before and after.

    A click, or Enter, opens the evidence of that task and metric.
    """
    study = current.visible_study
    rows = effects.matrix(cached_results.analysis(current, current.evidence), study)
    if not rows:
        return
    data = matrix_data(rows, study)
    wide, narrow = heights(data)
    # Its place is kept free until it is drawn, first by its height: a style comes late, and says that of a narrow page,
    # where it is a list as in matrix.css.
    place = ".st-key-matrix_place"
    st.html(
        f"<style>{place}, [data-testid=stLayoutWrapper]:has(> {place}) {{ height: auto; flex: 0 0 auto; overflow: visible }} "
        f"{place} {{ min-height: {wide}px }} @media (max-width: 600px) {{ {place} {{ min-height: {narrow}px }} }}</style>"
    )
    with st.container(key="matrix_place", height=wide, border=False):
        _TABLE(data=data, key=widget_keys.MATRIX)
    if without := [task.title for task in study.tasks if not any(row.task == task.key for row in rows)]:
        st.caption(escaped(f"No detached run of {listing(without, 'or')}: nothing to compare."))


def _evidence(row: MatrixRow, study: Study) -> dict[str, str]:
    """The settings of the Detach effect page that show what is behind a row."""
    metric = {widget_keys.EFFECT_METRIC: study.metric(row.metric).name}
    return metric if row.task == ALL_TASKS else {widget_keys.TASK: study.task(row.task).title, **metric}


def matrix_data(rows: Sequence[MatrixRow], study: Study) -> dict[str, Any]:
    """What the table draws: its heads, its lines with their cells, its legend.

    Tasks are the lines where metrics and arms fit beside each other, else metrics are. Arms are columns where these fit,
    else every line has a row for each arm.
    """
    arms = list(dict.fromkeys(row.arm for row in rows))
    tasks = {row.task: _task(row, study) for row in rows}
    metrics = {m.key: m.name for m in study.metrics if any(row.metric == m.key for row in rows)}
    shared = _shared_words(arms)
    of_tasks = len(tasks.keys() - {ALL_TASKS})
    has_levels = of_tasks == 1 or (of_tasks <= _TASKS and len(rows) <= _CELLS)
    room = _COLUMNS_OF_LEVELS if has_levels else _COLUMNS
    is_by_task = len(metrics) * len(arms) <= room or len(metrics) <= len(tasks)
    lines, heads = (tasks, metrics) if is_by_task else (metrics, tasks)
    with_margin = {row.task for row in rows if row.answer} if has_levels else set[str]()
    cells: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        line, head = (row.task, row.metric) if is_by_task else (row.metric, row.task)
        name = f"{heads[head]}, {row.arm}" if len(arms) > 1 else heads[head]
        cell = _cell(row, has_levels, study) | {"name": name}
        if row.task in with_margin and not row.answer:
            cell["levels"].append(["margin", MISSING])  # else its levels would not stand beside their names
        cells[line, head, row.arm] = cell | {"label": f"{lines[line]}, {name}: {cell['label']}"}
    names = [arm.removeprefix(shared) for arm in arms] if len(arms) > 1 else []
    are_beside = len(heads) * len(arms) <= _COLUMNS
    data: dict[str, Any] = {
        "heads": [{"label": label, "note": _note(rows, key)} for key, label in heads.items()],
        "arms": names,
        "armsShare": shared.strip(),
        "armsAreBeside": are_beside,
        "lines": [
            {
                "label": label,
                "note": _note(rows, key),
                "isAcross": key == ALL_TASKS,
                "levels": _level_names(rows, key, arms) if has_levels and is_by_task else [],
                "rows": [
                    [cells.get((key, head, arm)) for head in heads for arm in of_row]
                    for of_row in ([arms] if are_beside else [[arm] for arm in arms])
                ],
            }
            for key, label in lines.items()
        ],
        "legend": _legend(rows),
        "hint": f"95% intervals against 0; one scale per metric (±, in grey){_hint(rows, study)}.",
    }
    return data | {"isFolded": _list_height(data["lines"]) > _LONGEST}


def _shared_words(arms: Sequence[str]) -> str:
    """The words that all arms begin with, with the space after them: they are said once, beside the arms' heads."""
    if len(arms) < 2:
        return ""
    words = zip(*(arm.split(" ")[:-1] for arm in arms), strict=False)
    alike = takewhile(lambda one: len(set(one)) == 1, words)
    return "".join(f"{word} " for word, *_ in alike)


def _task(row: MatrixRow, study: Study) -> str:
    return "Across tasks" if row.task == ALL_TASKS else study.task(row.task).title


def _note(rows: Sequence[MatrixRow], key: str) -> str:
    """What all of a task's rows rest on, or the scale of a metric in its tasks."""
    runs = {row.runs for row in rows if row.task == key}
    scales = {row.scale for row in rows if row.metric == key and row.task != ALL_TASKS and row.scale}
    alike = runs or scales
    return alike.pop() if len(alike) == 1 else ""


def _level_names(rows: Sequence[MatrixRow], task: str, arms: Sequence[str]) -> list[str]:
    """What the levels of a task's cells are: the names of their arms, or that they are an arm's."""
    levels = max((row.levels for row in rows if row.task == task), key=len)
    names = [level.arm if level.arm not in arms or len(arms) == 1 else "arm" for level in levels]
    return [*names, *(["margin"] if any(row.answer for row in rows if row.task == task) else [])]


def _cell(row: MatrixRow, has_levels: bool, study: Study) -> dict[str, Any]:
    of_range = OF_RANGE if row.task == ALL_TASKS and study.metric(row.metric).scale == "linear" and row.change else ""
    levels = [[level.arm, f"{level.before} → {level.after}"] for level in row.levels]
    levels += [["margin", row.answer]] if row.answer else []
    size = f"{row.change} {row.interval}".strip() + of_range
    facts = [", ".join(filter(None, (row.verdict, size))), *(" ".join(pair) for pair in levels), row.runs]
    return {
        "place": None if row.position is None else [row.position.low, row.position.change, row.position.high],
        "margin": row.margin,
        "shape": _shape(row.verdict),
        "color": COLORS[row.verdict],
        "change": row.change or "?",
        "interval": row.interval,
        "levels": levels if has_levels else [],
        "label": ", ".join(facts),
        "tip": [*facts, *filter(None, (row.method, row.reasons))],
        "query": _evidence(row, study),
    }


def _hint(rows: Sequence[MatrixRow], study: Study) -> str:
    is_range = any(row.task == ALL_TASKS and study.metric(row.metric).scale == "linear" for row in rows)
    margins = [study.metric(row.metric) for row in rows if row.margin]
    late_margins = listing(dict.fromkeys(metric.name for metric in margins if metric.margin_after_looking))
    return (
        ("; across tasks, linear metrics are in % of their range" if is_range else "")
        + ("; shaded: the margin" if margins else "")
        + (f", set after looking for {late_margins}" if late_margins else "")
    )


def _legend(rows: Sequence[MatrixRow]) -> list[list[str]]:
    """Shape, colour and name of every verdict in the table."""
    verdicts = [verdict for verdict in COLORS if any(row.verdict == verdict for row in rows)]
    return [[_shape(verdict), COLORS[verdict], verdict] for verdict in verdicts]


def _shape(verdict: str) -> str:
    return "dashes" if verdict == _UNSAID else _SHAPES.get(COLORS[verdict], "ring")


def heights(data: dict[str, Any]) -> tuple[int, int]:
    """Pixels of the table and of the list that it is on a phone."""
    lines = data["lines"]
    has_arms = data["arms"] and data["armsAreBeside"]
    levels = [max((len(cell["levels"]) for cell in row if cell), default=0) for line in lines for row in line["rows"]]
    wide = _HEAD + (_ARMS if has_arms else 0) + _LEGEND + sum(_CELL + _LEVEL * count for count in levels)
    narrow = _list_height(lines[:1]) + _FOLD * (len(lines) - 1) if data["isFolded"] else _list_height(lines)
    return wide, narrow


def _list_height(lines: Sequence[dict[str, Any]]) -> int:
    """Pixels of the list of these lines with their cells on a phone."""
    cells = [cell for line in lines for row in line["rows"] for cell in row if cell]
    levels = _LEVEL * len(cells) if any(cell["levels"] for cell in cells) else 0
    return 2 * _LEGEND + _NARROW * (len(lines) + len(cells)) + levels
