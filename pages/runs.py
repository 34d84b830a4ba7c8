import polars as pl
import streamlit as st

from lib.app.session import cached_results, widget_keys
from lib.app.widgets import page_frame
from lib.app.widgets.download import download
from lib.app.widgets.markdown import escaped, is_web_address
from lib.app.widgets.runs import config_differences, leave_out, raw_points
from lib.app.widgets.tables import table
from lib.formatting import plural
from lib.report import methods, row_titles, with_names
from lib.report import table as as_csv
from lib.runs import count_warned, fork_text

current = page_frame.require_runs()
study, tasks = current.visible_study, current.visible_study.tasks
every_run = cached_results.runs(current)
# What is amiss is read first.
runs = every_run.filter(pl.col("task").is_in([task.key for task in tasks])).sort(
    pl.col("warnings") == "", maintain_order=True
)
links = {run.id: run.url if is_web_address(run.url) else "" for run in current.manifest.runs}
forks = {run.id: fork_text(run) for run in current.manifest.runs}
fork = pl.col("run_id").replace_strict(forks, default="")

warned = count_warned(runs, current.manifest.runs)
st.markdown(f"**{plural(runs.height, 'run')}**, {warned or 'none'} with warnings")

shown = with_names(runs, study).with_columns(
    fork.str.strip_prefix("fork of ").alias("fork of"),
    pl.col("run_id").replace_strict(links, default="").alias("W&B"),
    pl.col("warnings").str.replace_all("; ", "\n"),
)
shown = shown.drop(name for name, texts in {"fork of": forks, "W&B": links}.items() if not any(texts.values()))
# Then which run it is; a phone shows no more. The numbers of rows come last.
of_rows = [name for name in shown.columns if name.startswith("rows:")]
first = [*(["warnings"] if shown["warnings"].ne("").any() else []), "run_id", "seed", "arm", "task"]
shown = shown.select(*first, pl.exclude("warnings", *first, *of_rows), *row_titles(study))
picked = table(
    shown,
    key=widget_keys.RUNS_TABLE,
    on_select="rerun",
    selection_mode="multi-row",
    titles={
        **row_titles(study),
        "last_step": "last step",
        "detach_step": "detach step",
        "detach_source": "detach source",
        "run_id": "run",
    },
    column_config={
        "W&B": st.column_config.LinkColumn("W&B", display_text="open"),
        "warnings": st.column_config.TextColumn("warnings", width="medium"),
    },
    alt="Every run with its state, last step, detach step and warnings",
)
chosen = runs[picked.selection.rows]["run_id"].to_list()
with st.container(horizontal=True):
    st.button(
        "Leave out", icon=":material/visibility_off:", disabled=not chosen, on_click=leave_out, args=(chosen, True)
    )
    st.button("Bring back", icon=":material/visibility:", disabled=not chosen, on_click=leave_out, args=(chosen, False))
    download("runs.csv", lambda: as_csv(every_run, "csv"), "runs.csv", ":material/download:", "runs_file")
if not chosen:
    st.caption("Select rows to leave runs out, bring them back, or see their raw points.")
for run_id in dict.fromkeys(chosen):
    raw_points(current, run_id)

dropped = cached_results.unusable_values(current)
if dropped.height:
    st.header("Points no curve can show", anchor=False)
    table(with_names(dropped, study), alt="Points that are not finite or not positive, by run and metric")

differing = {t.title: config_differences(current, t) for t in tasks}
if any(differing.values()):
    st.header("Config differences beyond seed and detach", anchor=False)
    for title, differences in differing.items():
        for key, values in differences.items():
            st.markdown(f"- **{escaped(title)}**: {escaped(key)} is {escaped(', '.join(values))}")

page_frame.explanation(f"{methods.AUDIT}\n\n{methods.DETACH}")
