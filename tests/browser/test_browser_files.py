"""Downloads and uploads in a real browser: the grid, the report, a bundle, and study files."""

import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import CHART, LINE_ROWS, Visitor, assert_untroubled
from tests.support.pdf import read_with

pytestmark = pytest.mark.browser

GRID = "combined_ablation"
TITLES = [f"{task} - {family}" for task in ("Acrobot Swingup", "Cartpole Swingup", "Cartpole Swingup, random detach")
          for family in ("Episode Reward", "Consistency Loss")]  # fmt: skip
STUDY = """[study]
name = "mine"
title = "Mine"
[source]
kind = "wandb"
entity = "a"
project = "b"
[[metrics]]
key = "loss"
family = "loss"
expect = "decrease"
smoth = true
[[tasks]]
name = "walk"
total_steps = 100
"""
MISTAKE = "The study file, metric 1: unknown key smoth, perhaps smooth is meant."


def opened_offline(context, path: Path) -> Page:
    """An HTML file in a browser that has no network."""
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.locator("svg.marks .role-mark").first.wait_for()
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert errors == []
    return page


def cell_titles(texts: list[str]) -> list[str]:
    """The titles of the grid's cells that are among the texts."""
    return [title for title in TITLES if title in texts]


@pytest.fixture(scope="module")
def overview(chrome, app):
    """A visitor on the Overview with the Export popover open."""
    with Visitor(chrome, app) as visitor:
        visitor.open("overview", spread="min-max")
        visitor.page.get_by_role("button", name="Export").click()
        visitor.page.get_by_test_id("stPopoverBody").wait_for()
        yield visitor
        assert_untroubled(visitor)


def test_the_grid_as_a_page(chrome, overview, tmp_path):
    overview.select("Figure", "Grid of all tasks")
    overview.select("Format", "html")
    name, content = overview.download("Figure (.html)")
    assert name == f"{GRID}.html"
    (tmp_path / name).write_bytes(content)
    with chrome.new_context(offline=True) as context:
        page = opened_offline(context, tmp_path / f"{GRID}.html")
        assert cell_titles(page.locator("svg.marks text").all_text_contents()) == TITLES
        in_file = page.locator("svg.marks").evaluate(LINE_ROWS)
    on_screen = [row for chart in range(3) for row in overview.numbers(chart)]
    assert sorted(row[:2] for row in in_file) == sorted(row[:2] for row in on_screen)


def test_the_grid_as_a_pdf_for_a_paper_has_its_width_its_fonts_and_its_footer(overview, tmp_path):
    overview.select("Figure", "Grid of all tasks")
    overview.select("Made for", "paper, two columns")
    overview.select("Format", "pdf")
    name, content = overview.download("Figure (.pdf)")
    assert name == f"{GRID}.pdf"
    (tmp_path / name).write_bytes(content)
    size = read_with("pdfinfo", tmp_path / name).split("Page size:")[1].split()
    assert float(size[0]) == pytest.approx(6.75 * 72, abs=4)
    fonts = [line.split() for line in read_with("pdffonts", tmp_path / name).splitlines()[2:]]
    assert fonts and all("Liberation" in font[0] and font[-5] == "yes" for font in fonts)
    text = " ".join(read_with("pdftotext", tmp_path / name, "-").split())
    assert "Detach Encoder Demo. 32 runs, fetched 2026-11-22" in text
    # The longest two are wrapped, beside each other.
    assert [title for title in TITLES[:4] if title not in text] == []
    assert {*" ".join(TITLES[4:]).split()} <= {*text.split()}
    overview.select("Made for", "notebook")


def test_the_report_opens_without_a_network(chrome, overview, tmp_path):
    name, content = overview.download("Report (.html)")
    assert name == "report.html"
    (tmp_path / name).write_bytes(content)
    with chrome.new_context(offline=True) as context:
        page = opened_offline(context, tmp_path / name)
        assert page.title().startswith("Detach Encoder Demo")
        assert page.locator("svg:has(.role-mark)").count() >= 6
        expect(page.get_by_role("heading", level=1)).to_have_text("Detach Encoder Demo")


def test_a_bundle_is_opened_by_another_visitor(visitor, another_visitor, tmp_path):
    visitor.open("study")
    visitor.page.get_by_role("button", name="Share").click()
    name, content = visitor.download("Bundle (.zip)")
    visitor.page.keyboard.press("Escape")
    assert name == "demo.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {"manifest.json", "study.toml"} <= set(archive.namelist())
    path = tmp_path / name
    path.write_bytes(content)
    another_visitor.open("new_study")
    another_visitor.page.locator("input[type=file]").last.set_input_files(path)
    another_visitor.page.get_by_role("button", name="Open the file").click()
    another_visitor.until_query("study", "demo-own")
    another_visitor.page.locator(CHART).first.wait_for()
    another_visitor.settled()
    another_visitor.follow("Study")
    expect(another_visitor.page.get_by_text("Bundle that you opened.")).to_be_visible()
    another_visitor.follow("Overview")
    visitor.follow("Overview")
    assert another_visitor.charts().count() == 3
    assert [another_visitor.numbers(chart) for chart in range(3)] == [visitor.numbers(chart) for chart in range(3)]
    assert "demo-own" not in visitor.page.get_by_test_id("stSidebar").inner_text()


def test_a_mistake_in_a_study_file_is_one_clear_sentence(visitor):
    visitor.open("new_study")
    file = {"name": "mine.toml", "mimeType": "application/toml", "buffer": STUDY.encode()}
    visitor.page.locator("input[type=file]").last.set_input_files(file)
    visitor.page.get_by_role("button", name="Open the file").click()
    alert = visitor.page.get_by_test_id("stAlert")
    expect(alert.get_by_test_id("stMarkdownContainer")).to_have_text(MISTAKE)
    visitor.page.get_by_text("Write a study as text").click()
    visitor.page.get_by_role("textbox", name="Study file").fill(STUDY.replace("smoth", "smooth"))
    visitor.page.keyboard.press("Control+Enter")
    visitor.page.get_by_role("button", name="Check and open").click()
    visitor.until_query("study", "mine")
    visitor.settled()
    visitor.follow("Study")
    expect(visitor.page.get_by_role("heading", level=2)).to_have_text("Mine")
    expect(alert.filter(has_text="Enter a key for api.wandb.ai to see a/b.")).to_be_visible()
