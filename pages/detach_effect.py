import streamlit as st

from lib.app.session import cached_results
from lib.app.widgets import effect, page_frame, pickers
from lib.report import methods
from lib.study import FAMILIES

current = page_frame.require_runs()
study = current.study

evidence = current.evidence
effects = cached_results.effects(current, evidence)
if effects.is_empty():
    page_frame.nothing_detached()
    st.stop()

st.header("What can be claimed", anchor=False)
effect.claims(current, effects)
with st.expander("The claims as a table", icon=":material/table:", key="claims_table"):
    effect.effect_table(study, effects)

st.header("One task", anchor=False)
task = pickers.task_picker(current.visible_study)
metric = effect.evidence_of_task(current, task, evidence)

st.header("All tasks", anchor=False)
effect.forest(current, evidence, metric)
halves = st.grid(2, min_column_width=320, key="all_tasks")
if all(current.visible_study.family(family) for family in FAMILIES):
    with halves.cell():
        effect.quadrant(current, evidence)
with halves.cell():
    effect.event_time(current)

page_frame.explanation(f"{methods.EFFECTS}\n\n{methods.verdicts_text(effects)}\n\n{methods.ENCODER}")
