"""Freshness of the runs, the fetch button, its progress, and problems of the last fetch."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from lib.app.session import access, fetching, studies, widget_keys
from lib.app.widgets import missing_inputs
from lib.app.widgets.markdown import escaped
from lib.formatting import plural
from lib.runs import Manifest
from lib.sources import Progress
from lib.study import Study

#: The kinds of sources: name and icon.
_SOURCES = {
    "wandb": ("W&B", ":material/cloud:"),
    "offline": ("local wandb folder", ":material/folder:"),
    "bundle": ("bundle", ":material/inventory_2:"),
}


#: Problems that the page lists one by one.
_MOST = 20


def freshness(study: Study, manifest: Manifest | None) -> None:
    """Badges: where the runs come from, how old they are, what is missing."""
    name, icon = _SOURCES[study.source.kind]
    with st.container(horizontal=True, gap="small"):
        st.badge(name, icon=icon, color="blue")
        if manifest is None:
            st.badge("not fetched", icon=":material/cloud_off:", color="gray")
            return
        st.badge(plural(len(manifest.runs), "run"), color="gray")
        # A bundle does not age: it says when it was made.
        is_bundle = study.source.kind == "bundle"
        when = manifest.fetched_at[:10] if is_bundle else age(manifest.fetched_at)
        st.badge(escaped(when), icon=":material/schedule:", color="gray")
        if running := sum(run.state == "running" for run in manifest.runs):
            st.badge(f"{running} running", icon=":material/play_circle:", color="green")
        if manifest.problems:
            st.badge(f"partial: {len(manifest.problems)}", icon=":material/warning:", color="orange")


#: Seconds between two looks at runs that are still going on.
LIVE_EVERY = 60


def live(study: Study, manifest: Manifest) -> None:
    """While runs are still going on: a switch that fetches what is new every minute, without losing the view."""
    if study.source.kind == "bundle" or not any(run.state == "running" for run in manifest.runs):
        return
    if st.toggle(
        "Follow running runs", key=widget_keys.FOLLOW, bind="query-params", help=f"Fetches every {LIVE_EVERY} seconds."
    ):
        _follow(study)


@st.fragment(run_every="5s")
def _follow(study: Study) -> None:
    job = fetching.job_of(study)
    if job and job.is_running:
        st.caption(escaped(f"Refreshing: {job.progress.message}"))
        return
    if job and job.is_quiet and not job.is_announced:
        job.is_announced = True
        st.rerun()
    if job is None or time.monotonic() - job.ended > LIVE_EVERY:
        fetching.start_fetch(study, is_quiet=True)
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
            return f"{plural(count, unit)} old"
    return "just now"


def problems(study: Study, manifest: Manifest) -> None:
    """What keeps the study from being whole, with a retry for those runs alone."""
    place = st.container()
    if not manifest.problems:
        return
    lines = "\n".join(f"- {escaped(problem.message)}" for problem in manifest.problems[:_MOST])
    if (more := len(manifest.problems) - _MOST) > 0:
        lines += f"\n- And {more:,} more."
    run_ids = tuple(problem.run_id for problem in manifest.problems if problem.run_id)
    with place:
        st.warning(f"Some of this study is missing:\n{lines}", icon=":material/warning:")
        if run_ids:
            retry = partial(fetching.start_fetch, study, only=run_ids)
            _button(study, f"Retry {plural(len(run_ids), 'run')}", widget_keys.RETRY, ":material/refresh:", retry)


def fetch_panel(study: Study, manifest: Manifest | None) -> None:
    """A running fetch with its progress and a stop button, a failed one's error, or the way to the first fetch."""
    job = fetching.job_of(study)
    # Read once: a fetch that ends from here on is shown as running, and its progress runs the page again.
    is_running = job is not None and job.is_running
    if not is_running and fetching.has_just_ended(study):
        st.rerun()
    if not access.may_read(study):
        return  # The page says why.
    # Its place stays when the fetch has ended: the page below is the same one.
    place = st.container()
    if is_running and job and not job.is_quiet:
        with place:
            _progress(study)
    elif job and job.error:
        place.error(escaped(job.error), icon=":material/error:")
    if manifest is None and not is_running:
        _first_fetch(study)


def _first_fetch(study: Study) -> None:
    """The way to the first fetch, or to what it needs."""
    if studies.missing_bundle(study):
        missing_inputs.ask_bundle(study)
        return
    if study.source.kind != "wandb" or access.key_for(study) or not missing_inputs.ask_key(study):
        st.info(
            f"Nothing of **{escaped(study.title)}** is stored yet. "
            f"Fetching reads {_where(study)} and keeps the histories on disk.",
            icon=":material/cloud_download:",
        )
    fetch_button(study, "Fetch runs", widget_keys.FIRST_FETCH)


def _where(study: Study) -> str:
    source = study.source
    return f"{escaped(f'{source.entity}/{source.project}')} on W&B" if source.kind == "wandb" else escaped(source.path)


def fetch_button(study: Study, label: str, key: str, refresh: bool = False) -> None:
    """A button that fetches in the background."""
    _button(study, label, key, ":material/cloud_download:", partial(fetching.start_fetch, study, refresh=refresh))


def _button(study: Study, label: str, key: str, icon: str, start: Callable[[], None]) -> None:
    st.button(label, key=key, icon=icon, disabled=fetching.is_fetching(study), on_click=start)


@st.fragment(run_every="500ms")
def _progress(study: Study) -> None:
    job = fetching.job_of(study)
    if job is None or not job.is_running:
        st.rerun()
    progress_bar(job.progress, widget_keys.STOP_FETCH, job.stop)


def progress_bar(progress: Progress, key: str, stop: Callable[[], None]) -> None:
    """How far work on runs is, and the button that stops it."""
    share = progress.done / progress.total if progress.total else 0.0
    text = (
        f"{progress.done:,} of {plural(progress.total, 'run')}: {progress.message}"
        if progress.total
        else progress.message
    )
    st.progress(min(share, 1.0), text=escaped(text))
    st.button("Stop", key=key, icon=":material/stop_circle:", on_click=stop)
