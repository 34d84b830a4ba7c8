"""A field for a number of steps: what it takes for one, and how it shows it."""

import pytest
from streamlit.testing.v1 import AppTest

from lib.app.widgets.steps_field import steps_of


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("50000", 50_000), ("50,000", 50_000), (" 1 000 000 ", 1_000_000), ("50.000", 50_000), ("5e4", 50_000),
        ("2.5e3", 2_500), ("", None), ("0", None), ("-5", None), ("50.5", None), ("5,00", None), ("50k", None),
        ("1e-3", None), ("1.23e1", None), ("1e99", None), ("nan", None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_what_is_a_number_of_steps(text, steps):
    assert steps_of(text) == steps


def field() -> None:
    import streamlit as st

    from lib.app.widgets import notices
    from lib.app.widgets.steps_field import steps_field

    st.write([steps_field("Total", 50_000, "total"), steps_field("Typed", None, "typed")])
    notices.show()


def test_what_is_typed_gets_its_separators_and_what_is_none_is_told():
    at = AppTest.from_function(field).run()
    assert (at.text_input(key="total").value, at.text_input(key="typed").value) == ("50,000", "")
    at.text_input(key="total").input("60000")
    at.text_input(key="typed").input("7e3").run()
    assert (at.text_input(key="total").value, at.text_input(key="typed").value) == ("60,000", "7,000")
    at.text_input(key="total").input("half")
    at.text_input(key="typed").input("").run()
    assert (at.text_input(key="total").value, at.text_input(key="typed").value) == ("50,000", "")
    assert [toast.value for toast in at.toast] == ["half is no number of steps: type one such as 50,000."]
