import streamlit as st

from lib import methods, session, widgets, widgets_effect

current = widgets.need_runs()
study = current.study

evidence = widgets_effect.windows(study)
effects = session.effects(current, evidence)
if effects.is_empty():
    widgets.nothing_detached()
    st.stop()

st.header("What can be claimed", anchor=False)
widgets_effect.forest(current, evidence)
widgets_effect.claims(current, effects)
with st.expander("The effects as a table", icon=":material/table:"):
    widgets_effect.effect_table(effects)

st.header("One task", anchor=False)
task = widgets.task_picker(study)
widgets_effect.evidence_of_task(current, task, evidence)

st.header("All tasks", anchor=False)
halves = st.grid(2, min_column_width=320)
with halves.cell():
    widgets_effect.quadrant(current, evidence)
with halves.cell():
    widgets_effect.event_time(current)

widgets.how(f"{methods.EFFECTS}\n\n{methods.VERDICTS}")
