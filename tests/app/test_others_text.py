"""Texts of others (titles, labels, names, config values, problems) are shown as they are: neither Markdown nor HTML."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from lib.app.session import access, widget_keys
from lib.app.session.state import KEY, SessionState
from lib.app.session.uploads import upload_name
from lib.runs import SavedStudy, put, store_root
from lib.sources import bundled_study
from lib.study import Study
from tests.support.app_kit import PAGES, fine, opened_study, server_state, unopened, visit  # noqa: F401 - a fixture
from tests.support.hostile import hostile_bundle

pytestmark = pytest.mark.slow

#: What is left of it where it is escaped: each sign of Markdown behind a backslash.
RAW = re.compile(r"(?<!\\)!\[x|(?<!\\)\$x|(?<!\\):red|:material/skull|(?<!\\)\*e|(?<!\\)`c|(?<!\\)<b>|(?<!\\)\[l")
#: Fields of Streamlit's messages that the browser shows as plain text, or that are no text for readers at all.
PLAIN = {
    ("Selectbox", "options"), ("MultiSelect", "options"), ("TextInput", "default"), ("TextInput", "value"),
    ("TextArea", "default"), ("TextArea", "value"), ("Text", "body"), ("Code", "code_text"),
    ("VegaLiteChart", "spec"), ("VegaLiteChart", "alt"), ("Dataframe", "alt"),
    # Of columns: names, titles and links; none has a help, which alone would be Markdown.
    ("Dataframe", "columns"),
    # The table of the Overview sets names as texts, and its program is ours.
    ("BidiComponent", "json"), ("BidiComponent", "js_content"),
}  # fmt: skip


@pytest.fixture
def study(tmp_path) -> Study:
    """The hostile study, opened as an upload is."""
    path = store_root() / "uploads" / "mine.zip"
    put(path, hostile_bundle(tmp_path).read_bytes())
    return bundled_study(path)


def texts(message: Message) -> Iterator[tuple[str, str, str]]:
    """Every text in a message of Streamlit's: its type, its field and itself."""
    for field, value in message.ListFields():
        items = value if not isinstance(value, str | Message) and hasattr(value, "__iter__") else [value]
        for item in items:
            if isinstance(item, Message):
                yield from texts(item)
            elif isinstance(item, str):
                yield type(message).__name__, field.name, item


def page_texts(block) -> Iterator[tuple[str, str, str]]:
    """Every text of a page, whatever shows it."""
    for node in block.children.values():
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            yield from texts(proto)
        if hasattr(node, "children"):
            yield from page_texts(node)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_reads_texts_of_others_as_markdown(study, page):
    shown = set(page_texts(visit(page, own=study)._tree))
    assert any("skull" in text for _, _, text in shown)
    assert {
        (kind, field, text) for kind, field, text in shown if RAW.search(text) and (kind, field) not in PLAIN
    } == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_hosted_app_shows_no_path_of_its_machine(study, page, monkeypatch, isolated_folders, tmp_path):
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)
    state, content = SessionState(), study.source_path.read_bytes()
    study = replace(study, source=replace(study.source, path=str(state.uploads / upload_name(content, ".zip"))))
    put(study.source_path, content)
    state.studies["kit"] = SavedStudy("kit", study)
    state.unsaved["kit"] = SavedStudy("kit"), ()
    at = unopened(page)
    at.session_state[KEY], at.session_state[widget_keys.STUDY] = state, "kit"
    fine(at.run())
    if page == "study":
        assert f'path = "{study.source_path.name}"' in at.text_area[0].value
        fine(next(button for button in at.button if button.label == "Check and open").click().run())
        assert [error.value for error in at.error] == []
        assert opened_study(at).source == study.source
    paths = str(isolated_folders), str(tmp_path)
    assert [text for _, _, text in page_texts(at._tree) if any(path in text for path in paths)] == []
