"""Marks under a pointer in a real browser: a second click on a legend, a run's line, the strip, a brush for all charts."""

import pytest

from tests.support.browser import Visitor

pytestmark = pytest.mark.browser

FAINT = 0.08
TOOLTIP = "#vg-tooltip-element.visible"


def opacities(visitor: Visitor, layer: str) -> list[float]:
    """How opaque each line of a layer of the first chart is."""
    paths = visitor.charts().first.locator(f"[class*=_{layer}_marks] path")
    return [float(o) for o in paths.evaluate_all("paths => paths.map(path => path.getAttribute('opacity') ?? 1)")]


def click_name(visitor: Visitor, entry: str) -> None:
    """Click on an entry of a legend, or on a name at the end of a line."""
    visitor.charts().first.locator("svg :not([class*=_hover_texts_marks]) > text").get_by_text(
        entry, exact=True
    ).click()


def until_opacities(visitor: Visitor, layer: str, expected: list[float]) -> None:
    as_expected = visitor.until(lambda: opacities(visitor, layer) == pytest.approx(expected, abs=0.01))
    assert as_expected, opacities(visitor, layer)


def point_at(visitor: Visitor, layer: str) -> str:
    """Put the pointer on the first mark of a layer of the first chart, most of the way along it; the tooltip's text."""
    mark = visitor.charts().first.locator(f"[class*=_{layer}_marks] path").first
    x, y = mark.evaluate(
        """mark => {
            const point = mark.getPointAtLength(0.4 * mark.getTotalLength()), {a, d, e, f} = mark.getScreenCTM();
            return [point.x * a + e, point.y * d + f];
        }"""
    )
    visitor.page.mouse.move(x - 2, y)
    visitor.page.mouse.move(x, y)
    tooltip = visitor.page.locator(TOOLTIP)
    tooltip.wait_for()
    return " ".join(tooltip.inner_text().split())


def x_labels(visitor: Visitor, chart: int) -> list[str]:
    return [text for text in visitor.texts(chart) if text.endswith("k")]


def test_the_strip_tells_the_number_of_seeds_and_a_click_on_a_legend_isolates_until_a_second_one(visitor):
    visitor.open("losses")
    bar = visitor.charts().first.locator("[class*=_n_strip_marks] path").first
    box = bar.bounding_box() or {}
    visitor.page.mouse.move(box["x"] + 100, box["y"] + 1)
    visitor.page.mouse.move(box["x"] + 110, box["y"] + 1)
    tooltip = visitor.page.locator(TOOLTIP)
    tooltip.wait_for()
    assert "n all of every series" in " ".join(tooltip.inner_text().split())
    until_opacities(visitor, "line", [1] * 6)
    click_name(visitor, "Train")
    until_opacities(visitor, "line", [1, 1, *[FAINT] * 4])
    click_name(visitor, "control")
    until_opacities(visitor, "line", [1, *[FAINT] * 5])
    click_name(visitor, "Train")
    until_opacities(visitor, "line", [1, FAINT] * 3)
    click_name(visitor, "control")
    until_opacities(visitor, "line", [1] * 6)
    visitor.charts().first.click(position={"x": 300, "y": 200})
    click_name(visitor, "Train")
    until_opacities(visitor, "line", [1, 1, *[FAINT] * 4])


def test_a_coloured_line_names_its_run_and_a_legend_value_isolates_its_runs(visitor):
    visitor.open("losses", color="detach_step")
    text = point_at(visitor, "hover_run")
    assert text.startswith("run acro0001-s")
    assert "seed " in text
    assert "detach_step " in text
    click_name(visitor, "50000")
    assert visitor.until(lambda: min(opacities(visitor, "runs")) < FAINT)
    runs = opacities(visitor, "runs")
    assert (sum(o > 0.8 for o in runs), sum(o < FAINT for o in runs)) == (6, 6)
    until_opacities(visitor, "line", [1] * 2)


def heights(visitor: Visitor) -> dict[str, str]:
    """The first line of each family in the first chart, as it is drawn."""
    lines = visitor.charts().first.locator("svg")
    return {
        family: lines.locator(f"[class*=_{family}_line_marks] path").first.get_attribute("d") or ""
        for family in ("reward", "loss")
    }


def assert_moved_by_a_drag_and_a_wheel(visitor: Visitor) -> None:
    """A drag and a wheel move all families of the first task and nothing else, until a double click."""
    before, other, address = heights(visitor), visitor.marks(1), visitor.page.url
    chart = visitor.charts().first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box() or {}
    x, y = box["x"] + 0.7 * box["width"], box["y"] + 0.75 * box["height"]  # in the losses
    visitor.page.mouse.move(x, y)
    visitor.page.mouse.down()
    visitor.page.mouse.move(x - 50, y, steps=3)
    visitor.page.mouse.move(x - 150, y, steps=3)
    visitor.page.mouse.up()
    assert visitor.until(lambda: all(heights(visitor)[family] != before[family] for family in before))
    moved = heights(visitor)
    visitor.page.keyboard.down("Control")
    visitor.page.mouse.wheel(0, -300)
    visitor.page.keyboard.up("Control")
    # Their shared axis as well: it has closer ticks where it is zoomed.
    assert visitor.until(lambda: "70k" in x_labels(visitor, 0)), x_labels(visitor, 0)
    assert visitor.until(lambda: all(heights(visitor)[family] != moved[family] for family in moved))
    visitor.settled()
    assert visitor.marks(1) == other
    assert visitor.page.url == address
    visitor.page.mouse.dblclick(x, y)
    assert visitor.until(lambda: heights(visitor) == before)


def readings(visitor: Visitor) -> list[str]:
    """The texts of the table beside the pointer in the first chart."""
    return visitor.charts().first.locator("[class*=_hover_texts_marks] text").all_text_contents()


def assert_read_beside_the_pointer(visitor: Visitor) -> None:
    """A table beside the pointer reads rewards and losses."""
    chart = visitor.charts().first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box() or {}
    assert readings(visitor) == []
    for down in (0.45, 0.7):  # over the rewards, over the losses
        x = box["x"] + 0.7 * box["width"]
        visitor.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + down * box["height"])
        visitor.page.mouse.move(x, box["y"] + down * box["height"])
        assert visitor.until(lambda: len(readings(visitor)) == 21), readings(visitor)
        texts = readings(visitor)
        # The plot begins and ends within the chart.
        assert 60_000 < float(texts[0].replace(",", "")) < 85_000
        for name in ("detached", "control", "Train", "Eval", "Val (All)", "Val (Recent)"):
            assert name in texts
        assert sum(text.endswith(", n = 6") for text in texts) == 10
        for ground in chart.locator("[class*=_hover_ground_marks] path").all():
            table = ground.bounding_box() or {}
            assert table["x"] + table["width"] < x  # it covers nothing at the step of the pointer
        assert visitor.page.locator(TOOLTIP).count() == 0
    visitor.page.mouse.move(0, 0)
    assert visitor.until(lambda: readings(visitor) == [])


def test_a_pointer_reads_moves_and_brushes_all_families_of_a_task(visitor):
    visitor.open("overview")
    assert_read_beside_the_pointer(visitor)
    assert_moved_by_a_drag_and_a_wheel(visitor)
    # A brush on one chart is the range of all.
    chart = visitor.charts().first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box() or {}
    x, y = box["x"], box["y"] + box["height"] / 2
    visitor.page.keyboard.down("Shift")
    visitor.page.mouse.move(x + 0.45 * box["width"], y)
    visitor.page.mouse.down()
    visitor.page.mouse.move(x + 0.6 * box["width"], y, steps=5)
    visitor.page.mouse.move(x + 0.75 * box["width"], y, steps=5)
    visitor.page.mouse.up()
    visitor.page.keyboard.up("Shift")
    visitor.page.wait_for_url("**from=*")
    visitor.settled()
    (low,), (high,) = visitor.query()["from"], visitor.query()["to"]
    assert 10_000 < float(low) < float(high) < 95_000
    assert visitor.until(lambda: x_labels(visitor, 0) == x_labels(visitor, 1) != ["20k", "40k", "60k", "80k", "100k"])
