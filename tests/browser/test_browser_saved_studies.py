"""Studies that live on, in two browser contexts: local by the store, hosted by the address; views with a name."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from lib.sources import fetch, write_bundle
from lib.study import load_study
from tests.support.app_server import Server
from tests.support.browser import Visitor, assert_untroubled

pytestmark = pytest.mark.browser

DEMO = load_study("demo")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The demo's first task as a bundle of another name."""
    path = tmp_path_factory.mktemp("bundle") / "carried.zip"
    study = replace(DEMO, name="carried", title="Carried", tasks=DEMO.tasks[:1])
    write_bundle(study, fetch(study), path)
    return path


def open_bundle(visitor: Visitor, path) -> None:
    """Open a bundle on the page for new studies, which leads to the Overview."""
    visitor.open("new_study")
    visitor.page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(path)
    visitor.page.get_by_role("button", name="Open the file").click()
    visitor.until_query("study", "carried")
    expect(visitor.page.get_by_role("heading", name="Carried", exact=True)).to_be_visible()
    visitor.settled()


def shown(visitor: Visitor) -> str:
    return visitor.page.get_by_test_id("stHeading").first.inner_text()


def test_a_local_study_is_there_after_a_reload_and_in_another_browser_until_it_is_deleted(
    visitor, another_visitor, bundle
):
    one, other = visitor, another_visitor
    open_bundle(one, bundle)
    address, numbers = one.page.url, one.numbers()
    one.goto(one.page.url)
    assert (shown(one), one.numbers()) == ("Carried", numbers)
    other.goto(address)
    assert (shown(other), other.numbers()) == ("Carried", numbers)
    one.page.get_by_test_id("stSidebar").get_by_role("button", name="Rename or delete").click()
    body = one.page.get_by_test_id("stPopoverBody")
    body.get_by_text("Delete this study").click()
    expect(body.get_by_text("The runs that were fetched stay in the store.")).to_be_visible()
    body.get_by_role("button", name="Delete", exact=True).click()
    one.until_query("study", None)
    one.settled()
    assert shown(one) == "Detach Encoder Demo"
    other.page.goto(address)
    expect(other.page.get_by_text("There is no study named 'carried' here")).to_be_visible()
    assert other.query()["study"] == ["carried"]
    assert other.charts().count() == 0


def test_a_hosted_study_comes_back_by_its_address_and_asks_for_its_bundle(chrome, bundle, tmp_path):
    (tmp_path / "secrets.toml").write_text("[deployment]\nhosted = true\n")
    with (
        Server(tmp_path, STREAMLIT_SECRETS_FILES=str(tmp_path / "secrets.toml")) as server,
        Visitor(chrome, server) as visitor,
    ):
        open_bundle(visitor, bundle)
        numbers = visitor.numbers()
        visitor.page.wait_for_function("() => new URL(location.href).searchParams.has('saved')")
        visitor.follow("Losses")
        query = visitor.query()
        assert query["study"] == ["carried"] and len(query["saved"][0]) < 2_000
        visitor.follow("Overview")
        address = visitor.page.url
        visitor.reset()  # a browser that was never here
        visitor.page.goto(address)
        upload = visitor.page.get_by_test_id("stMain").get_by_test_id("stFileUploaderDropzoneInput")
        upload.set_input_files(bundle)
        expect(visitor.page.get_by_role("heading", name="Carried", exact=True)).to_be_visible()
        visitor.settled()
        assert visitor.numbers() == numbers
        assert_untroubled(visitor)
        assert server.warnings() == []


def test_a_view_with_a_name_comes_back_in_another_browser_until_it_is_deleted(visitor, another_visitor):
    one, other = visitor, another_visitor
    one.open("losses", spread="min-max")
    numbers = one.numbers()
    body = one.page.get_by_test_id("stSidebar")
    body.get_by_text("Saved views").click()
    body.get_by_label("Name of the present view").wait_for()
    one.settled()
    body.get_by_label("Name of the present view").fill("paper figure 2")
    body.get_by_role("button", name="Save view").click()
    expect(body.get_by_role("button", name="paper figure 2", exact=True)).to_be_visible()
    one.select("Band", "std error")
    one.until_query("spread", "std error")
    other.goto(one.page.url)
    assert other.numbers() != numbers
    other.page.get_by_test_id("stSidebar").get_by_text("Saved views").click()
    other.page.get_by_role("button", name="paper figure 2", exact=True).click()
    other.until_query("spread", "min-max")
    assert other.until(lambda: other.numbers() == numbers)
    other.page.get_by_test_id("stSidebar").get_by_role("button", name="Delete", exact=True).click()
    expect(other.page.get_by_role("button", name="paper figure 2", exact=True)).to_have_count(0)
