"""The share popover: a link, a claim and a citation to copy, and the study as files."""

from functools import partial

import streamlit as st

from lib.app.session import access, address, cached_results, downloads, saved, studies, widget_keys
from lib.app.session.current import Current
from lib.app.widgets.download import download
from lib.app.widgets.popover import popover
from lib.effects import ALL_TASKS, claim
from lib.report import bibtex, citation, view_link
from lib.study import Study, to_toml, without_folders


def share(study: Study, current: Current) -> None:
    """What others need to see the same, to quote it or to go on with it; the file is of the study as it was opened."""
    popover("Share", ":material/share:", widget_keys.SHARE, partial(_content, study, current))


def _content(study: Study, current: Current) -> None:
    _link(current.study)
    _claim(current)
    _citation(current)
    st.markdown("**Files**")
    _files(study, current)


def _link(study: Study) -> None:
    st.markdown("**Link to this view**")
    query = st.query_params
    pairs = [(name, value) for name in query for value in query.get_all(name)]
    _copied(view_link(st.context.url or "", pairs))
    st.caption(_reach(study))


def _reach(study: Study) -> str:
    """What a link to the view opens, and where."""
    if not studies.is_own(study):
        return "Opens this page with these settings. No key is in it."
    if access.keeps_studies():
        where = "on this computer" if saved.is_saved(study.name) else "in your session"
        return f":orange[Opens {where} only: send the bundle to others.]"
    if address.address_of(study.name) is None:
        return ":orange[This study is too long for a link: a reload loses it. Send and keep its bundle.]"
    if study.source.kind == "bundle" and access.is_readable(study.source.path):
        return "Opens this study with these settings, and asks for its bundle: send that too. No key is in it."
    return "Opens this study with these settings. No key is in it."


def _claim(current: Current) -> None:
    study, effects = current.study, cached_results.effects(current, current.evidence)
    if effects.is_empty():
        return
    rows = effects.to_dicts()
    arms = len({row["arm"] for row in rows}) > 1
    st.markdown("**A claim**")
    index = st.selectbox(
        "Claim",
        range(len(rows)),
        key=widget_keys.SHARE_CLAIM,
        format_func=lambda index: _claim_name(study, rows[index], arms),
        label_visibility="collapsed",
    )
    _copied(claim(rows[index], study, current.treatments))


def _claim_name(study: Study, row: dict[str, str], arms: bool) -> str:
    task = "Across tasks" if row["task"] == ALL_TASKS else study.task(row["task"]).title
    arm = f", {row['arm']}" if arms else ""
    return f"{task}: {study.metric(row['metric']).name}{arm} ({row['verdict']})"


def _citation(current: Current) -> None:
    st.markdown("**Citation**")
    forms = {"Text": citation, "BibTeX": bibtex}
    form = st.segmented_control(
        "Form of the citation",
        list(forms),
        default="Text",
        required=True,
        key=widget_keys.SHARE_CITATION,
        label_visibility="collapsed",
    )
    _copied(forms[form](current.study, current.manifest))


def _copied(text: str) -> None:
    """Text with a button that copies it."""
    st.code(text, language=None, wrap_lines=True)


def _files(study: Study, current: Current) -> None:
    """The study as a file, and with its runs as a bundle and a report."""
    text = to_toml(without_folders(study))
    with st.container(horizontal=True):
        explanation = "What is asked, without runs and without files that lie here: send the bundle where it has any."
        name, key = f"{study.name}.toml", f"{widget_keys.SHARE}_toml"
        download("Study file (.toml)", text, name, ":material/download:", key, help=explanation)
        if current.manifest.runs:
            bundle = partial(downloads.bundle_bytes, current)
            explanation = "The study with its runs: opens anywhere, with no key."
            name, icon, key = f"{study.name}.zip", ":material/inventory_2:", f"{widget_keys.SHARE}_bundle"
            download("Bundle (.zip)", bundle, name, icon, key, help=explanation)
            report(current, widget_keys.SHARE)


def report(current: Current, prefix: str) -> None:
    """The whole study as one self-contained page."""
    html = partial(downloads.report_html, current)
    explanation = "Every claim, chart and run in one page that prints and needs no network."
    key, icon = f"{prefix}_report", ":material/article:"
    download("Report (.html)", html, "report.html", icon, key, "text/html", explanation)
