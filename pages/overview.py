import streamlit as st

from lib.app.session import cached_results
from lib.app.widgets import answer, charts, matrix, overview, page_frame, watch
from lib.app.widgets.markdown import escaped
from lib.report import methods
from lib.study import FAMILIES

current = page_frame.require_runs()
study = current.study

with st.container(gap="xxsmall"):
    if study.hypothesis:
        st.caption(f"Hypothesis: {escaped(study.hypothesis)}")
    answer.answer(current)
    watch.progress_link(current)
    matrix.matrix(current)
charts.notes(current, *FAMILIES)
overview.charts(current)

effects = cached_results.effects(current, current.evidence)
page_frame.explanation(
    f"{methods.curves_text(current.view)}\n\n{methods.EFFECTS}\n\n{methods.verdicts_text(effects)}\n\n{methods.DETACH}"
)
