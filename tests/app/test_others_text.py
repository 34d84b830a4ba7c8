"""Texts of others (titles, labels, names, config values, problems) are shown as they are: neither Markdown nor HTML."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from lib.runs import Problem
from lib.sources import bundled_study, fetch, write_bundle
from lib.study import Study
from tests.support.app_kit import PAGES, server_state, visit  # noqa: F401 - a fixture
from tests.support.bundle_kit import LOSS, REWARD, Asked, bundle, run

#: Opens an image, a link, mathematics, a colour, an icon, emphasis and a tag, were it read as Markdown.
HOSTILE = "![x](http://127.0.0.1:1/x.png) $x$ :red[r] :material/skull: *e* `c` <b>b</b> [l](javascript:1)"
#: What is left of it where it is escaped: each sign of Markdown behind a backslash.
RAW = re.compile(
    r"(?<!\\)!\[x|(?<!\\)\$x|(?<!\\):red|(?<!\\):material/skull|(?<!\\)\*e|(?<!\\)`c|(?<!\\)<b>|(?<!\\)\[l"
)
#: Fields of Streamlit's messages that the browser shows as plain text, or that are no text for readers at all.
PLAIN = {
    ("Selectbox", "options"), ("MultiSelect", "options"), ("TextInput", "default"), ("TextInput", "value"),
    ("TextArea", "default"), ("TextArea", "value"), ("Text", "body"), ("Code", "code_text"),
    ("VegaLiteChart", "spec"), ("VegaLiteChart", "alt"), ("Dataframe", "alt"),
}  # fmt: skip


@pytest.fixture
def study(tmp_path) -> Study:
    """A study of which everything that its author, its runs or its server name is hostile."""
    metrics = (replace(REWARD, label=f"R {HOSTILE}"), replace(LOSS, label=f"L {HOSTILE}"))
    kit = Asked(metrics=metrics, task=replace(Asked().task, display_name=f"T {HOSTILE}"))
    more = {"odd": HOSTILE, f"k{HOSTILE}": 1}
    runs = [run(seed, ratio, 10.0, **(more if seed == 1 else {})) for seed in (1, 2, 3) for ratio in (0.5, 0.0)]
    runs = [
        replace(r, id=f"{r.id} {HOSTILE}", config=r.config | {"seed": f"{r.config['seed']} {HOSTILE}"}) for r in runs
    ]
    asked = kit.study(title=f"S {HOSTILE}", hypothesis=f"H {HOSTILE}")
    opened = bundle(tmp_path, asked, runs)
    manifest = fetch(opened)
    problems = (Problem(f"P {HOSTILE}", task="walk"), Problem(f"Q {HOSTILE}", run_id=manifest.runs[0].id))
    told = tuple(
        replace(r, warnings=(f"W {HOSTILE}",), name=HOSTILE, state=f"x{HOSTILE}", url="javascript:alert(1)")
        for r in manifest.runs
    )
    write_bundle(opened, replace(manifest, runs=told, problems=problems), tmp_path / "hostile.zip")
    return bundled_study(tmp_path / "hostile.zip")


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
