"""The servers of the app: whose key goes to which, and which ones a hosted deployment asks. A second server counts."""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session.state import KEY as KEY_OF_STATE
from lib.app.session.state import SessionState
from lib.sources import fetch as fetch_runs
from lib.sources import write_bundle
from lib.study import STUDIES, Study, Task, load_study, to_toml, with_source
from tests.support.app_kit import fine, go, opened_study, plain, server_state, unopened  # noqa: F401 - a fixture
from tests.support.cloud_kit import PLACE, study, walk
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.server


@pytest.fixture
def servers() -> Iterator[tuple[WandbServer, WandbServer]]:
    """Two servers with the same project."""
    with WandbServer() as one, WandbServer() as other:
        for server in (one, other):
            server.add(PLACE, walk("a"))
        yield one, other


def page(own: Study | None = None, deployment: dict[str, object] | None = None, **query: str) -> AppTest:
    """The Study page, of a study that is opened already where one is passed."""
    at = unopened("study", own, **query)
    if deployment is not None:
        at.secrets["deployment"] = deployment
    return fine(at.run())


def field(at: AppTest):
    """The field for a key."""
    return next(w for w in at.text_input if w.label.startswith("Key for "))


def give_key(at: AppTest) -> AppTest:
    field(at).input(KEY)
    return fine(next(b for b in at.button if b.label == "Use this key").click().run())


def paste_study(at: AppTest, text: str) -> AppTest:
    """Open the text of a study."""
    fine(at.text_area[0].input(text).run())
    return fine(next(b for b in at.button if b.label == "Check and open").click().run())


def errors(at: AppTest) -> list[str]:
    return [plain(error.value) for error in at.error]


def fetch(at: AppTest) -> AppTest:
    """Fetch the open study, and wait until that has ended."""
    fine(at.button(key="first_fetch").click().run())
    for job in [fetches.job for fetches in at.session_state[KEY_OF_STATE].fetches.values() if fetches.job]:
        job._thread.join(30)
    return fine(at.run())


def test_a_key_is_for_the_server_named_beside_its_field_and_goes_to_no_other(servers):
    one, other = servers
    at = page(study(one))
    assert plain(field(at).label) == f"Key for {one.url}"
    give_key(at)
    assert any(f"your key for {one.url} is in use" in plain(badge.value) for badge in at.markdown)
    fetch(at)
    assert one.count("Runs") == 1
    paste_study(at, to_toml(study(other)))
    assert opened_study(at).source.base_url == other.url
    assert plain(field(at).label) == f"Key for {other.url}"
    assert not any("is in use" in badge.value for badge in at.markdown)
    fetch(at)
    assert errors(at)[0].startswith(f"There is no W&B key for {other.url}")
    assert other.hits == []
    paste_study(at, to_toml(study(f"{one.url}/")))
    assert any(f"your key for {one.url} is in use" in plain(badge.value) for badge in at.markdown)


def test_wandbs_own_server_is_named_by_its_host():
    assert plain(field(page(study="detach_encoder")).label) == "Key for api.wandb.ai"


def test_a_shipped_study_of_another_server_does_not_get_the_deployments_key(servers, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    _, other = servers
    shipped = replace(study(other), folder=str(STUDIES.resolve()))
    at = page(shipped)
    assert not any("is in use" in badge.value for badge in at.markdown)
    fetch(at)
    assert errors(at)[0].startswith(f"WANDB_API_KEY is not sent to {other.url}, which only the study names")
    assert other.hits == []
    monkeypatch.setenv("WANDB_BASE_URL", other.url)
    at = page(shipped)
    assert any("this deployment's key is in use" in badge.value for badge in at.markdown)
    fetch(at)
    assert other.count("Runs") == 1


def test_the_deployments_key_is_not_sent_over_plain_http(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://lab.example")
    at = fetch(page(study="detach_encoder"))
    assert errors(at)[0].startswith("Your W&B key is not sent to http://lab.example over plain http")
    assert plain(field(at).label) == "Key for http://lab.example"


def test_a_login_that_is_no_key_is_one_sentence():
    netrc = Path(os.environ["NETRC"])
    netrc.write_text("machine api.wandb.ai\n  login user\n  password short\n")
    netrc.chmod(0o600)
    at = fetch(page(study="detach_encoder"))
    assert errors(at) == ["The W&B login stored for https://api.wandb.ai is not a key: run `wandb login` again."]


# ---- hosted --------------------------------------------------------------------------------------------------------

HOSTED = {"hosted": True}


@pytest.mark.parametrize(
    ("deployment", "allowed"),
    [
        (None, "it"),
        ({}, "it"),
        (HOSTED, "https://api.wandb.ai"),
        (HOSTED | {"servers": ["HTTPS://lab.example:443/", "https://api.wandb.ai"]},
         "https://lab.example and https://api.wandb.ai"),
        (HOSTED | {"servers": []}, "no W&B server"),
        ({"servers": ["https://lab.example"]}, "https://lab.example"),
        (HOSTED | {"servers": ["{other}/"]}, "it"),
    ],
)  # fmt: skip
def test_a_deployment_reads_the_servers_that_it_allows(servers, deployment, allowed):
    _, other = servers
    if deployment and "servers" in deployment:
        deployment = deployment | {"servers": [text.format(other=other.url) for text in deployment["servers"]]}
    refusal = [] if allowed == "it" else [f"This deployment does not read {other.url}: it reads {allowed}."]
    pasted = paste_study(page(deployment=deployment), to_toml(study(other)))
    assert errors(pasted) == refusal
    assert ("study" in pasted.sidebar.selectbox(key="study").options) == (not refusal)
    at = page(deployment=deployment)
    fine(go(at, "new_study").text_area(key="build_place").input(f"{other.url}/team/walks/sweeps/s1").run())
    fine(at.button(key="build_look").click().run())
    refusal = refusal or [f"Enter a key for {other.url} to see team/walks."]
    assert errors(at) == refusal
    assert any(w.label.startswith("Key for ") for w in at.text_input) == (allowed == "it")
    assert other.hits == []


def test_a_hosted_deployment_refuses_an_uploaded_study_of_another_server(servers):
    _, other = servers
    at = page(deployment=HOSTED)
    go(at, "new_study").file_uploader(key="study_upload").upload(
        "mine.toml", to_toml(study(other)).encode(), "application/toml"
    )
    fine(at.run())
    fine(next(b for b in at.button if b.label == "Open the file").click().run())
    assert errors(at) == [f"This deployment does not read {other.url}: it reads https://api.wandb.ai."]
    assert other.hits == []


def test_a_bundle_that_names_a_server_is_read_from_its_own_files(servers, tmp_path):
    _, other = servers
    demo = load_study("demo")
    folder = tmp_path / "bundle"
    write_bundle(demo, fetch_runs(demo), folder)
    named = with_source(demo, study(other).source)
    (folder / "study.toml").write_text(to_toml(replace(named, name="theirs", tasks=without_baselines(named))))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["source"] = {"kind": "wandb", "entity": "team", "project": "walks", "server": other.url}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for file in folder.rglob("*"):
            files.write(file, file.relative_to(folder))
    at = page(deployment=HOSTED)
    go(at, "new_study").file_uploader(key="study_upload").upload("theirs.zip", archive.getvalue(), "application/zip")
    fine(at.run())
    fine(next(b for b in at.button if b.label == "Open the file").click().run())
    own_study = opened_study(at)
    assert (own_study.source.kind, own_study.source.base_url, errors(at), other.hits) == ("bundle", "", [], [])


def without_baselines(study: Study) -> tuple[Task, ...]:
    return tuple(replace(task, baselines=()) for task in study.tasks)


@pytest.mark.parametrize("name", ["overview", "runs", "study"])
def test_a_study_that_was_open_before_a_server_was_refused_cannot_be_fetched(servers, name):
    """As of a study in studies/ whose server the deployer forgot to allow."""
    _, other = servers
    at = unopened(name, replace(study(other), folder=str(STUDIES.resolve())))
    at.session_state[KEY_OF_STATE].api_keys[other.url] = KEY
    at.secrets["deployment"] = HOSTED
    fine(at.run())
    assert errors(at) == [f"This deployment does not read {other.url}: it reads https://api.wandb.ai."]
    assert [button.label for button in at.button if "etch" in button.label] == []
    assert [plain(info.value) for info in at.info] == []
    assert other.hits == []


def test_the_server_of_the_environment_is_allowed(servers, monkeypatch):
    one, other = servers
    monkeypatch.setenv("WANDB_BASE_URL", one.url)
    at = give_key(paste_study(page(deployment=HOSTED), to_toml(study(other))))
    assert plain(field_badge(at)) == f"your key for {one.url} is in use"
    fetch(at)
    assert (one.count("Runs"), other.hits) == (1, [])


def field_badge(at: AppTest) -> str:
    """The badge of the key in use, as Markdown without its colour and icon."""
    text = next(badge.value for badge in at.markdown if "is in use" in badge.value)
    return text.rpartition(":material/key: ")[2].rstrip("]")


@pytest.mark.parametrize(
    "base_url",
    ["http://[::1", "http://127.0.0.1:99999", "https://user:secret@lab.example", "https://lab.example?key=secret",
     "https://lab.example#secret", "ftp://lab.example", "https://lab.example/" + "x" * 5000],
)  # fmt: skip
def test_an_address_that_is_none_is_one_sentence_in_the_app(base_url):
    at = paste_study(page(), to_toml(study(base_url)))
    [error] = errors(at)
    assert error.startswith("base_url ") and "secret" not in error and len(error) < 200
    at = page()
    fine(go(at, "new_study").text_area(key="build_place").input(f"{base_url}/team/walks").run())
    assert "secret" not in "".join(errors(at))
    assert all(len(error) < 250 for error in errors(at))


def test_a_key_is_never_in_the_address_of_the_page(servers):
    at = fetch(give_key(page(study(servers[0]))))
    assert KEY not in str(at.query_params)
    # The state of the session has it, which shows it to nobody.
    assert KEY in at.session_state[KEY_OF_STATE].api_keys.values()
    assert KEY not in repr(at.session_state)


def test_another_session_does_not_have_the_key(servers):
    give_key(page(study(servers[0])))
    assert SessionState().api_keys == {}
    assert not any("is in use" in badge.value for badge in page(study(servers[0])).markdown)
