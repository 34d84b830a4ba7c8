"""Studies that live on, in two browser contexts: local by the store, hosted by the address; views with a name."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

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
    path = tmp_path_factory.mktemp("bundle") / "mine.zip"
    study = replace(DEMO, name="mine", title="Mine", tasks=DEMO.tasks[:1])
    write_bundle(study, fetch(study), path)
    return path


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A server on one's own machine."""
    with Server(tmp_path_factory.mktemp("local")) as server:
        yield server
        assert server.warnings() == []


@pytest.fixture(scope="module")
def hosted(tmp_path_factory):
    """A server that strangers use."""
    folder = tmp_path_factory.mktemp("hosted")
    (folder / "secrets.toml").write_text("[deployment]\nhosted = true\n")
    with Server(folder, STREAMLIT_SECRETS_FILES=str(folder / "secrets.toml")) as server:
        yield server
        assert server.warnings() == []


@pytest.fixture(scope="module")
def contexts(chrome, request):
    """Two browser contexts on a server, which keep what they compiled of the app."""
    server = request.getfixturevalue(request.param)
    with Visitor(chrome, server) as one, Visitor(chrome, server) as other:
        yield one, other


@pytest.fixture
def two(contexts):
    """Two visitors of a server."""
    for visitor in contexts:
        visitor.reset()
    yield contexts
    for visitor in contexts:
        assert_untroubled(visitor)


def open_bundle(visitor: Visitor, path) -> None:
    """Open a bundle on the page for new studies, which leads to the Overview."""
    visitor.open("new_study")
    visitor.page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(path)
    visitor.page.get_by_role("button", name="Open the file").click()
    visitor.until_query("study", "mine")
    expect(visitor.page.get_by_role("heading", name="Mine", exact=True)).to_be_visible()
    visitor.settled()


def shown(visitor: Visitor) -> str:
    return visitor.page.get_by_test_id("stHeading").first.inner_text()


@pytest.mark.parametrize("contexts", ["local"], indirect=True)
def test_a_local_study_is_there_after_a_reload_and_in_another_browser_until_it_is_deleted(two, bundle):
    one, other = two
    open_bundle(one, bundle)
    address, numbers = one.page.url, one.numbers()
    one.goto(one.page.url)
    assert (shown(one), one.numbers()) == ("Mine", numbers)
    other.goto(address)
    assert (shown(other), other.numbers()) == ("Mine", numbers)
    one.page.get_by_test_id("stSidebar").get_by_role("button", name="Rename or delete").click()
    body = one.page.get_by_test_id("stPopoverBody")
    body.get_by_text("Delete this study").click()
    expect(body.get_by_text("The runs that were fetched stay in the store.")).to_be_visible()
    body.get_by_role("button", name="Delete", exact=True).click()
    one.until_query("study", None)
    one.settled()
    assert shown(one) == "Detach Encoder Demo"
    other.page.goto(address)
    expect(other.page.get_by_text("There is no study named 'mine' here")).to_be_visible()
    assert other.query()["study"] == ["mine"]
    assert other.charts().count() == 0


@pytest.mark.parametrize("contexts", ["hosted"], indirect=True)
def test_a_hosted_study_comes_back_by_its_address_and_asks_for_its_bundle(two, bundle):
    one, other = two
    open_bundle(one, bundle)
    numbers = one.numbers()
    one.page.wait_for_function("() => new URL(location.href).searchParams.has('saved')")
    one.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Losses").click()
    one.page.wait_for_function("() => location.pathname === '/losses'")
    one.settled()
    query = parse_qs(urlsplit(one.page.url).query)
    assert query["study"] == ["mine"] and len(query["saved"][0]) < 2_000
    one.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Overview").click()
    one.page.wait_for_function("() => location.pathname === '/'")
    one.settled()
    for visitor in (other, one):
        visitor.page.goto(one.page.url)
        upload = visitor.page.get_by_test_id("stMain").get_by_test_id("stFileUploaderDropzoneInput")
        upload.set_input_files(bundle)
        visitor.settled()
        assert (shown(visitor), visitor.numbers()) == ("Mine", numbers)


@pytest.mark.parametrize("contexts", ["local"], indirect=True)
def test_a_view_with_a_name_comes_back(two):
    one, other = two
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
