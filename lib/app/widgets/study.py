"""Parts of the Study page: source and key, stored runs, opening and sharing a study."""

import hashlib
from collections.abc import Callable

import polars as pl
import streamlit as st

from lib.app.session import access, fetching, studies, widget_keys
from lib.app.widgets import notices
from lib.app.widgets.fetching import fetch_button
from lib.app.widgets.key_form import key_form
from lib.app.widgets.markdown import escaped
from lib.app.widgets.tables import table
from lib.formatting import listing, plural
from lib.runs import Manifest, clear, study_text
from lib.study import (
    DetachRule,
    InputError,
    Study,
    changed_parts,
    parse_study,
    parts_after_looking,
    text_message,
    to_toml,
    value_text,
)


def source(study: Study, manifest: Manifest | None) -> None:
    """Where the runs come from, the key for it, and the buttons that fetch."""
    st.subheader("Source", anchor=False)
    if not access.may_read(study):
        return  # The page says why.
    if study.source.kind == "wandb":
        server = access.server_for(study)
        st.markdown(_project(study, server))
        if manifest is not None or access.key_for(study):  # else the page has asked for it
            _key(study, server)
    else:
        st.markdown(_place(study))
    if study.source.kind != "bundle":
        if manifest is not None:
            with st.container(horizontal=True):
                fetch_button(study, "Fetch what is new", widget_keys.FETCH_NEW)
                fetch_button(study, "Fetch everything again", widget_keys.FETCH_ALL, refresh=True)
        label = "Give up on a run after so many seconds"
        st.number_input(label, 5, value=fetching.DEADLINE, key=widget_keys.DEADLINE, persist_state="session", width=300)
    if manifest is not None:
        st.caption(
            escaped(f"{plural(len(manifest.runs), 'run')}, fetched {manifest.fetched_at[:16].replace('T', ' ')} (UTC).")
        )


def _project(study: Study, server: str) -> str:
    """The project of the runs, in a sentence; the table of tasks has its sweeps."""
    return f"W&B project `{study.source.entity}/{study.source.project}` on {escaped(server)}."


def _place(study: Study) -> str:
    """The folder or the bundle of the runs, in a sentence."""
    path = study.source.path
    if study.source.kind == "offline":
        return f"Local wandb folder `{path}`."
    return f"Bundle `{path}`." if access.is_shipped(study) else "Bundle that you opened."


def _key(study: Study, server: str) -> None:
    """The key that is used for the study's server, and the visitor's own."""
    if not access.own_key(server) and access.key_for(study):
        owner = "the key of this machine's W&B login" if access.is_own_machine() else "this deployment's key"
        st.badge(f"{owner} is in use", icon=":material/key:", color="blue")
    key_form(server, "key_form")


def question(study: Study) -> None:
    """The question of the study, every default included."""
    st.subheader("What is being asked", anchor=False)
    if study.hypothesis:
        st.markdown(f"Hypothesis: {escaped(study.hypothesis)}")
    metrics = [
        (m.name, m.key, m.family, m.expect, m.scale, "yes" if m.smoothed else "no", m.role, m.margin_text or "none")
        for m in study.metrics
    ]
    tasks = [(t.title, t.name, ", ".join(t.sweeps) or "every run", t.total_steps, t.window) for t in study.tasks]
    heads = ["metric", "key", "family", "expected to", "scale", "smoothed", "role", "margin"]
    table(pl.DataFrame(metrics, schema=heads, orient="row"), alt="The study's metrics")
    if size := study.evidence.planned:
        st.caption(f"Planned size: {size:,} runs per arm, or pairs.")
    after_looking(study)
    heads = ["task", "name in config", "sweeps", "total steps", "smoothing steps"]
    table(pl.DataFrame(tasks, schema=heads, orient="row"), alt="The study's tasks")
    tasks_by_rule = dict[str, list[str]]()
    for task in study.tasks:
        tasks_by_rule.setdefault(rule_text(task.detach), []).append(task.title)
    for rule, titles in tasks_by_rule.items():
        whose = f" of {listing(titles)}" if len(tasks_by_rule) > 1 else ""
        st.markdown(f":small[Detach rule{escaped(f'{whose}: {rule}.')}]")


def after_looking(study: Study) -> None:
    """What the study declares that was set after looking."""
    if parts := parts_after_looking(study):
        st.caption(escaped(f"Set after looking, for runs are in: {listing(parts)}."))


def rule_text(rule: DetachRule) -> str:
    """A detach rule in words."""
    parts = [f"typed {rule.step:,}"] if rule.step else []
    if rule.detach_step_key:
        parts.append(f"config {rule.detach_step_key}")
    if rule.ratio_key:
        parts.append(f"config {rule.ratio_key} ({rule.ratio_counts})")
    for name, conditions in {"frozen": rule.frozen_when, "left alone": rule.unchanged_when}.items():
        if conditions:
            parts.append(f"{name} where {listing(f'{key} is {value_text(value)}' for key, value in conditions)}")
    if rule.signal:
        parts.append(f"checked by {rule.signal.key}" if parts else f"read from {rule.signal.key}")
    if rule.randomised:
        parts.append(f"randomised {rule.randomised.low:g} to {rule.randomised.high:g}")
    return ", ".join(parts) or "none: the arm of every run is unknown"


def stored(study: Study) -> None:
    """The runs in this visitor's store, and a way to clear it."""
    folders = fetching.stored_usage(study)
    if not folders:
        return
    st.subheader("Stored", anchor=False)
    for usage in folders:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{escaped(usage.project)}: {plural(usage.runs, 'run')}, {_size(usage.bytes)}")
            if st.button("Clear", key=f"clear_{usage.folder.name}", icon=":material/delete:"):
                clear(usage.folder)
                fetching.forget_fetch(study)
                st.rerun()


def _size(count: int) -> str:
    """A number of bytes as kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def editor(open_study: Callable[[Callable[[], str]], None], study: Study | None = None) -> None:
    """Write the text of a new study, or change that of the open one, and open it so; what is wrong is said beside it."""
    label = "Write a study as text" if study is None else "Edit as text"
    with st.expander(label, icon=":material/code:", key=widget_keys.TEXT_PANEL, on_change="rerun"):
        text = st.text_area(
            "Study file",
            "" if study is None else study_text(study),
            key=_text_key(study),
            height=360,
            placeholder='[study]\nname = "mine"\n…',
        )
        message, line = text_message(text) if text else ("", None)
        if message:
            st.error(escaped(message if line is None else f"Line {line}. {message}"), icon=":material/error:")
            if line is not None:
                st.code(text.splitlines()[line - 1], language="toml", wrap_lines=True)
        elif study is not None and text != study_text(study):
            after_looking(studies.with_marks(parse_study(text), study.name))
        if st.button("Check and open", icon=":material/check:") and not message:
            open_study(lambda: studies.open_text(text, "" if study is None else study.name))


def _text_key(study: Study | None) -> str:
    """The key of the editor: of the open study another one than of a new one, and another one once it was changed."""
    if study is None:
        return widget_keys.STUDY_TEXT
    return f"{widget_keys.STUDY_TEXT}_{stamp(study)}"


def stamp(study: Study) -> str:
    """A text that differs whenever what a study says does: for keys of widgets that bring its values."""
    return hashlib.sha256(to_toml(study).encode()).hexdigest()[:12]


def edit(study: Study, opened: Study | None = None) -> None:
    """Put a study's text into the editor of the open study, or of a new one, and open it."""
    st.session_state[_text_key(opened)] = study_text(study)
    st.session_state[widget_keys.TEXT_PANEL] = True


def open_button(label: str, key: str, missing: str) -> bool:
    """Whether the button that opens a study is clicked and nothing is `missing`; what is, is said at the click.

    It is never disabled: it would not count a click that comes right after typing.
    """
    is_clicked = st.button(label, key, type="primary", icon=":material/check:")
    if is_clicked and missing:
        st.toast(missing, icon=":material/error:")
    return is_clicked and not missing


def open_with(opening: Callable[[], str], fetch: bool = False, before: Study | None = None) -> None:
    """Open a study, fetch its runs if that is asked for, and make it the current one; or say what is wrong with it.

    The notice says what differs from the study `before`, of which it is a change.
    """
    try:
        name = opening()
    except InputError as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    study = studies.study_named(name)
    if fetch and study.source.kind == "wandb" and access.key_for(study):
        fetching.start_fetch(study)
    studies.choose(name)
    parts = changed_parts(study, before) if before else []
    notices.note(f"Opened {study.title}{f' with other {listing(parts)}' if parts else ''}", ":material/check_circle:")
    st.rerun()
