"""Propose a study from an address, a folder or a bundle; add metrics to the open one."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import streamlit as st

from lib.app import session
from lib.app.session import keys
from lib.app.widgets.study import edit, key_form, open_with
from lib.app.widgets.tables import table
from lib.discover import (
    OPTIONAL,
    RATIO,
    STEP,
    TASK,
    Choices,
    Finding,
    Inspection,
    Proposal,
    Suggestion,
    arms,
    find_keys,
    inspect_bundle,
    inspect_folder,
    inspect_server,
    parse_address,
    preselected,
    preview,
    propose,
    server_at,
    study_at,
    suggestions,
)
from lib.runs import Manifest
from lib.study import InputError, Metric, Source, Study, edited, to_toml

_KINDS = {"W&B address": "wandb", "wandb folder": "offline", "Bundle (.zip)": "bundle"}
_EXAMPLE = "https://wandb.ai/entity/project/sweeps/id"


def build() -> None:
    """Say where runs are, see what is there, correct what is proposed, open it."""
    st.subheader("Propose a study from its runs", anchor=False)
    st.caption("The runs are listed, not fetched: you see what was found and what is assumed before a study is opened.")
    kinds = [label for label, kind in _KINDS.items() if kind != "offline" or _may_open_folders()]
    kind = st.segmented_control("The runs are in", kinds, default=kinds[0], key=keys.BUILD_KIND, required=True)
    {"wandb": _ask_place, "offline": _ask_folder, "bundle": _ask_bundle}[_KINDS[kind]]()
    state = session.session_state()
    if state.inspection is not None:
        _proposal(state.inspection, f"build{state.inspections}")


def _may_open_folders() -> bool:
    return session.may_name_paths(study_at(Source(kind="offline", path="/")))


def _ask_place() -> None:
    text = st.text_input(
        "Address of a sweep, a run or a project",
        key=keys.BUILD_ADDRESS,
        placeholder=_EXAMPLE,
        help="Also entity/project/sweep, entity/project, or an address on your own W&B server.",
    )
    if not text:
        return
    try:
        place = parse_address(text)
        server = server_at(place)
    except InputError as error:
        st.error(_escaped(str(error)), icon=":material/error:")
        return
    key_form(server, "build_key")
    key = session.own_key(server)
    if key is None:
        st.caption("Only your own key is used for a place that you bring.")
        return
    if st.button("List the runs", key=keys.BUILD_LIST, icon=":material/travel_explore:"):
        _look(lambda: inspect_server(place, key))


def _ask_folder() -> None:
    if not _may_open_folders():
        return
    text = st.text_input("Folder with wandb run directories", key=keys.BUILD_FOLDER, placeholder="~/project/wandb")
    if st.button("List the runs", key=keys.BUILD_LIST, icon=":material/folder_open:", disabled=not text):
        _look(lambda: inspect_folder(Path(text).expanduser()))


def _ask_bundle() -> None:
    file = st.file_uploader("A bundle (.zip)", type=["zip"], key=keys.BUILD_BUNDLE)
    if file is not None and st.button("List the runs", key=keys.BUILD_LIST, icon=":material/inventory_2:"):
        _look(lambda: inspect_bundle(session.keep_upload(file.getvalue())))


def _look(inspect: Callable[[], Inspection]) -> None:
    """Keep what is seen for this session, or say why nothing is."""
    state = session.session_state()
    state.inspection = None
    try:
        with st.spinner("Listing the runs"):
            state.inspection = inspect()
    except InputError as error:
        st.error(_escaped(str(error)), icon=":material/error:")
        return
    state.inspections += 1


def _escaped(text: str) -> str:
    """Text of others as Markdown that shows it, and does nothing else."""
    return re.sub(r"([\\`*_{}\[\]()#+!|$~<>:&-])", r"\\\1", text)


def _label(text: str) -> str:
    """The same for a control's label: as few backslashes as can be, since a screen reader says them."""
    return re.sub(r"[\\`*\[\]$~<>:|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)


# ---- the proposal ------------------------------------------------------------------------------------------------


def _proposal(looked: Inspection, prefix: str) -> None:
    for note in looked.notes:
        st.warning(_escaped(note), icon=":material/info:")
    title = st.text_input("Title of the study", value=looked.title, key=f"{prefix}_title", required=True)
    chosen_keys = _choose_keys(looked, prefix)
    metrics, sound = _choose_metrics(looked, chosen_keys, prefix)
    choices = Choices(keys=chosen_keys, metrics=metrics, title=title or looked.title)
    try:
        draft = propose(looked, choices)
        final = propose(looked, _choose_detach(looked, draft, choices, prefix))
    except InputError as error:
        st.error(_escaped(str(error)), icon=":material/error:")
        return
    _preview(looked, final)
    for question in final.questions:
        st.warning(_escaped(question), icon=":material/help:")
    _open(final.study, prefix, ready=sound and not final.questions)


def _choose_keys(looked: Inspection, prefix: str) -> dict[str, str]:
    """The keys that the user chose other than they were found."""
    st.markdown("**Keys found in configs and histories**")
    chosen: dict[str, str] = {}
    columns = st.columns(4)
    for at, (what, found) in enumerate(find_keys(looked).items()):
        none = [""] if what in OPTIONAL or not found.value else []
        options = [*dict.fromkeys([found.value, *found.options, *none])]
        with columns[at % 4]:
            key = st.selectbox(
                what.capitalize(), options, key=f"{prefix}_{what}", format_func=lambda option: option or "none"
            )
            _said(found if key == found.value else Finding(what, key, "chosen by you"))
        if key != found.value:
            chosen[what] = key
    return chosen


def _said(finding: Finding) -> None:
    """Where something was found, or that it is assumed."""
    color = {"found": "green", "assumed": "orange", "not found": "gray"}[finding.status]
    # A caption is paler than a badge may be.
    st.markdown(f":{color}-badge[{finding.status}] :small[{_escaped(finding.where)}]")


def _choose_metrics(looked: Inspection, chosen_keys: dict[str, str], prefix: str) -> tuple[tuple[Metric, ...], bool]:
    """The metrics as corrected, and whether they can be used."""
    suggested = suggestions(looked, find_keys(looked, Choices(keys=chosen_keys))[STEP].value)
    chosen = st.multiselect(
        "Metrics",
        list(suggested),
        default=preselected(list(suggested)),
        key=f"{prefix}_metrics",
        placeholder="search the keys that the runs logged",
        help=f"{len(suggested)} keys were logged.",
    )
    rows = [suggested[key] for key in chosen]
    with st.expander(
        "Labels, families, directions, scales", icon=":material/tune:", expanded=any(r.assumed for r in rows)
    ):
        return metric_rows(rows, looked.lowest, prefix)


def metric_rows(
    suggested: Sequence[Suggestion], lowest: dict[str, float], prefix: str, taken: Collection[str] = ()
) -> tuple[tuple[Metric, ...], bool]:
    """A row of controls a metric: label, family, direction, scale; what is wrong is said below it.

    Parameters
    ----------
    lowest : by key the lowest value seen.
    taken : labels that other metrics have.

    Returns
    -------
    The metrics as corrected, and whether all of them can be used.
    """
    metrics, labels, sound = list[Metric](), set(taken), True
    for one in suggested:
        key = one.metric.key
        with st.container(border=True):
            assumed = ":orange-badge[assumed] " if one.assumed else ""
            why = f": {_escaped(one.why)}" if one.why else ""
            st.markdown(f"{assumed}:small[{_escaped(key)}{why}]")
            columns = st.columns([3, 1, 1, 1])
            label = columns[0].text_input("Label", one.metric.label, key=f"{prefix}_{key}_label").strip()
            family = _option(columns[1], "Family", ("reward", "loss"), one.metric.family, f"{prefix}_{key}_family")
            expect = _option(
                columns[2], "Expect", ("increase", "decrease"), one.metric.expect, f"{prefix}_{key}_expect"
            )
            scale = _option(columns[3], "Scale", ("linear", "log"), one.metric.scale, f"{prefix}_{key}_scale")
            if not label or label in labels:
                sound = False
                st.error("Give it a label." if not label else "Another metric has this label: give it one of its own.")
            if scale == "log" and lowest.get(key, 1.0) <= 0:
                st.warning(f"Values go down to {lowest[key]:.4g}: a log axis shows none that are not above 0.")
        labels.add(label)
        metrics.append(replace(one.metric, label=label, family=family, expect=expect, scale=scale))  # type: ignore[arg-type]
    return tuple(metrics), sound


def _option(place: st.delta_generator.DeltaGenerator, label: str, options: Sequence[str], value: str, key: str) -> str:
    return place.selectbox(label, options, index=options.index(value), key=key)


def _choose_detach(looked: Inspection, draft: Proposal, choices: Choices, prefix: str) -> Choices:
    """The choices with the reading of the ratio, the tasks, their total steps and their detach steps."""
    found = {finding.what: finding for finding in draft.findings}
    ratio = found[RATIO].value
    counts = _choose_reading(found.get(f"{ratio} counts"), f"{prefix}_{ratio}_counts")
    names = [task.name for task in draft.study.tasks]
    tasks = st.multiselect("Tasks", names, default=names, key=f"{prefix}_{found[TASK].value}_tasks")
    totals, steps = dict[str, int](), dict[str, int]()
    for task in draft.study.tasks:
        if task.name not in tasks:
            continue
        of_total, of_step = found[f"total steps of {task.name}"], found.get(f"detach step of {task.name}")
        columns = st.columns(2)
        with columns[0]:
            known = task.total_steps if of_total.value else None
            total = _steps(f"Total steps of {task.name}", known, f"{prefix}_{task.name}_total")
            _said(of_total if total == known else Finding("", "typed", "typed by you"))
        if total is not None and total != known:
            totals[task.name] = total
        if of_step is None:
            with columns[1]:
                st.caption(f"Detach of {_escaped(task.name)}: {_escaped(found[f'detach of {task.name}'].value)}")
                _said(found[f"detach of {task.name}"])
            continue
        with columns[1]:
            step = _steps(f"Detach step of {task.name}", task.detach.step, f"{prefix}_{task.name}_step")
            _said(of_step if step == task.detach.step else Finding("", "typed", "typed by you"))
        if step is not None and step != task.detach.step:
            steps[task.name] = step
    return replace(choices, ratio_counts=counts, tasks=tasks, total_steps=totals, detach_steps=steps)


def _steps(label: str, value: int | None, key: str) -> int | None:
    """A number of environment steps; the key changes with what is proposed, so that a new proposal shows."""
    return st.number_input(_label(label), min_value=1, value=value, step=1000, key=f"{key}_{value}")


def _choose_reading(found: Finding | None, key: str) -> str | None:
    """What the ratio counts, where that is the user's to say; None where they have not said it."""
    if found is None:
        return None
    proposed = None if found.ask else found.value
    said = st.segmented_control(
        f"{_label(found.what.removesuffix(' counts'))} counts the part of training that is",
        ["elapsed", "remaining"],
        default=proposed,
        key=key,
    )
    if said in (None, proposed):
        _said(found)
        return None
    _said(Finding(found.what, said, "chosen by you"))
    return said


# ---- preview and opening -----------------------------------------------------------------------------------------


def _preview(looked: Inspection, final: Proposal) -> None:
    st.markdown("**Preview**")
    runs = preview(final.study, looked)
    table(arms(runs), alt="Runs of the proposed study by task and arm, with their seeds")
    with st.expander(f"{len(runs)} runs", icon=":material/checklist:"):
        table(runs, alt="Runs of the proposed study")
    with st.expander("Everything found and assumed", icon=":material/rule:"):
        rows = [(f.what, f.value or "none", f.status, f.where) for f in final.findings]
        heads = ["what", "value", "known", "where"]
        table(pl.DataFrame(rows, schema=heads, orient="row"), alt="What the proposal rests on")
    with st.expander("The study file", icon=":material/description:"):
        st.code(to_toml(final.study), language="toml")


def _open(study: Study, prefix: str, ready: bool) -> None:
    with st.container(horizontal=True):
        opened = st.button(
            "Open this study",
            key=f"{prefix}_open",
            icon=":material/check:",
            disabled=not ready,
            help=None if ready else "Answer what is asked above first.",
        )
        st.button(
            "Edit as text",
            key=f"{prefix}_edit",
            icon=":material/edit:",
            on_click=edit,
            args=(study,),
            help="Puts the study file into the editor below.",
        )
    if opened:
        open_with(lambda: _fetched(session.open_text(to_toml(study))))


def _fetched(name: str) -> str:
    """The study of that name, its runs on their way; what was seen to propose it is not kept."""
    study = session.study_named(name)
    if study.source.kind == "wandb" and session.key_for(study):
        session.start_fetch(study)
    session.session_state().inspection = None
    return name


# ---- a metric more -----------------------------------------------------------------------------------------------


def add_metric(study: Study, manifest: Manifest) -> None:
    """Choose keys that the current study's runs logged, and open the study with them as metrics."""
    bundled = study.source.kind == "bundle"
    runs = tuple(replace(run, keys=tuple(run.rows)) if bundled else run for run in manifest.runs)
    taken = {*study.step_key, *(metric.key for metric in study.metrics)}
    suggested = suggestions(Inspection(study.source, study.title, runs))
    unused = [key for key in suggested if key not in taken]
    with st.expander("Add a metric that the runs logged", icon=":material/add_chart:"):
        if not unused:
            st.caption("Every key whose history is there is a metric of this study already.")
            return
        chosen = st.multiselect("Logged keys", unused, key=keys.ADD_METRICS, placeholder=f"search {len(unused)} keys")
        labels = {metric.name for metric in study.metrics}
        metrics, sound = metric_rows([suggested[key] for key in chosen], {}, "add", labels)
        if st.button("Add to the study", key=keys.ADD_OPEN, icon=":material/check:", disabled=not (metrics and sound)):
            more = edited(study, study.title, study.hypothesis, (*study.metrics, *metrics), study.tasks)
            open_with(lambda: _fetched(session.open_study(more)))
