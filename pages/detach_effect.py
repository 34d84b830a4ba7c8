import polars as pl
import streamlit as st

from lib import methods, session, widgets

current = widgets.need_runs()
study = current.study
effects = session.effects(current)

st.dataframe(effects, hide_index=True, alt="The effect of the detach on every metric, task and arm")
task = widgets.task_picker(study)
widgets.effect_cards(study, effects.filter(pl.col("task") == task.key))

widgets.how(f"{methods.EFFECTS}\n\n{methods.VERDICTS}")
