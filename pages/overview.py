import polars as pl
import streamlit as st

from lib.app.session import cached_results
from lib.app.widgets import answer, cards, charts, overview, page_frame
from lib.app.widgets.markdown import escaped
from lib.report import methods

current = page_frame.require_runs()
study = current.study

if study.hypothesis:
    st.markdown(f"*Hypothesis:* {escaped(study.hypothesis)}")

charts.axis_notes(current)
effects = cached_results.effects(current, current.evidence)
answer.answer(study, effects)
grid = overview.layout(current)
for task in current.visible_study.tasks:
    rows = effects.filter(pl.col("task") == task.key)
    if rows.is_empty():
        st.caption("No detached run of this task: nothing to compare.")
    cards.effect_cards(study, rows)
    overview.charts(current, task, grid)

page_frame.explanation(
    f"{methods.curves_text(current.view)}\n\n{methods.EFFECTS}\n\n{methods.verdicts_text(effects)}\n\n{methods.DETACH}"
)
