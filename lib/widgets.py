"""Controls that pages share: study picker, view settings, badges, the fetch panel, charts with their text."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from lib import audit, session, session_fetch, session_studies, widgets_notices
from lib.detach import arms_of
from lib.history import Manifest
from lib.session import Current
from lib.session_fetch import Brought
from lib.study import InputError, Study, Task
from lib.view import View
from lib.widgets_tables import table

_AGGREGATES = {"mean": "mean", "IQM": "iqm", "median": "median"}
_SPREADS = {"std": "std", "std error": "se", "95% interval": "ci", "min-max": "minmax"}
_AXES = {
    "steps": "steps",
    "% of training": "percent",
    "steps since detach": "since",
    "% since detach": "since_percent",
    "wall time": "wall",
}
_RANGE_HELP = (
    "The range of x of every chart and export. Hold Shift and drag over a chart to set it. Dragging, and the wheel with Ctrl "
    "or Cmd, move and zoom one chart, on the Overview the rewards and losses of a task together; a double click undoes that."
)
#: No colouring; config keys are no such words.
_NOTHING = "nothing"


def study_picker() -> str:
    """The study, kept in the URL."""
    names = session_studies.study_names()
    session_studies.apply_choice()
    return st.selectbox(
        "Study",
        names,
        key="study",
        bind="query-params",
        help="Studies in studies/, and those you opened on the Study page.",
    )


def view_settings(study: Study, found: Brought | None) -> View:
    """The settings that every view and export shares, kept in the URL."""
    with st.expander("View", icon=":material/tune:", expanded=True):
        aggregate = st.selectbox("Aggregate over seeds", list(_AGGREGATES), key="aggregate", bind="query-params")
        spreads = list(_SPREADS) if aggregate == "mean" else ["std", "min-max"]
        spread = st.selectbox("Band", spreads, key="spread", bind="query-params")
        axis = st.selectbox("X axis", list(_AXES), key="x", bind="query-params", on_change=_draw_all)
        smooth = st.toggle("Smooth train rewards", value=True, key="smooth", bind="query-params")
        window = st.number_input(
            "Smoothing window (steps)",
            min_value=1,
            value=None,
            step=1000,
            placeholder="each task's own",
            key="window",
            bind="query-params",
            disabled=not smooth,
        )
        raw = st.toggle(
            "Raw points behind smoothed",
            key="raw",
            bind="query-params",
            disabled=not smooth,
            help="Each run before smoothing, one value a bin: means of what was logged there.",
        )
        seeds = st.toggle("Draw every seed", key="seeds", bind="query-params")
        color_by = _color_by(study, found)
        exact = st.toggle(
            "Notebook arithmetic",
            key="exact",
            bind="query-params",
            help="Exact-step grouping and point-wise smoothing, to check a figure of the original notebook.",
        )
        if exact and _AXES[axis] == "wall":
            st.caption(":orange[Notebook arithmetic has no wall time: drawn over steps.]")
            axis = "steps"
            # A range in hours is none of steps.
            span = None
        else:
            span = _span()
        log_reward = st.toggle("Log axis for rewards", key="log_reward", bind="query-params")
        log_loss = st.toggle("Log axis for losses", value=True, key="log_loss", bind="query-params")
        arms, left_out = _arms_and_runs(study, found)
    return View(
        aggregate=_AGGREGATES[aggregate],  # type: ignore[arg-type]
        spread=_SPREADS[spread],  # type: ignore[arg-type]
        smooth=smooth,
        window=int(window) if window else None,
        grid="exact" if exact else "aligned",
        arms=arms,
        left_out=left_out,
        seeds=seeds,
        x=_AXES[axis],  # type: ignore[arg-type]
        span=span,
        log_reward=log_reward,
        log_loss=None if log_loss else False,
        color_by=color_by,
        raw=raw,
    )


def _color_by(study: Study, found: Brought | None) -> str:
    """What every run is drawn in the colour of; empty: the runs are not drawn so."""
    if found is None:
        return ""
    keys = session.keys_to_color_by(study, found.stamp, found.manifest)
    chosen = st.selectbox(
        "Colour every run by",
        [_NOTHING, *keys],
        key="color",
        bind="query-params",
        help="Draws each run's own line in the colour of its seed, its arm or a config key on which runs differ.",
    )
    return "" if chosen == _NOTHING else chosen


def _span() -> tuple[float, float] | None:
    """The range of x to draw, typed here or brushed on a chart."""
    left, right = st.columns(2)
    low = left.number_input(
        "From", value=None, key="from", bind="query-params", placeholder="start", format="%g", help=_RANGE_HELP
    )
    high = right.number_input("To", value=None, key="to", bind="query-params", placeholder="end", format="%g")
    if low is None or high is None:
        return None
    if low >= high:
        st.markdown(":orange[From must be below To: all is drawn.]")
        return None
    st.button("Draw all again", icon=":material/zoom_out_map:", on_click=_draw_all)
    return low, high


def _draw_all() -> None:
    st.session_state["from"] = st.session_state["to"] = None


def _arms_and_runs(study: Study, found: Brought | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if found is None:
        return (), ()
    treated = session.treated_runs(study, found.stamp, found.manifest)
    arms = st.multiselect("Arms", arms_of(treated), key="arms", bind="query-params", placeholder="all arms")
    out = st.multiselect(
        "Runs left out",
        sorted({t.run_id for t in treated}),
        key="out",
        bind="query-params",
        placeholder="none",
        help="Left out of every chart, table and export. The Runs page tells them apart.",
    )
    return tuple(arms), tuple(sorted(out))


def leave_out(run_ids: Sequence[str], out: bool) -> None:
    """Leave runs out or bring them back, from a button's callback."""
    chosen = set(st.session_state.get("out", []))
    st.session_state["out"] = sorted(chosen | set(run_ids) if out else chosen - set(run_ids))
    changed = len(set(run_ids) - chosen if out else set(run_ids) & chosen)
    if changed:
        said = "Left out of every chart and table" if out else "Brought back"
        widgets_notices.note(f"{said}: {changed} {'run' if changed == 1 else 'runs'}", ":material/info:")


def freshness(study: Study, manifest: Manifest | None) -> None:
    """Badges: where the runs come from, how old they are, what is missing."""
    kinds = {"wandb": "W&B", "offline": "local wandb folder", "bundle": "bundle"}
    icons = {"wandb": ":material/cloud:", "offline": ":material/folder:", "bundle": ":material/inventory_2:"}
    kind = study.source.kind
    with st.container(horizontal=True, gap="small"):
        st.badge(kinds[kind], icon=icons[kind], color="blue")
        if manifest is None:
            st.badge("not fetched", icon=":material/cloud_off:", color="gray")
            return
        st.badge(f"{len(manifest.runs)} runs", color="gray")
        # A bundle does not age: it says when it was made.
        when = manifest.fetched_at[:10] if kind == "bundle" else age(manifest.fetched_at)
        st.badge(when, icon=":material/schedule:", color="gray")
        running = sum(run.state == "running" for run in manifest.runs)
        if running:
            st.badge(f"{running} running", icon=":material/play_circle:", color="green")
        if manifest.problems:
            st.badge(f"partial: {len(manifest.problems)}", icon=":material/warning:", color="orange")


#: Seconds between two looks at runs that are still going on.
LIVE_EVERY = 60


def live(study: Study, manifest: Manifest) -> None:
    """While runs are still going on: a switch that fetches what is new every minute, without losing the view."""
    if study.source.kind == "bundle" or not any(run.state == "running" for run in manifest.runs):
        return
    if st.toggle("Follow running runs", key="live", bind="query-params", help=f"Fetches every {LIVE_EVERY} seconds."):
        _follow(study)


@st.fragment(run_every="5s")
def _follow(study: Study) -> None:
    job = session_fetch.job_of(study)
    if job and job.running:
        st.caption(f"Refreshing: {job.progress.message}")
        return
    seen = st.session_state.get("followed")
    if job and job.quiet and seen != job.ended:
        st.session_state["followed"] = job.ended
        st.rerun()
    if job is None or time.monotonic() - job.ended > LIVE_EVERY:
        session_fetch.start_fetch(study, quiet=True)
    st.caption("Following running runs.")


def age(fetched_at: str) -> str:
    """How long ago a moment was, in the largest fitting unit."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(fetched_at)).total_seconds()
    except ValueError:
        return fetched_at
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} old"
    return "just now"


def problems(study: Study, manifest: Manifest) -> None:
    """What keeps the study from being whole, with a retry for those runs alone."""
    if not manifest.problems:
        return
    lines = "\n".join(f"- {problem.message}" for problem in manifest.problems)
    st.warning(f"Some of this study is missing:\n{lines}", icon=":material/warning:")
    partial = tuple(problem.run_id for problem in manifest.problems if problem.run_id)
    if partial:
        st.button(
            "Retry 1 run" if len(partial) == 1 else f"Retry {len(partial)} runs",
            key="retry",
            icon=":material/refresh:",
            disabled=session_fetch.is_fetching(study),
            on_click=session_fetch.start_fetch,
            args=(study, False, partial),
        )


def how(text: str) -> None:
    """The page's "how this is computed" text."""
    with st.expander("How this is computed", icon=":material/function:"):
        st.markdown(text)


def task_picker(study: Study) -> Task:
    """The task to look at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks[0]
    chosen = st.segmented_control(
        "Task", list(titles), default=next(iter(titles)), key="task", bind="query-params", required=True
    )
    return titles[chosen]


#: Of the Rewards and Losses pages: the one task to look at.
FOCUS = "only"
_ALL = "All tasks"


def focus(study: Study) -> tuple[Task, ...]:
    """The tasks to draw: all, or the one looked at, kept in the URL; no control where there is only one."""
    titles = {task.title: task for task in study.tasks}
    if len(titles) == 1:
        return study.tasks
    # Without its label it is as high as what stands for it while it loads: nothing moves when it comes.
    chosen = st.segmented_control(
        "Tasks",
        [_ALL, *titles],
        default=_ALL,
        key=FOCUS,
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    return (titles[chosen],) if chosen in titles else study.tasks


def task_choice(study: Study, key: str) -> Task:
    """The task that a form is about; no control where there is only one."""
    if len(study.tasks) == 1:
        return study.tasks[0]
    titles = {task.title: task for task in study.tasks}
    return titles[st.selectbox("Task", list(titles), key=key)]


def need_runs() -> Current:
    """The current study with its runs; where there are none, say what to do and stop the page."""
    study, manifest, complaint = session.opened()
    if study is None:
        st.error(complaint, icon=":material/error:")
        st.page_link("pages/study.py", label="Open another study", icon=":material/science:")
        st.stop()
    if complaint:
        st.error(complaint, icon=":material/error:")
    fetch_panel(study, manifest)
    if manifest is None or not manifest.runs:
        st.stop()
    problems(study, manifest)
    return session.current()


def nothing_detached() -> None:
    """Say that no run was detached, and where to look at what the study takes for a detach."""
    st.info(
        "No run of this study was detached: there is nothing to compare. The Runs page says each run's detach step and its "
        "source; the Study page has the rule.",
        icon=":material/info:",
    )
    with st.container(horizontal=True):
        st.page_link("pages/runs.py", label="Look at the runs", help="")
        st.page_link("pages/study.py", label="Change the detach rule", help="")


def fetch_panel(study: Study, manifest: Manifest | None) -> None:
    """A running fetch with its progress and a stop button, a failed one's error, or the way to the first fetch."""
    if session_fetch.just_ended(study):
        st.rerun()
    job = session_fetch.job_of(study)
    if job and job.running and not job.quiet:
        _progress(study)
    elif job and job.error:
        st.error(job.error, icon=":material/error:")
    if manifest is None and not (job and job.running):
        st.info(
            f"Nothing of **{study.title}** is stored yet. Fetching reads {_where(study)} and keeps the histories on disk.",
            icon=":material/cloud_download:",
        )
        fetch_button(study, "Fetch runs", "first_fetch")
        if study.source.kind == "wandb" and session_studies.key_for(study) is None:
            st.page_link("pages/study.py", label="Enter a W&B API key first", icon=":material/key:")


def _where(study: Study) -> str:
    source = study.source
    return f"`{source.entity}/{source.project}` on W&B" if source.kind == "wandb" else f"`{source.path}`"


def fetch_button(study: Study, label: str, key: str, refresh: bool = False) -> None:
    """A button that fetches in the background."""
    st.button(
        label,
        key=key,
        icon=":material/cloud_download:",
        disabled=session_fetch.is_fetching(study),
        on_click=session_fetch.start_fetch,
        args=(study, refresh),
    )


@st.fragment(run_every="500ms")
def _progress(study: Study) -> None:
    job = session_fetch.job_of(study)
    if job is None or not job.running:
        st.rerun()
    at = job.progress
    done = at.done / at.total if at.total else 0.0
    st.progress(min(done, 1.0), text=f"{at.done} of {at.total} runs: {at.message}" if at.total else at.message)
    st.button("Stop", key="stop_fetch", icon=":material/stop_circle:", on_click=job.stop)


def opened_study(name: str) -> tuple[Study | None, Brought | None, str]:
    """The study chosen by that name, its runs, and what went wrong."""
    try:
        study = session_studies.study_named(name)
    except InputError as error:
        return None, None, str(error)
    try:
        return study, session_fetch.brought(study), ""
    except InputError as error:
        return study, None, str(error)


def raw_points(current: Current, run_id: str) -> None:
    """A run's raw points, metric by metric, as logged."""
    run = next(run for run in current.manifest.runs if run.id == run_id)
    with st.expander(f"Raw points of {run.name or run.id}", expanded=True):
        if run.url:
            st.link_button("Open on W&B", run.url, icon=":material/open_in_new:")
        table(session.points(current, run_id), alt=f"Every logged point of run {run.id}")


def config_differences(current: Current, task: Task) -> dict[str, list[str]]:
    """Config keys on which a task's runs differ, beyond the seed and what the detach rule reads."""
    rule = task.detach
    meant = {
        current.study.seed_key,
        rule.ratio_key,
        rule.total_steps_key,
        "detach_step",
        *(k for k, _ in rule.frozen_when),
    }
    return audit.config_differences(current.manifest, task.key, meant)
