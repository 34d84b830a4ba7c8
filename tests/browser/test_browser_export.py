"""Files of the Export popover, opened: every format shows what the screen shows, with its settings changed."""

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

import polars as pl
import pytest

from tests.support.browser import LINE_ROWS, Visitor, assert_untroubled
from tests.support.pdf import read_with

pytestmark = pytest.mark.browser

TITLE = "Acrobot Swingup - Episode Reward"
FIGURE, STEM = "Acrobot Swingup: reward", "acrobot_swingup_reward"
OUT = "acro0001-s1-detached"
#: The footer's parts: the study, its runs, the time of the fetch, the settings, the versions.
FOOTER = (
    "Detach Encoder Demo. 31 runs, 1 left out, fetched 20",
    "mean over seeds, band: one standard error (ddof 1), train rewards smoothed over 2,000 steps, aligned bins, "
    "dots: before smoothing.",
    "altair ",
    "polars ",
)
METRICS = {"Train Episode Reward (MA 2,000)": "train/episode_reward", "Eval Episode Reward": "eval/episode_reward"}
#: What the lines of the figure are called at their ends.
NAMES = ("Train (MA 2,000)", "Eval")


@dataclass
class Screen:
    """A page whose exports are opened, and the rows behind its first chart."""

    visitor: Visitor
    numbers: list[list]

    def figure(self, kind: str) -> bytes:
        """The figure in a format."""
        self.visitor.select("Format", kind)
        name, content = self.visitor.download(f"Figure (.{kind})")
        assert name == f"{STEM}.{kind}"
        return content


@pytest.fixture(scope="module")
def screen(chrome, app) -> Iterator[Screen]:
    """The Rewards page with other settings, one of them changed by hand, and its Export popover open."""
    settings = {"out": OUT, "spread": "std error", "window": "2000", "seeds": "true", "raw": "true"}
    with Visitor(chrome, app) as visitor:
        visitor.open("rewards", **settings)
        marks = visitor.marks()
        visitor.open_more()
        visitor.toggle("Log axis for rewards")
        visitor.until_query("log_reward", "true")
        visitor.until_redrawn(marks)
        assert visitor.query() == {name: [value] for name, value in settings.items()} | {"log_reward": ["true"]}
        numbers = visitor.numbers()
        visitor.page.get_by_role("button", name="Export").click()
        visitor.select("Figure", FIGURE)
        yield Screen(visitor, numbers)
        assert_untroubled(visitor)


def rows(numbers: list[list]) -> list[list]:
    """Numbers in one order; those of a screen have six significant digits."""
    return sorted(([*row[:2], *(pytest.approx(x, rel=1e-5) for x in row[2:])] for row in numbers), key=_key)


def _key(row: list) -> tuple[str, str, float]:
    return row[0], row[1], getattr(row[2], "expected", row[2])


def test_html_draws_the_same_without_a_network(screen, chrome, tmp_path):
    path = tmp_path / "figure.html"
    path.write_bytes(screen.figure("html"))
    with chrome.new_context(offline=True) as context:
        page = context.new_page()
        requests, errors = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        page.locator("#figure svg .mark-line path").first.wait_for()
        assert (requests, errors) == ([path.as_uri()], [])
        assert page.title() == TITLE
        numbers = page.locator("#figure svg").first.evaluate(LINE_ROWS)
        assert len(numbers) > 200
        assert sorted(numbers, key=_key) == rows(screen.numbers)
        texts = " ".join(page.locator("#figure svg :is(tspan, text:not(:has(tspan)))").all_text_contents())
        assert [words for words in FOOTER if words not in texts] == []
        assert page.locator("#figure svg [class*=_seeds_marks] path").count() == 2 * 11


def test_svg_and_pdf_hold_the_same_text(screen, tmp_path):
    tree = ElementTree.fromstring(screen.figure("svg"))
    texts = {"".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {TITLE, "1e+2", *NAMES} <= texts
    assert [words for words in FOOTER if words not in " ".join(tree.itertext())] == []
    path = tmp_path / "figure.pdf"
    path.write_bytes(screen.figure("pdf"))
    fonts = [line.split() for line in read_with("pdffonts", path).splitlines()[2:]]
    assert fonts and all(font[-5] == "yes" for font in fonts)
    text = " ".join(read_with("pdftotext", path, "-").split())
    assert [words for words in (TITLE, *NAMES, *FOOTER) if words not in text] == []


def test_png_has_the_size_of_its_scale_and_venue(screen):
    screen.visitor.select("Made for", "paper, one column")
    screen.visitor.select("Format", "png")
    field = screen.visitor.page.get_by_test_id("stPopoverBody").get_by_label("Scale")
    scale = float(field.input_value()) + 1
    field.fill(f"{scale:g}")
    field.press("Enter")
    screen.visitor.settled()
    content = screen.figure("png")
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert width == pytest.approx(3.25 * 96 * scale, abs=scale)
    assert 0.5 < height / width < 1.2
    screen.visitor.select("Made for", "notebook")


def test_the_specification_carries_its_settings_and_its_data(screen):
    spec = json.loads(screen.figure("json"))
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v")
    assert spec["title"]["text"] == TITLE
    layers = {layer["name"]: layer for layer in spec["layer"] if "name" in layer}
    line = layers[f"{STEM}_line"]
    assert line["encoding"]["y"]["scale"]["type"] == "log"
    data = spec["datasets"][line["data"]["name"]]
    numbers = [[row[name] for name in ("metric", "arm", "step", "mean", "lower", "upper")] for row in data]
    assert sorted(numbers, key=_key) == rows(screen.numbers)
    assert {f"{STEM}_seeds", f"{STEM}_raw"} <= set(layers)


def test_tables_hold_the_numbers_on_screen(screen):
    frames = {}
    for kind, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet)):
        screen.visitor.select("As", kind)
        name, content = screen.visitor.download(f"curves.{kind}")
        assert name == f"curves.{kind}"
        frames[kind] = read(io.BytesIO(content))
    assert frames["csv"].equals(frames["parquet"])
    plotted = frames["csv"].filter(pl.col("task") == "acrobot-swingup", pl.col("metric").is_in(METRICS.values()))
    labels = {key: label for label, key in METRICS.items()}
    table = {(labels[row["metric"]], row["arm"], round(row["step"])): row for row in plotted.iter_rows(named=True)}
    assert len(table) == len(screen.numbers)
    for metric, arm, step, mean, lower, upper in screen.numbers:
        row = table[metric, arm, round(step)]
        assert (mean, upper) == pytest.approx((row["mean"], row["upper"]), rel=1e-5)
        # A bound at or below 0 has no place on a log axis: it is drawn at the foot of the axis.
        assert lower == pytest.approx(row["lower"], rel=1e-5) if row["lower"] > 0.01 else lower < 0.02
    assert set(plotted.filter(pl.col("arm") == "detached")["n"]) == {5}


def test_a_file_has_what_was_typed_right_before_the_click(screen):
    screen.visitor.select("Format", "svg")
    widths = []
    for size in ("12", "24"):
        screen.visitor.page.get_by_label("Font size (pt)").fill(size)  # the click takes the focus: then it counts
        _, content = screen.visitor.download("Figure (.svg)")
        widths.append(float(ElementTree.fromstring(content).get("width", "")))
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.02)


def test_the_sidecar_names_the_runs_settings_and_versions(screen):
    name, content = screen.visitor.download("Sidecar (.json)")
    about = json.loads(content)
    assert name == f"{STEM}.about.json"
    assert (about["study"], about["ddof"], len(about["runs"])) == ("demo", 1, 31)
    assert OUT not in about["runs"]
    changed = {"spread": "se", "window": 2000, "seeds": True, "raw": True, "log_reward": True, "left_out": [OUT]}
    assert {key: about["settings"][key] for key in changed} == changed
    assert set(about["versions"]) >= {"altair", "polars", "vl-convert-python"}
    assert about["text"].startswith(FOOTER[0])
