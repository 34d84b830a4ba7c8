"""Colours differ for every kind of colour vision, and can be seen on both grounds."""

from itertools import combinations

import pytest

from lib.charts.color_vision import VISIONS, _seen, difference
from lib.charts.effects.forest import VERDICTS
from lib.charts.metric_colors import metric_colors
from lib.charts.style import ARM_PALETTE, PALETTE, QUIET
from lib.study import load_study

#: The page's grounds, as the theme has them.
GROUNDS = ("#ffffff", "#12181f")


def luminance(color):
    """Relative luminance of WCAG 2."""
    levels = [level / 255 for level in bytes.fromhex(color[1:])]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(color, ground):
    low, high = sorted((luminance(color), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("colors", "least"),
    [(PALETTE, 15), ((*ARM_PALETTE, QUIET), 10), ({color for color, _ in VERDICTS.values()}, 10)],
)
def test_any_two_colours_differ_for_every_kind_of_colour_vision(colors, least):
    assert min(difference(a, b) for a, b in combinations(colors, 2)) >= least


@pytest.mark.parametrize("color", [*PALETTE, *ARM_PALETTE, *(color for color, _ in VERDICTS.values())])
@pytest.mark.parametrize("ground", GROUNDS)
def test_every_colour_is_seen_on_both_grounds(color, ground):
    """WCAG 2.2, 1.4.11: 3 to 1 for what is no text."""
    assert contrast(color, ground) >= 3


def test_the_difference_is_that_of_the_vision_which_tells_two_colours_apart_least():
    assert difference("#000000", "#ffffff") == pytest.approx(100, abs=0.01)
    # Red in Oklab, as its author gives it: L 0.62796, a 0.22486, b 0.12585.
    assert _seen("#ff0000", "normal") == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-4)
    # The green and the orange of the original notebook: one colour to a protanope.
    assert difference("#2ca02c", "#ff7f0e") < 1
    # Greys are grey in every vision.
    for vision in VISIONS:
        assert _seen("#808080", vision)[1:] == pytest.approx([0, 0], abs=0.002)


def test_verdicts_of_one_colour_are_told_apart_by_their_shape():
    alike = {"supported": ["equivalent", "no worse"], "contradicted": ["worse"]}
    own = {
        verdict: look
        for verdict, look in VERDICTS.items()
        if verdict not in {*alike["supported"], *alike["contradicted"]}
    }
    assert len(set(own.values())) == len(own)
    assert all(VERDICTS[same] == VERDICTS[verdict] for verdict, others in alike.items() for same in others)


def test_the_demo_has_the_palette_and_the_original_study_its_own_colours():
    demo, original = (list(metric_colors(load_study(name)).values()) for name in ("demo", "detach_encoder"))
    assert demo == list(PALETTE)
    assert original == ["#1f77b4", "#2ca02c", "#d62728", "#ff7f0e", "#9467bd"]
    # Its green and its orange would be taken for each other.
    assert min(difference(a, b) for a, b in combinations(demo, 2)) > 15
