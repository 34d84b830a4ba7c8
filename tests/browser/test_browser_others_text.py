"""A hostile bundle in a real browser: nothing of it is loaded, run or read as mathematics."""

import pytest

from tests.support.browser import TITLES
from tests.support.hostile import HOSTILE, hostile_bundle

pytestmark = pytest.mark.browser


def test_a_hostile_bundle_loads_nothing_on_any_page(visitor, tmp_path):
    visitor.open("new_study")
    page = visitor.page
    page.locator("input[type=file]").last.set_input_files(hostile_bundle(tmp_path))
    page.get_by_role("button", name="Open the file").click()
    visitor.until_query("study", "kit")
    visitor.settled()
    visitor.follow("Study")
    text = page.get_by_role("heading", level=2).inner_text()
    assert text.replace("\u2060", "") == f"S {HOSTILE}"
    for title in TITLES.values():
        visitor.follow(title)
        main = page.get_by_test_id("stMain")
        assert main.locator("img[src*=evil], .katex, a[href^='javascript'], a[href^='http://evil']").count() == 0
        assert page.get_by_test_id("stException").count() == 0
    assert visitor.foreign_requests == []
    assert visitor.page_errors == []
