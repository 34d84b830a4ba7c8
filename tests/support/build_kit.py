"""What the tests of the New study page share: an address is pasted, runs are listed, the page is read."""

import time

from streamlit.testing.v1 import AppTest

from tests.support.app_kit import (
    fine,
    plain,
    visit,
)
from tests.support.wandb_server import KEY


def paste(address: str) -> AppTest:
    """The New study page with an address pasted."""
    at = visit("new_study")
    return fine(at.text_area(key="build_place").input(address).run())


def key_fields(at: AppTest) -> list[str]:
    """The labels of the fields for a key."""
    return [plain(field.label) for field in at.text_input if field.label.startswith("Key for ")]


def give_key(at: AppTest, key: str = KEY) -> AppTest:
    """The visitor's own key, typed into the form, which sends it with its button."""
    next(field for field in at.text_input if field.label.startswith("Key for ")).input(key)
    return at


def list_runs(at: AppTest) -> AppTest:
    """The page once the runs are listed."""
    return wait(fine(at.button(key="build_look").click().run()), "build_stop")


def questions(at: AppTest) -> list[str]:
    """What the page asks."""
    return [
        plain(m.value).removeprefix(":material/help: ") for m in at.markdown if m.value.startswith(":material/help:")
    ]


def table(at: AppTest, column: str):
    """The data frame on the page that has this column."""
    return next(d.value for d in at.dataframe if column in d.value.columns)


def wait(at: AppTest, stop: str = "stop_fetch") -> AppTest:
    """The page once what is under way, which a button of that key stops, has ended."""
    for _ in range(100):
        fine(at.run())
        if not any(b.key == stop for b in at.button):
            return at
        time.sleep(0.1)
    raise AssertionError("it did not end")
