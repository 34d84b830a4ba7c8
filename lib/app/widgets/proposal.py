"""A proposed study: what was found, what only the user can say, and the button that opens it."""

from dataclasses import replace
from functools import partial

import polars as pl
import streamlit as st

from lib.app.session import studies
from lib.app.widgets.landing import land
from lib.app.widgets.markdown import escaped
from lib.app.widgets.questions import DOUBTS, Answers, Rooms, ask
from lib.app.widgets.study import edit, open_button
from lib.app.widgets.tables import table
from lib.discover import Inspection, Proposal, arms, preview, propose, sentence
from lib.formatting import leading_names, listing
from lib.runs import study_text
from lib.study import InputError

#: Of the keys that are not taken for one reason, and of what is assumed, so many are named.
_MOST = 8
_OPEN, _ASKED = "Open the study", "Answer what is asked above first."


def proposal(inspection: Inspection, prefix: str) -> None:
    """The summary, the questions, the button that opens the study, its arms, and everything else under details."""
    head, questions, title_row, preview_row = (st.container() for _ in range(4))
    with head:
        _notes(inspection)
    with title_row, st.container(horizontal=True, vertical_alignment="bottom"):
        heading, room = st.container(), st.container(width="content")
    rooms = Rooms(questions, st.expander("Keys, tasks and steps"), st.expander("Metrics"))
    try:
        answers = ask(inspection, rooms, prefix)
        proposed = propose(inspection, answers.choices)
        label, own = "Title of the study", proposed.study.title
        if title := heading.text_input(
            label, key=f"{prefix}_title", placeholder=own, help="Empty: as it stands there."
        ):
            proposed = propose(inspection, replace(answers.choices, title=title))
    except InputError as error:
        questions.markdown(f":material/help: {escaped(str(error))}")
        with room:
            open_button(_OPEN, f"{prefix}_open", _ASKED)
        return
    with questions:
        for question in proposed.questions:
            if question not in answers.questions:
                st.error(escaped(question), icon=":material/error:")
    runs = preview(proposed.study, inspection)
    head.markdown(f"**{escaped(sentence(proposed.study, runs))}**")
    with preview_row:
        table(arms(runs), alt="Runs of the proposed study by task and arm, with their seeds")
        _assumed(proposed)
    with rooms.metrics:
        _not_taken(proposed)
    _more(proposed, runs, prefix)
    with room:
        _open(proposed, answers, prefix)


def _notes(inspection: Inspection) -> None:
    if inspection.notes:
        notes = inspection.notes if len(inspection.notes) <= _MOST else [*inspection.notes[:_MOST], "And more."]
        text = "\n".join(f"- {escaped(note)}" for note in notes) if len(notes) > 1 else escaped(notes[0])
        st.warning(text, icon=":material/info:")


def _open(proposed: Proposal, answers: Answers, prefix: str) -> None:
    """The button that opens the study, once what must be said was."""
    if open_button(_OPEN, f"{prefix}_open", "" if answers.is_valid and not proposed.questions else _ASKED):
        land(lambda: studies.open_text(study_text(proposed.study)))


def _assumed(proposed: Proposal) -> None:
    """What nothing in the runs says for sure, where it is not asked above."""
    findings = [f for f in proposed.findings if f.assumed and f.what not in DOUBTS and not f.question]
    assumed = [f"{f.what} {f.value}".strip() for f in findings]
    if assumed:
        st.caption(f"Assumed: {escaped(listing(leading_names(assumed, _MOST)))}.")


def _not_taken(proposed: Proposal) -> None:
    """The logged keys that look like metrics and are none, by reason."""
    keys_by_reason = dict[str, list[str]]()
    for finding in proposed.findings:
        if not finding.is_taken:
            keys_by_reason.setdefault(finding.where, []).append(finding.value)
    for reason, keys in keys_by_reason.items():
        st.markdown(f":small[Not taken {escaped(reason)}: {escaped(listing(leading_names(keys, _MOST)))}.]")


def _more(proposed: Proposal, runs: pl.DataFrame, prefix: str) -> None:
    """The runs one by one, what the study rests on, and its file."""
    with st.expander("Runs"):
        table(runs, alt="Runs of the proposed study")
    with st.expander("What the study rests on, and its file"):
        rows = [(finding.what, finding.value or "none", finding.status, finding.where) for finding in proposed.findings]
        heads = ["what", "value", "known", "where"]
        table(pl.DataFrame(rows, schema=heads, orient="row"), alt="What the proposal rests on")
        st.code(study_text(proposed.study), language="toml", wrap_lines=True)
        explanation = "Puts the study file into the editor below."
        edit_text = partial(edit, proposed.study)
        st.button("Edit as text", f"{prefix}_text", explanation, icon=":material/code:", on_click=edit_text)
