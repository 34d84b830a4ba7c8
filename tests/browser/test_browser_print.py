"""The report on paper: nothing beyond the page's edge, no empty page, and no word of a table lost."""

import pytest

from tests.support.pdf import read_with

pytestmark = pytest.mark.browser

#: A4 less its margins, in pixels.
WIDTH = round((210 - 2 * 14) / 25.4 * 96)


def test_the_report_prints_on_pages_that_lose_nothing(chrome, demo_report, tmp_path):
    with chrome.new_context(offline=True, viewport={"width": WIDTH, "height": 1000}) as context:
        page = context.new_page()
        page.emulate_media(media="print")
        page.goto((demo_report / "report.html").as_uri())
        beyond_the_edge = page.evaluate(
            "width => [...document.querySelectorAll('td, th, svg, pre, li')]"
            ".filter(node => node.getBoundingClientRect().right > width).map(node => node.textContent.slice(0, 40))",
            WIDTH,
        )
        page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert beyond_the_edge == []
    pages = read_with("pdftotext", tmp_path / "report.pdf", "-").removesuffix("\f").split("\f")
    assert len(pages) < 25
    assert [number for number, text in enumerate(pages, 1) if len(text.split()) < 20] == []
    text = " ".join(" ".join(pages).split())
    for words in ("p, Holm", "reasons", "warnings", "The study as it was asked", "settle = 0.0"):
        assert words in text
