"""Parts of the Plan page: how many runs show a change or a margin, by design, and what starts them."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import streamlit as st

from lib.app.session import cached_results, studies, widget_keys
from lib.app.session.current import Current, PageInput
from lib.app.session.page_input import open_by_name
from lib.app.widgets import charts, pickers
from lib.app.widgets.download import download
from lib.app.widgets.effect import metric_picker
from lib.app.widgets.markdown import escaped
from lib.app.widgets.place import BUTTONS, FIELD, place
from lib.app.widgets.study import open_with
from lib.app.widgets.tables import table
from lib.app.widgets.watch import watch
from lib.effects import (
    ALL_TASKS,
    Pilot,
    across_pilots,
    change_text,
    design_text,
    fixed_step_note,
    pilots,
    pilots_of,
    power_curve,
    typed_pilot,
)
from lib.effects import plan as needed_sizes
from lib.report import planned_study, power_figure, start_text
from lib.study import Metric, Study, Task, to_toml, with_edits, without_folders

_OWN, _TYPED = "this study's runs", "typed"
_CHANGE, _NO_WORSE = "a change", "no worse than the margin"
#: Pixels of the choice of a metric beside that of a task.
_METRIC = 280


def plan(inputs: PageInput, study: Study) -> None:
    """The choice of what to show, the power of every design, the sizes that it needs and what starts the runs."""
    with st.container(horizontal=True):
        with st.container():
            task = pickers.task_picker(study)
        with st.container(width=_METRIC):
            metric = metric_picker(study.metrics, "Metric", widget_keys.PLAN_METRIC, first=study.metrics[0])
    if inputs.current is not None:
        watch(inputs.current, task, metric)
    elif study.source.kind == "wandb":
        st.page_link(
            "pages/study.py",
            label="Nothing of this study is stored yet: fetch its runs",
            icon=":material/cloud_download:",
            help="",
        )
    st.header("How many runs", anchor=False)
    with place("plan_target", FIELD, horizontal=True):
        target, changes = _target(metric)
        source = _source(study, inputs)
    if not target:
        st.info(
            "A guardrail gets no verdict of a change: declare its margin on the Study page.", icon=":material/info:"
        )
        return
    in_percent = bool(changes) or metric.margin_abs is None
    task_pilots = (
        _typed(study, task, metric, in_percent) if source == _TYPED else _pilots(study, inputs, task, metric, source)
    )
    if task_pilots:
        _designs(study, task, task_pilots, target, changes)


def _target(metric: Metric) -> tuple[str, tuple[float, ...]]:
    """What is to be shown, in words, and the change in percent that is looked at; "" where there is nothing."""
    is_guardrail = metric.role == "guardrail"
    targets = [] if is_guardrail else [_CHANGE]
    targets += [_NO_WORSE] if metric.margin_text else []
    if not targets:
        return "", ()
    target = targets[0]
    if len(targets) > 1:
        target = st.selectbox("To show", targets, key=widget_keys.PLAN_TARGET, bind="query-params")
    if target == _NO_WORSE:
        return metric.no_worse_text, ()
    change = st.number_input(
        "Change to show (%)", 0.1, 99.0, 10.0, 1.0, format="%g", key=widget_keys.PLAN_CHANGE, bind="query-params"
    )
    return change_text(change), (change,)


def _source(study: Study, inputs: PageInput) -> str:
    """Where the spread of the runs comes from: a study's name, or one of two words."""
    has_runs = any(pilot.spreads for pilot in _own_pilots(inputs.current))
    others = [name for name in studies.study_names() if name != study.name]
    options = [*([_OWN] if has_runs else []), *([] if has_runs else [_TYPED]), *others, *([_TYPED] if has_runs else [])]
    help = "Runs of another study tell how far runs like them spread: its own pilot, or one of the same agent."
    return st.selectbox("Spread from", options, key=widget_keys.PLAN_SPREAD, bind="query-params", help=help)


def _own_pilots(current: Current | None) -> tuple[Pilot, ...]:
    return pilots(cached_results.analysis(current, None)) if current is not None else ()


def _pilots(study: Study, inputs: PageInput, task: Task, metric: Metric, source: str) -> tuple[Pilot, ...]:
    """What is known of the claims of a metric in a task and across tasks; empty where it is said what is missing."""
    if source == _OWN:
        task_pilots = _own_pilots(inputs.current)
    else:
        other = open_by_name(source)
        if other.current is None or not other.current.manifest.runs:
            st.info(escaped(f"{source} has no runs here yet: open it and fetch them."), icon=":material/info:")
            return ()
        task_pilots = pilots_of(study, cached_results.analysis(other.current, None))
    task_pilots = tuple(
        p for p in task_pilots if p.task in (task.key, ALL_TASKS) and p.metric.key == metric.key and p.spreads
    )
    if not task_pilots:
        st.info(
            escaped(f"No three runs of {source} tell how {metric.name} spreads: choose another study, or type it."),
            icon=":material/info:",
        )
        return ()
    arms = list(dict.fromkeys(pilot.arm for pilot in task_pilots))
    if len(arms) > 1:
        arm = st.selectbox("Arm", arms, key=widget_keys.PLAN_ARM, bind="query-params")
        return tuple(pilot for pilot in task_pilots if pilot.arm == arm)
    return task_pilots


def _typed(study: Study, task: Task, metric: Metric, in_percent: bool) -> tuple[Pilot, ...]:
    unit = "% of the level" if in_percent else "in the metric's unit"
    labels = {
        "fork": f"Spread of a pair's difference ({unit})",
        "did": f"Spread of a run's change ({unit})",
        "jump": f"Spread of a run's jump ({unit})",
    }
    typed = dict[str, float]()
    fields = st.grid(3, min_column_width=240)
    for design, label in labels.items():
        with fields.cell():
            key = f"{widget_keys.PLAN_TYPED}_{design}"
            value = st.number_input(
                label, 0.01, None, None, format="%g", key=key, placeholder="unknown", bind="query-params"
            )
        if value is not None:
            typed[design] = value
    if not typed:
        what = f"how far {metric.name} spreads over the seeds of {task.title}, as a standard deviation"
        st.caption(escaped(f"Type {what}, or choose a study whose runs tell it."))
        return ()
    own = tuple(typed_pilot(task, metric, typed, in_percent) for task in study.tasks)
    return (*(pilot for pilot in own if pilot.task == task.key), *across_pilots(study, own))


def _designs(study: Study, task: Task, task_pilots: Sequence[Pilot], target: str, changes: Sequence[float]) -> None:
    """The power of the designs that are chosen, the sizes that they need and what starts their runs."""
    needed, curves = (
        _with_lines(make(study, task_pilots, changes).filter(target=target), task_pilots)
        for make in (needed_sizes, power_curve)
    )
    if needed.is_empty():
        st.info(escaped(f"No design with these runs shows {target}: it needs a control arm."), icon=":material/info:")
        return
    with place("plan_designs", BUTTONS, horizontal=True, vertical_alignment="bottom"):
        lines = _chosen_lines(needed)
        is_corrected = _is_corrected(needed)
    needed, curves = (frame.filter(pl.col("line").is_in(lines)) for frame in (needed, curves))
    if needed.is_empty():
        st.caption("Choose a design.")
    elif curves.is_empty():
        text = needed["text"][0]
        st.info(escaped(f"{text[:1].upper()}{text[1:]}: type a spread, or declare a margin."), icon=":material/info:")
    else:
        _power(curves, target, is_corrected)
        note = fixed_step_note(task) if task.key in needed["task"] else ""
        claim = f"{task_pilots[0].metric.name} on {task.title}"
        st.caption(escaped(f"{claim}: {_caption(needed, is_corrected)} Add the runs that may crash. {note}".strip()))
        _table(needed, is_corrected, curves)
        _start(study, task, needed, is_corrected)


def _with_lines(frame: pl.DataFrame, task_pilots: Sequence[Pilot]) -> pl.DataFrame:
    """Rows of a plan with the design of each in words: `line`."""
    tasks = {pilot.task: pilot.tasks for pilot in task_pilots}
    line = pl.struct("task", "design").map_elements(lambda r: design_text(r["design"], tasks[r["task"]]), pl.String)
    return frame.with_columns(line=line)


def _chosen_lines(needed: pl.DataFrame) -> list[str]:
    """The designs to show: of several those that say something causal, which a jump does not."""
    lines = needed["line"].to_list()
    default = needed.filter(pl.col("design") != "jump")["line"].to_list() or lines
    if not set(st.session_state.get(widget_keys.PLAN_DESIGNS, ())) <= set(lines):
        # Of another task or metric: without this the address would keep what no button shows.
        st.session_state[widget_keys.PLAN_DESIGNS] = default
    return st.pills(
        "Designs",
        lines,
        default=default,
        selection_mode="multi",
        key=widget_keys.PLAN_DESIGNS,
        bind="query-params",
        wrap=True,
    )


def _power(curves: pl.DataFrame, target: str, is_corrected: bool) -> None:
    """The power over the number of runs, a line per design."""
    curves = curves.with_columns(several=pl.col("task") == ALL_TASKS)
    if is_corrected:
        curves = curves.with_columns(power=pl.col("power_corrected"))
    charts.render_chart(power_figure(curves, target).page_chart, "power")


def _is_corrected(needed: pl.DataFrame) -> bool:
    if needed["claims"].max() == 1:
        return False
    help = "Holm's correction asks a claim of several for more: at worst for 5% divided by their number."
    return st.toggle("As one of all claims", key=widget_keys.PLAN_CORRECTED, bind="query-params", help=help)


def _caption(needed: pl.DataFrame, is_corrected: bool) -> str:
    if not is_corrected:
        return "power of this claim alone, tested at 5%, with runs that spread as these do."
    counts = needed.unique("claims", maintain_order=True)
    words = " and ".join(f"5% / {row['claims']}" for row in counts.iter_rows(named=True))
    return f"power at {words}: the worst that Holm's correction over the claims of the study can ask for."


def _table(needed: pl.DataFrame, is_corrected: bool, curves: pl.DataFrame) -> None:
    """What each design needs; a dash stands for more than a plan looks at."""
    costs = ["runs", "steps", "hours"]
    sizes = needed.select("line", n="n_corrected" if is_corrected else "n")
    rows = sizes.join(curves.select("line", "n", *costs), on=["line", "n"], how="left", maintain_order="left")
    if rows["hours"].is_null().all():
        rows = rows.drop("hours")
    localized = st.column_config.NumberColumn(format="localized")
    hours = st.column_config.NumberColumn(
        format="%.1f", help="Hours of training, one run at a time, at the pace of the runs that the plan rests on."
    )
    table(
        rows.rename({"line": "design", "steps": "environment steps"}),
        column_config={"runs": localized, "environment steps": localized, "hours": hours},
        alt="The runs that each design needs, and what they take",
    )


def _start(study: Study, task: Task, needed: pl.DataFrame, is_corrected: bool) -> None:
    """What starts the runs of a design, the study that opens them, and the button that declares their number."""
    st.header("Start the runs", anchor=False)
    rows = {row["line"]: row for row in needed.iter_rows(named=True)}
    with place("plan_start", FIELD, horizontal=True, vertical_alignment="bottom"):
        row = rows[st.selectbox("Design", list(rows), key=widget_keys.PLAN_START)]
        fewest = row["n_corrected" if is_corrected else "n"]
        label = {"fork": "Pairs", "did": "Seeds per arm"}.get(row["design"], "Seeds")
        # Another plan brings another size.
        key = f"{widget_keys.PLAN_SIZE}_{row['design']}_{fewest}"
        n = st.number_input(label, 2, None, max(2, fewest or 2), key=key, width=160)
        declared = studies.with_marks(replace(study, evidence=replace(study.evidence, planned=n)), study.name)
        _declare(study, declared)
    # Tasks whose detach steps are random are no part of a claim across tasks.
    is_across = row["task"] == ALL_TASKS
    tasks = [t for t in study.tasks if (t.detach.randomised is None if is_across else t.key == task.key)]
    planned = planned_study(study, [t.key for t in tasks], row["design"], declared.evidence)
    is_fork = row["design"] == "fork"
    texts = {t: start_text(study, t, row["design"], n) for t in tasks}
    with st.container(horizontal=True):
        icon, text = ":material/download:", to_toml(without_folders(planned))
        download("Study file (.toml)", text, f"{study.name}.toml", icon, f"{widget_keys.PLAN_START}_study")
        for index, (t, text) in enumerate(texts.items()):
            name = f"{t.stem}_forks.py" if is_fork else f"{t.stem}_sweep.yaml"
            download(name, text, name, icon, f"{widget_keys.PLAN_START}_file_{index}")
    for text in texts.values():
        st.code(text, language="python" if is_fork else "yaml", wrap_lines=True)


def _declare(study: Study, declared: Study) -> None:
    """The button that writes the planned size into the study."""
    evidence = declared.evidence
    marked = " Runs are in: it is marked as set after looking." if evidence.planned_after_looking else ""
    if st.button(
        f"Declare {evidence.planned} as planned",
        key=widget_keys.PLAN_DECLARE,
        icon=":material/flag:",
        help=f"Written into the study: the test is made at this size, and no verdict before.{marked}",
        disabled=evidence.planned == study.evidence.planned,
    ):
        changed = with_edits(declared)
        open_with(lambda: studies.open_study(changed, study.name), before=study)
