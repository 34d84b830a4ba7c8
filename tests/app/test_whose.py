"""Whose key, whose files: the deployer's key serves no stranger's study, and a stranger's study names no local path."""

import io
import zipfile

import pytest
from streamlit.testing.v1 import AppTest

ENVIRONMENT_KEY, VISITOR_KEY = "e" * 40, "f" * 40

WANDB_STUDY = """
[study]
name = "theirs"
title = "Theirs"
[source]
kind = "wandb"
entity = "team"
project = "project"
base_url = "{server}"
[[metrics]]
key = "loss"
family = "loss"
expect = "decrease"
[[tasks]]
name = "walk"
total_steps = 100
"""
OFFLINE_STUDY = WANDB_STUDY.replace('kind = "wandb"', 'kind = "offline"\npath = "{path}"').replace(
    'base_url = "{server}"', ""
)


def keys_script():
    """Writes the key that a visitor's study, and a shipped one, would be fetched with."""
    import streamlit as st

    from lib.app.session.access import key_for, remember_key
    from lib.app.session.studies import open_text, study_named

    name = open_text(st.session_state["text"])
    if st.session_state.get("own"):
        server, key = st.session_state["own"]
        remember_key(server, key)
    st.write(str(key_for(study_named(name))))
    st.write(str(key_for(study_named("detach_encoder"))))


def opens_script():
    """Opens a study text or an uploaded file, and writes its name or what is wrong with it."""
    import streamlit as st

    from lib.app.session.fetching import fetch_result
    from lib.app.session.studies import open_text, open_upload, study_named
    from lib.study import InputError

    upload = st.session_state.get("upload")
    try:
        name = open_upload(*upload) if upload else open_text(st.session_state["text"])
        fetch_result(study_named(name))
        st.write(name)
    except InputError as error:
        st.write(str(error))


def keys(text: str, own: tuple[str, str] | None = None) -> list[str]:
    at = AppTest.from_function(keys_script, default_timeout=30)
    at.session_state["text"] = text
    if own:
        at.session_state["own"] = own
    at.run()
    assert not at.exception
    return [element.value for element in at.markdown]


def opened(deployment: dict[str, bool] | None = None, **state: object) -> str:
    at = AppTest.from_function(opens_script, default_timeout=30)
    for name, value in state.items():
        at.session_state[name] = value
    if deployment is not None:
        at.secrets["deployment"] = deployment
    at.run()
    assert not at.exception
    return at.markdown[0].value


def demo_zip() -> bytes:
    from lib.sources import fetch
    from lib.sources.bundle import _contents, _zipped
    from lib.study import load_study

    study = load_study("demo")
    return _zipped(_contents(study, fetch(study)))


def test_the_environments_key_serves_shipped_studies_only(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", ENVIRONMENT_KEY)
    assert keys(WANDB_STUDY.format(server="https://api.wandb.ai")) == ["None", ENVIRONMENT_KEY]


def test_a_visitors_key_goes_to_the_server_it_was_given_for_only():
    own = ("https://api.wandb.ai", VISITOR_KEY)
    assert keys(WANDB_STUDY.format(server="https://api.wandb.ai"), own) == [VISITOR_KEY, VISITOR_KEY]
    assert keys(WANDB_STUDY.format(server="https://elsewhere.example"), own) == ["None", VISITOR_KEY]


def test_a_visitors_own_key_comes_before_the_deployments(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", ENVIRONMENT_KEY)
    own = ("https://api.wandb.ai", VISITOR_KEY)
    assert keys(WANDB_STUDY.format(server="https://api.wandb.ai"), own) == [VISITOR_KEY, VISITOR_KEY]


@pytest.mark.parametrize(
    ("deployment", "allowed"),
    [
        (None, True),
        ({"hosted": False}, True),
        ({"hosted": True}, False),
        ({"hosted": True, "local_paths": True}, True),
        ({"local_paths": False}, False),
    ],
)
def test_local_paths_of_a_visitors_study(deployment, allowed, tmp_path):
    text = OFFLINE_STUDY.format(path=tmp_path)
    refusal = "This deployment opens no local paths: upload the runs as a bundle instead."
    empty = f"{tmp_path} holds no .wandb file: source.path must name a folder with wandb run directories."
    assert opened(deployment, text=text) == (empty if allowed else refusal)


def test_an_uploaded_bundle_opens_where_local_paths_do_not():
    assert opened({"hosted": True}, upload=("mine.zip", demo_zip())) == "demo-own"


def test_a_study_that_names_a_file_another_visitor_uploaded_is_refused(isolated_folders):
    content = demo_zip()
    assert opened({"hosted": True}, upload=("mine.zip", content)) == "demo-own"
    [uploaded] = (isolated_folders / "store" / "uploads").glob("*/*.zip")
    text = OFFLINE_STUDY.replace("offline", "bundle").format(path=uploaded)
    assert opened({"hosted": True}, text=text).startswith("This deployment opens no local paths")


def test_an_upload_that_would_leave_its_folder_is_refused(isolated_folders):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("../../escaped.txt", "gotcha")
    assert "would write outside its folder" in opened(None, upload=("evil.zip", buffer.getvalue()))
    assert list(isolated_folders.rglob("escaped.txt")) == []


def test_an_upload_that_is_no_text_says_so():
    assert opened(None, upload=("x.toml", b"\xff\xfe")) == (
        "x.toml is not a text file: a study is a TOML file in UTF-8."
    )
