"""Whose W&B login the app may take for the visitor's own: only on their machine, whatever a connection claims."""

import pytest

from lib.app.session import access, own_machine
from lib.app.session.own_machine import is_local_browser
from lib.study import parse_study, to_toml
from tests.support.app_kit import fine, plain, server_state, visit  # noqa: F401 - a fixture
from tests.support.cloud_kit import study

KEY = "a" * 40
#: What Chromium sends to open the app's WebSocket.
CHROMIUM = {
    "Host": ["localhost:8501"],
    "Connection": ["Upgrade"],
    "Pragma": ["no-cache"],
    "Cache-Control": ["no-cache"],
    "User-Agent": ["Mozilla/5.0"],
    "Upgrade": ["websocket"],
    "Origin": ["http://localhost:8501"],
    "Sec-WebSocket-Version": ["13"],
    "Sec-WebSocket-Key": ["x=="],
    "Sec-WebSocket-Protocol": ["streamlit"],
    "Accept-Encoding": ["gzip, deflate, br"],
    "Accept-Language": ["en-US"],
    "Cookie": ["_xsrf=2"],
}


def sent(**changes: list[str] | None) -> dict[str, list[str]]:
    """Chromium's headers with these instead, or without those that are None."""
    headers = CHROMIUM | {name.replace("_", "-"): values for name, values in changes.items()}
    return {name: values for name, values in headers.items() if values is not None}


def at(host: str) -> dict[str, list[str]]:
    return sent(Host=[host], Origin=[f"http://{host}"])


@pytest.mark.parametrize("host", ["localhost:8501", "localhost", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST:80"])
@pytest.mark.parametrize("address", [None, "127.0.0.1", "::1", "127.8.9.1", "::ffff:127.0.0.1"])
def test_a_browser_on_this_machine_is_known(host, address):
    assert is_local_browser(at(host), address)


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP",
     "True-Client-IP", "X-Client-IP", "Fly-Client-IP", "X-Original-Host", "X-Request-Id", "Authorization", "Anything"],
)  # fmt: skip
def test_a_header_that_no_browser_sends_is_a_proxys(name):
    assert not is_local_browser(CHROMIUM | {name: ["127.0.0.1"]}, None)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example", "evil@localhost",
     "localhost:8501@evil.example", "192.168.1.4:8501", "0.0.0.0:8501", "[::ffff:127.0.0.1]:8501", "localhost:123456",
     "localhost:", "localhost:8501\n", "", "2130706433"],
)  # fmt: skip
def test_a_host_of_another_name_is_refused(host):
    """As of a name on the web that leads to this machine (DNS rebinding)."""
    assert not is_local_browser(at(host), None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        sent(Host=None),
        sent(Origin=None),
        sent(Host=["localhost:8501", "localhost:8501"]),
        sent(Host=["localhost:8501", "evil.example"]),
        sent(Origin=["https://app.example"]),
        sent(Origin=["http://localhost:9999"]),
        sent(Origin=["null"]),
        sent(Origin=["http://localhost:8501", "https://app.example"]),
        sent(Origin=["http://localhost:8501.evil.example"]),
    ],
)
def test_what_is_missing_repeated_or_of_another_page_is_refused(headers):
    """As behind a proxy that passes on neither its own name nor the visitor's address, but the origin of the page."""
    assert not is_local_browser(headers, None)


@pytest.mark.parametrize(
    "address", ["192.168.1.4", "8.8.8.8", "::ffff:8.8.8.8", "172.17.0.1", "0.0.0.0", "fe80::1", "x"]
)
def test_a_connection_from_elsewhere_is_refused(address):
    assert not is_local_browser(CHROMIUM, address)


# ---- what it opens -------------------------------------------------------------------------------------------------


@pytest.fixture
def own_machine_key(monkeypatch):
    """A key in the environment for a server of one's own, and a visitor at this machine."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "https://lab.example")
    monkeypatch.setattr(access, "is_at_own_machine", lambda: True)


def test_without_headers_nobody_is_at_their_own_machine(own_machine_key, monkeypatch):
    monkeypatch.setattr(access, "is_at_own_machine", own_machine.is_at_own_machine)
    page = visit("new_study")
    assert [plain(f.label) for f in page.text_input if f.label.startswith("Key")] == ["Key for lab.example"]


def test_the_machines_key_is_named_and_another_can_be_used(own_machine_key):
    page = visit("new_study")
    assert any("The key of this machine's W&B login is used for lab.example." in plain(m.value) for m in page.markdown)
    assert not any(field.label.startswith("Key for ") for field in page.text_input)
    fine(page.button(key="build_other_key").click().run())
    assert [plain(f.label) for f in page.text_input if f.label.startswith("Key")] == ["Key for lab.example"]


def test_a_hosted_app_is_nobodys_own_machine(own_machine_key, monkeypatch):
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)
    page = visit("new_study")
    assert [plain(f.label) for f in page.text_input if f.label.startswith("Key")] == ["Key for lab.example"]


def test_the_machines_key_serves_a_study_that_one_brings_for_its_own_server_alone(own_machine_key, monkeypatch):
    own_study = parse_study(to_toml(study("https://lab.example")), "mine")
    assert access.key_for(own_study) == KEY
    monkeypatch.delenv("WANDB_BASE_URL")
    assert access.key_for(own_study) is None
    assert access.machine_key("https://lab.example") is None
    assert access.machine_key("https://api.wandb.ai") == KEY
    monkeypatch.setattr(access, "is_at_own_machine", lambda: False)
    assert access.machine_key("https://api.wandb.ai") is None
