"""The report on paper: nothing beyond the page's edge, no empty page, and no word of a table lost."""

import pytest

from lib.curves import View
from lib.report import report_page, study_results
from lib.sources import fetch
from lib.study import load_study
from tests.support.pdf import read_with

pytestmark = pytest.mark.browser

#: A4 less its margins, in pixels.
WIDTH = round((210 - 2 * 14) / 25.4 * 96)


def test_the_report_prints_on_pages_that_lose_nothing(chrome, tmp_path):
    study = load_study("demo")
    report = tmp_path / "report.html"
    report.write_text(report_page(study_results(study, fetch(study), View())), encoding="utf-8")
    with chrome.new_context(offline=True, viewport={"width": WIDTH, "height": 1000}) as context:
        page = context.new_page()
        page.emulate_media(media="print")
        page.goto(report.as_uri())
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
