"""Propose a study from an address, a folder or a bundle."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import streamlit as st

from lib.app.session import access, studies, uploads, widget_keys
from lib.app.session.state import session_state
from lib.app.widgets.markdown import escaped
from lib.app.widgets.metric_form import metric_rows
from lib.app.widgets.study import key_form, open_buttons, open_with
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
    arms,
    find_keys,
    inspect_bundle,
    inspect_folder,
    inspect_server,
    parse_addresses,
    preselected,
    preview,
    propose,
    server_at,
    study_at,
    suggestions,
)
from lib.formatting import listing
from lib.study import InputError, Metric, Source, Task, to_toml, written_path

_KINDS = {"W&B address": "wandb", "wandb folder": "offline", "Bundle (.zip)": "bundle"}
#: Of the keys that are not taken for one reason so many are named.
_SHOWN = 8
_TYPED = Finding("", "typed", "typed by you")


def build() -> None:
    """Ask where runs are, list them, let the proposal be corrected, open it."""
    st.header("Propose a study from its runs", anchor=False)
    st.caption("The runs are listed, not fetched: you see what was found and what is assumed before a study is opened.")
    has_folders = access.may_name_paths(study_at(Source(kind="offline", path="/")))
    kinds = [label for label, kind in _KINDS.items() if kind != "offline" or has_folders]
    kind = _KINDS[
        st.segmented_control("The runs are in", kinds, default=kinds[0], key=widget_keys.BUILD_KIND, required=True)
    ]
    if kind == "wandb":
        _ask_address()
    elif kind == "bundle":
        _ask_bundle()
    elif has_folders:
        _ask_folder()
    state = session_state()
    if state.inspection is not None:
        _proposal(state.inspection, f"build{state.inspections}")


def _ask_address() -> None:
    text = st.text_area(
        "Address of a sweep, a run or a project; of several sweeps, one per line",
        key=widget_keys.BUILD_ADDRESS,
        height=68,
        placeholder="https://wandb.ai/entity/project/sweeps/id",
        help="Also entity/project/sweep, `wandb agent` commands, what the wandb client prints, and your own W&B server.",
    )
    if not text.strip():
        return
    try:
        addresses = parse_addresses(text)
        server = server_at(addresses[0])
        access.check_server(server)
    except InputError as error:
        _error(error)
        return
    places, first = listing(address.place for address in addresses), addresses[0]
    st.caption(f"Read: {escaped(places)} of {escaped(f'{first.entity}/{first.project}')}.")
    key_form(server, "build_key")
    key = access.own_key(server)
    if key is None:
        st.caption("Only your own key is used for a place that you bring.")
        return
    _list_button(":material/travel_explore:", lambda: inspect_server(addresses, key))


def _ask_folder() -> None:
    text = st.text_input(
        "Folder with wandb run directories", key=widget_keys.BUILD_FOLDER, placeholder="~/project/wandb"
    )
    _list_button(":material/folder_open:", lambda: inspect_folder(written_path(text)), disabled=not text)


def _ask_bundle() -> None:
    file = st.file_uploader("A bundle (.zip)", type=["zip"], key=widget_keys.BUILD_BUNDLE)
    if file is not None:
        _list_button(":material/inventory_2:", lambda: inspect_bundle(uploads.keep_upload(file.getvalue())))


def _list_button(icon: str, inspect: Callable[[], Inspection], disabled: bool = False) -> None:
    """A button that lists the runs and keeps the list for this session, or says why there is none."""
    if not st.button("List the runs", key=widget_keys.BUILD_LIST, icon=icon, disabled=disabled):
        return
    state = session_state()
    state.inspection = None
    try:
        with st.spinner("Listing the runs"):
            state.inspection = inspect()
    except InputError as error:
        _error(error)
        return
    state.inspections += 1


def _error(error: InputError) -> None:
    st.error(escaped(str(error)), icon=":material/error:")


# ---- the proposal ------------------------------------------------------------------------------------------------


def _proposal(inspection: Inspection, prefix: str) -> None:
    for note in inspection.notes:
        st.warning(escaped(note), icon=":material/info:")
    title = st.text_input("Title of the study", value=inspection.title, key=f"{prefix}_title", required=True)
    chosen_keys = _choose_keys(inspection, prefix)
    metrics, is_valid = _choose_metrics(inspection, chosen_keys, prefix)
    choices = Choices(keys=chosen_keys, metrics=metrics, title=title or inspection.title)
    try:
        draft = propose(inspection, choices)
        proposal = propose(inspection, _choose_detach(draft, choices, prefix))
    except InputError as error:
        _error(error)
        return
    _not_taken(proposal)
    _preview(inspection, proposal)
    for question in proposal.questions:
        st.warning(escaped(question), icon=":material/help:")
    hint = "" if is_valid and not proposal.questions else "Answer what is asked above first."
    if open_buttons(proposal.study, "Open this study", prefix, hint):
        open_with(lambda: studies.open_text(to_toml(proposal.study)), fetch=True)


def _choose_keys(inspection: Inspection, prefix: str) -> dict[str, str]:
    """The keys for which the user chose another value than the proposed one."""
    st.markdown("**Keys found in configs and histories**")
    chosen: dict[str, str] = {}
    columns = st.columns(4)
    for index, (what, finding) in enumerate(find_keys(inspection).items()):
        none = [""] if what in OPTIONAL or not finding.value else []
        options = [*dict.fromkeys([finding.value, *finding.options, *none])]
        with columns[index % 4]:
            key = st.selectbox(
                what.capitalize(), options, key=f"{prefix}_{what}", format_func=lambda key: key or "none"
            )
            _badge(finding if key == finding.value else Finding(what, key, "chosen by you"))
        if key != finding.value:
            chosen[what] = key
    return chosen


def _badge(finding: Finding) -> None:
    """Whether something was found and where, or that it is assumed."""
    color = {"found": "green", "assumed": "orange", "not found": "gray"}[finding.status]
    # A caption is paler than a badge may be.
    st.markdown(f":{color}-badge[{finding.status}] :small[{escaped(finding.where)}]")


def _choose_metrics(
    inspection: Inspection, chosen_keys: dict[str, str], prefix: str
) -> tuple[tuple[Metric, ...], bool]:
    """The metrics as corrected, and whether all of them can be used."""
    suggested = suggestions(inspection, find_keys(inspection, Choices(keys=chosen_keys))[STEP].value)
    chosen = st.multiselect(
        "Metrics",
        list(suggested),
        default=preselected(list(suggested)),
        key=f"{prefix}_metrics",
        placeholder="search the keys that the runs logged",
        help=f"{len(suggested)} keys were logged.",
    )
    rows = [suggested[key] for key in chosen]
    is_assumed = any(row.assumed for row in rows)
    with st.expander("Labels, families, directions, scales", icon=":material/tune:", expanded=is_assumed):
        return metric_rows(rows, inspection.lowest, prefix)


def _choose_detach(draft: Proposal, choices: Choices, prefix: str) -> Choices:
    """The choices with the reading of the ratio, the tasks, their total steps and their detach steps."""
    findings = {finding.what: finding for finding in draft.findings}
    ratio = findings[RATIO].value
    counts = _choose_reading(findings.get(f"{ratio} counts"), f"{prefix}_{ratio}_counts")
    unchanged = _choose_unchanged(draft, prefix)
    names = [task.name for task in draft.study.tasks]
    tasks = st.multiselect("Tasks", names, default=names, key=f"{prefix}_{findings[TASK].value}_tasks")
    totals, steps, controls = dict[str, int](), dict[str, int](), list[str]()
    for task in draft.study.tasks:
        if task.name not in tasks:
            continue
        left, right = st.columns(2)
        finding = findings[f"total steps of {task.name}"]
        with left:
            proposed = task.total_steps if finding.value else None
            totals |= _choose_steps("Total steps", task.name, finding, proposed, f"{prefix}_{task.name}_total")
        with right:
            if step := findings.get(f"detach step of {task.name}"):
                steps |= _choose_steps("Detach step", task.name, step, task.detach.step, f"{prefix}_{task.name}_step")
                controls += _choose_controls(task, f"{prefix}_{task.name}_controls")
            else:
                rule = findings[f"detach of {task.name}"]
                st.caption(f"Detach of {escaped(task.name)}: {escaped(rule.value)}")
                _badge(rule)
    return replace(
        choices,
        ratio_counts=counts,
        unchanged=unchanged,
        tasks=tasks,
        total_steps=totals,
        detach_steps=steps,
        control_sweeps=controls,
    )


def _choose_steps(label: str, task: str, finding: Finding, proposed: int | None, key: str) -> dict[str, int]:
    """The environment steps by task where the user typed others than proposed, else nothing."""
    # The key changes with what is proposed, so that a new proposal shows.
    label = escaped(f"{label} of {task}")
    steps = st.number_input(label, min_value=1, value=proposed, step=1000, key=f"{key}_{proposed}")
    _badge(finding if steps == proposed else _TYPED)
    return {} if steps is None or steps == proposed else {task: steps}


def _choose_controls(task: Task, key: str) -> list[str]:
    """The sweeps of a task that no config tells apart whose runs were never detached."""
    if len(task.sweeps) < 2:
        return []
    label = escaped(f"Sweeps of {task.name} that were never detached")
    return st.multiselect(label, task.sweeps, key=key, placeholder="none", max_selections=len(task.sweeps) - 1)


def _choose_reading(finding: Finding | None, key: str) -> str | None:
    """What the ratio counts, where the user says it."""
    if finding is None:
        return None
    proposed = None if finding.ask else finding.value
    label = f"{escaped(finding.what.removesuffix(' counts'))} counts the part of training that is"
    reading = st.segmented_control(label, ["elapsed", "remaining"], default=proposed, key=key)
    if reading in (None, proposed):
        _badge(finding)
        return None
    _badge(Finding(finding.what, reading, "chosen by you"))
    return reading


def _choose_unchanged(draft: Proposal, prefix: str) -> str | None:
    """The value of the learning rate's scale that leaves a run alone, "" for none; None where the user says nothing."""
    finding = next((finding for finding in draft.findings if finding.what.startswith("unchanged ")), None)
    if finding is None:
        return None
    key = finding.what.removeprefix("unchanged ")
    value = st.selectbox(
        f"Value of {escaped(key)} that leaves a run alone, besides 1",
        [*finding.options, ""],
        index=None,
        key=f"{prefix}_{key}_unchanged",
        format_func=lambda value: value or "none",
    )
    _badge(finding if value is None else Finding(finding.what, value, "chosen by you"))
    return value


def _not_taken(proposal: Proposal) -> None:
    """The logged keys that look like metrics and are none, by reason."""
    keys_by_reason = dict[str, list[str]]()
    for finding in proposal.findings:
        if not finding.is_taken:
            keys_by_reason.setdefault(finding.where, []).append(finding.value)
    for reason, keys in keys_by_reason.items():
        shown = keys if len(keys) <= _SHOWN else [*keys[:_SHOWN], f"{len(keys) - _SHOWN} more"]
        st.markdown(f":small[Not taken {escaped(reason)}: {escaped(listing(shown))}.]")


def _preview(inspection: Inspection, proposal: Proposal) -> None:
    st.markdown("**Preview**")
    runs = preview(proposal.study, inspection)
    table(arms(runs), alt="Runs of the proposed study by task and arm, with their seeds")
    with st.expander(f"{len(runs)} runs", icon=":material/checklist:"):
        table(runs, alt="Runs of the proposed study")
    with st.expander("Everything found and assumed", icon=":material/rule:"):
        rows = [(finding.what, finding.value or "none", finding.status, finding.where) for finding in proposal.findings]
        heads = ["what", "value", "known", "where"]
        table(pl.DataFrame(rows, schema=heads, orient="row"), alt="What the proposal rests on")
    with st.expander("The study file", icon=":material/description:"):
        st.code(to_toml(proposal.study), language="toml")
