"""A detach rule in words, as the Study page shows it."""

import pytest

from lib.app.widgets.study import rule_text
from lib.study import DetachRule, Signal
from lib.study.model import Randomised


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (DetachRule(), "none: the arm of every run is unknown"),
        (DetachRule(step=50_000), "typed 50,000"),
        (DetachRule(ratio_key="r", ratio_counts="remaining"), "config r (remaining)"),
        (DetachRule(detach_step_key="algo.k", signal=Signal("lr")), "config algo.k, checked by lr"),
        (DetachRule(signal=Signal("lr")), "read from lr"),
        (
            DetachRule(ratio_key="r", frozen_when={"scale": 0.0}, unchanged_when={"scale": 1, "mode": "off"}),
            "config r (elapsed), frozen where scale is 0, left alone where mode is off and scale is 1",
        ),
        (DetachRule(ratio_key="r", randomised=Randomised(0.3, 0.7)), "config r (elapsed), randomised 0.3 to 0.7"),
    ],
)
def test_a_rule_in_words(rule, text):
    assert rule_text(rule) == text
