"""Did the detach help? The router and the frame around every page."""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from lib.app.session import address, studies
from lib.app.session.page_input import open_by_name, set_page_input
from lib.app.session.uploads import touch_uploads
from lib.app.widgets import (
    banner,
    download,
    export,
    fetching,
    notices,
    pickers,
    place,
    saved_views,
    share,
    view_settings,
    windows,
)
from lib.app.widgets.markdown import escaped
from lib.runs import StoreError

ASSETS = Path(__file__).parent / "assets"

st.set_page_config(page_title="Did the detach help?", page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")

#: Claims are sentences, not code. Streamlit writes white on the
#: primary colour, which is pale in the dark theme.
STYLE = f"""<style>{place.STYLE}
{download.STYLE}
[data-testid=stPopoverBody] [data-testid=stCode] :is(pre, code, code *) {{ font-family: inherit }}
[data-testid^=stBaseButton-primary]:enabled, [data-testid=stMultiSelect] [data-tag] {{ color: light-dark(#fff, #12181f) }}
</style>"""
st.html(STYLE)

PAGES = [
    st.Page(
        "pages/overview.py",
        title="Overview",
        icon=":material/dashboard:",
        default=True,
        help="What the study asks and what the data answer: every metric before and after the detach, and all charts.",
    ),
    st.Page(
        "pages/rewards.py",
        title="Rewards",
        icon=":material/trending_up:",
        url_path="rewards",
        help="Episode reward over steps for each task, with the detach rule and the number of seeds.",
    ),
    st.Page(
        "pages/losses.py",
        title="Losses",
        icon=":material/trending_down:",
        url_path="losses",
        help="Consistency losses over steps for each task, on a log axis with a multiplicative band.",
    ),
    st.Page(
        "pages/detach_effect.py",
        title="Detach effect",
        icon=":material/compare_arrows:",
        url_path="detach_effect",
        help="What changed at the detach: effects with intervals, verdicts and reasons, and every seed's values.",
    ),
    st.Page(
        "pages/plan.py",
        title="Plan",
        icon=":material/event_upcoming:",
        url_path="plan",
        help="How many runs show a change or a margin, what they take, what starts them, and how far the planned ones are.",
    ),
    st.Page(
        "pages/runs.py",
        title="Runs",
        icon=":material/checklist:",
        url_path="runs",
        help="The audit of every run: state, last step, detach step and its source, warnings. Leave a run out here.",
    ),
    st.Page(
        "pages/study.py",
        title="Study",
        icon=":material/science:",
        url_path="study",
        help="What is being asked and where the runs come from: fetch, edit, store and share the open study.",
    ),
    st.Page(
        "pages/new_study.py",
        title="New study",
        icon=":material/add_circle:",
        url_path="new_study",
        help="From the address of a sweep, a folder or a file to a study that is open.",
    ),
]

page = st.navigation(PAGES)
try:
    with st.sidebar:
        address.read_address()
        inputs = open_by_name(pickers.study_picker())
        study, current = inputs.study, inputs.current
        if study is not None:
            studies.restore_left_out(study.name)
            fetching.freshness(study, inputs.manifest)
            if current is not None:
                fetching.live(study, current.manifest)
            view = view_settings.view_settings(study, current, page.url_path)
            evidence = windows.evidence_windows(study, page.url_path)
            inputs = replace(inputs, current=current and replace(current.with_view(view), evidence=evidence))
            if view_settings.touches(page.url_path):
                saved_views.saved_views(study)
    set_page_input(inputs)
    touch_uploads()
    if study is not None:
        address.keep_address(study.name)
        if current is not None:
            studies.keep_left_out(study.name)
    if study is not None and current is not None:
        notices.fetch_ended(study, current.manifest)
    notices.show()

    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(escaped(study.title) if study is not None and page.url_path == "" else page.title, anchor=False)
        if study is not None and inputs.current is not None and page.url_path != "new_study":
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
                if page.url_path == "" and inputs.current.is_public:
                    st.page_link(
                        "pages/new_study.py",
                        label="Open your own runs",
                        help="",
                        width=144,
                    )
                share.share(study, inputs.current)
                export.export(inputs.current)
    banner.banner(inputs)
    page.run()
except StoreError as error:
    # Another program may clear the store at any moment.
    st.error(escaped(str(error)), icon=":material/error:")
