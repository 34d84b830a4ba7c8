"""Saved studies: what is written of them, what is read back, and what damaged or hostile text becomes."""

import base64
import json
import os
import shutil
import threading
import zlib
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.runs import (
    SavedStudy,
    StoreError,
    change_saved,
    delete_saved,
    folder_of,
    from_address,
    parse_saved,
    read_saved,
    rename_saved,
    saved_study,
    store_root,
    study_folders,
    study_text,
    to_address,
)
from lib.runs.saved_studies import study_folder
from lib.study import STUDIES, Baseline, InputError, Source, Study, StudyError, load_study, parse_study
from tests.support.frames import SMALL

HASH = "0123456789abcdef" * 2
DEMO = load_study("demo")


def small(name: str = "small", **parts: object) -> Study:
    return replace(parse_study(SMALL), name=name, **parts)


def save(study: Study, *files: Path) -> Path:
    change_saved(study.name, lambda before: replace(before, study=study), files)
    return folder_of(study.name)


def place(name: str) -> Path:
    return Path("/uploads") / name


def upload(content: bytes = b"a bundle", name: str = f"{HASH}.zip") -> Path:
    path = store_root().resolve() / "uploads" / "session" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# ---- the folder -----------------------------------------------------------------------------------------------------


def test_a_study_is_saved_as_its_study_file_and_read_back():
    folder = save(small())
    assert folder == store_root().resolve() / "studies" / "small"
    assert sorted(path.name for path in folder.iterdir()) == ["added.json", "study.toml"]
    assert parse_study((folder / "study.toml").read_text()) == small()
    assert read_saved(folder) == (SavedStudy("small", small()), "")


def test_an_upload_lies_beside_the_study_file_that_names_it_by_its_name():
    path = upload()
    folder = save(small(source=Source(kind="bundle", path=str(path))), path)
    assert f'path = "{HASH}.zip"' in (folder / "study.toml").read_text()
    path.unlink()
    saved, _ = read_saved(folder)
    assert saved.study is not None
    assert saved.study.source.path == str(folder / f"{HASH}.zip")
    assert saved.study.source_path.read_bytes() == b"a bundle"


def test_what_is_added_to_a_study_leaves_the_rest_as_it_is():
    save(small())
    path = upload(b"step,reward,seed\n0,1,1\n", f"{HASH}.csv")
    curve = Baseline(str(path), "curve", step_scale=0.5)
    change_saved("small", lambda before: replace(before, baselines=(("task", curve),)), [path])
    change_saved("small", lambda before: replace(before, left_out=("r1", "r2")))
    change_saved("small", lambda before: replace(before, views={"paper figure 2": {"arms": ("a",), "window": None}}))
    folder = folder_of("small")
    assert read_saved(folder)[0] == SavedStudy(
        "small",
        small(),
        (("task", replace(curve, path=str(folder / path.name))),),
        ("r1", "r2"),
        {"paper figure 2": {"arms": ("a",), "window": None}},
    )
    assert json.loads((folder / "added.json").read_text()) == {
        "name": "small",
        "baselines": [["task", {"path": path.name, "label": "curve", "step_scale": 0.5}]],
        "left_out": ["r1", "r2"],
        "views": {"paper figure 2": {"arms": ["a"], "window": None}},
    }


def test_what_is_added_to_a_shipped_study_has_no_study_file():
    change_saved("demo", lambda before: replace(before, left_out=("r1",)))
    assert [path.name for path in folder_of("demo").iterdir()] == ["added.json"]
    assert read_saved(folder_of("demo"))[0] == SavedStudy("demo", None, (), ("r1",))


def test_a_copy_of_a_shipped_study_names_its_files_as_the_shipped_one_does():
    copy = replace(DEMO, name="copy", folder="", source=replace(DEMO.source, path=str(DEMO.source_path.resolve())))
    assert 'path = "../data/demo"' in study_text(copy)
    assert parse_saved(study_text(copy), "it", place) == copy
    assert copy.source.path == str(STUDIES.resolve().parent / "data" / "demo")


@pytest.mark.parametrize(
    "name",
    ["..", "../../etc", "/etc/passwd", ".", ".hidden", "a/b", "a\\b", "Größe", "x" * 5_000, "nul\0", "", " ", "A", "a",
     "mine-0123abcd", "study.toml", "\udcff"],
)  # fmt: skip
def test_every_name_has_a_folder_of_its_own_right_below_the_studies(name):
    folder = study_folder(name)
    assert folder.parent == store_root().resolve() / "studies"
    assert len(folder.name) <= 60 and not folder.name.startswith(".")
    assert folder.name == folder.name.lower()


@given(st.lists(st.text(max_size=80), min_size=2, max_size=2, unique=True))
def test_two_names_never_share_a_folder(names):
    first, second = map(study_folder, names)
    assert first.name.lower() != second.name.lower()


def test_names_that_differ_in_capitals_are_two_studies():
    save(small("Mine"))
    save(small("mine", title="Other"))
    assert [read_saved(folder_of(name))[0].study.title for name in ("Mine", "mine")] == ["Small", "Other"]


def test_a_rename_keeps_everything():
    path = upload()
    study = small(source=Source(kind="bundle", path=str(path)))
    change_saved("small", lambda _: SavedStudy("small", study, (), ("r1",), {"v": {"seeds": True}}), [path])
    rename_saved("small", "Größer")
    assert [folder.name for folder in study_folders()] == [study_folder("Größer").name]
    saved, message = read_saved(folder_of("Größer"))
    assert (saved.name, saved.left_out, saved.views, message) == ("Größer", ("r1",), {"v": {"seeds": True}}, "")
    assert saved.study is not None and saved.study.name == "Größer"
    assert saved.study.source_path.read_bytes() == b"a bundle"


def test_a_rename_takes_no_other_studys_place():
    save(small())
    save(small("other"))
    with pytest.raises(StudyError, match=r"^There is a study named 'other': choose another name\.$"):
        rename_saved("small", "other")
    assert [folder.name for folder in study_folders()] == ["other", "small"]


def test_deleting_removes_the_folder_alone():
    save(small())
    save(small("other"))
    delete_saved("small")
    assert [folder.name for folder in study_folders()] == ["other"]
    assert [path.name for path in (store_root() / "studies").iterdir() if path.name != ".lock"] == ["other"]


def test_nothing_is_added_to_a_study_that_another_page_deleted():
    save(small())
    delete_saved("small")
    with pytest.raises(StudyError, match=r"^There is no saved study named 'small': it was renamed or deleted\.$"):
        change_saved("small", lambda before: replace(before, left_out=("r1",)))
    assert study_folders() == []


def test_a_study_file_that_does_not_parse_is_one_sentence():
    folder = save(small())
    (folder / "study.toml").write_text("[study")
    with pytest.raises(StudyError, match=r"^The saved study small is not TOML: .*\.$"):
        read_saved(folder)
    (folder / "study.toml").write_bytes(b"\xff")
    with pytest.raises(StudyError, match=r"^The saved study small is damaged: its study\.toml is no text\.$"):
        read_saved(folder)
    assert folder_of("small") == folder
    with pytest.raises(StudyError):
        change_saved("small", lambda before: before)
    assert (folder / "study.toml").read_bytes() == b"\xff"


def test_a_folder_copied_by_hand_is_told():
    folder = save(small())
    folder.rename(folder.parent / "copy")
    with pytest.raises(StudyError, match=r"^The saved study copy holds a study of another name, 'small': "):
        read_saved(folder_of("copy"))


def test_damaged_additions_are_set_aside_and_told():
    folder = save(small())
    (folder / "added.json").write_text('{"name": 3')
    saved, message = read_saved(folder)
    assert saved == SavedStudy("small", small())
    assert message == (
        "What was added to small cannot be read: it is not what this program wrote. Its views, baselines and runs left "
        "out are set aside."
    )
    change_saved("small", lambda before: replace(before, left_out=("r1",)))
    assert (folder / "added.json.damaged").read_text() == '{"name": 3'
    assert read_saved(folder) == (SavedStudy("small", small(), (), ("r1",)), "")


@given(st.binary(max_size=200), st.sampled_from(["study.toml", "added.json"]))
def test_any_content_of_a_folder_is_a_study_or_one_sentence(content, name):
    shutil.rmtree(study_folder("small"), ignore_errors=True)
    folder = save(small())
    (folder / name).write_bytes(content)
    try:
        saved, message = read_saved(folder)
    except StudyError as error:
        message = str(error)
    else:
        assert saved.name == "small"
    assert "\n" not in message


def test_two_threads_lose_nothing_of_each_other():
    save(small())

    def leave_out(run: str) -> None:
        change_saved("small", lambda before: replace(before, left_out=(*before.left_out, run)))

    threads = [threading.Thread(target=leave_out, args=(f"r{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_saved(folder_of("small"))[0].left_out) == [f"r{index}" for index in range(8)]


def _name_views(first: int) -> None:
    for index in range(first, first + 10):
        change_saved("small", lambda kept, name=f"v{index}": replace(kept, views={**kept.views, name: {"seeds": True}}))


@pytest.mark.slow
def test_two_processes_lose_nothing_of_each_other():
    save(small())
    processes = [get_context("spawn").Process(target=_name_views, args=(first,)) for first in (0, 10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(read_saved(folder_of("small"))[0].views) == sorted(f"v{index}" for index in range(20))


def test_a_store_that_cannot_be_written_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DETACH_STORE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"cannot be written"):
        save(small())


# ---- the address ----------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)
VALUES = st.one_of(
    st.booleans(), st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
)  # fmt: skip
VIEWS = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=3)
CURVES = st.builds(Baseline, path=st.just(f"/uploads/{HASH}.csv"), label=NAMES, step_scale=st.floats(0.001, 1000))


@given(NAMES, st.lists(st.tuples(NAMES, CURVES), max_size=2).map(tuple), VIEWS)
def test_an_address_gives_back_what_was_put_into_it(title, baselines, views):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_study, "store_root", lambda: Path("/"))
        saved = SavedStudy("small", small(title=title), baselines, (), views)
        text = to_address(saved)
    assert text is not None and text.isascii() and not {*text} & {*"+/=&?#%"}
    assert from_address(text, place) == saved


def test_runs_left_out_are_not_said_twice_in_an_address():
    text = to_address(SavedStudy("demo", None, (), ("r1",), {"v": {"seeds": True}}))
    assert text is not None
    assert from_address(text, place) == SavedStudy("demo", None, (), (), {"v": {"seeds": True}})


def test_the_demos_copy_takes_less_than_two_kilobytes():
    copy = replace(DEMO, name="copy", folder="", source=replace(DEMO.source, path=str(DEMO.source_path.resolve())))
    text = to_address(SavedStudy("copy", copy))
    assert text is not None and len(text) < 2_000
    assert from_address(text, place).study == copy


def test_a_long_study_and_one_that_names_a_file_of_this_machine_have_no_address(tmp_path):
    noise = base64.b64encode(os.urandom(9_000)).decode()
    assert to_address(SavedStudy("small", small(hypothesis=noise))) is None
    local = small(source=Source(kind="offline", path=str(tmp_path)))
    assert to_address(SavedStudy("small", local)) is None
    assert to_address(SavedStudy("demo", None, (("task", Baseline(str(tmp_path / "a.csv"))),))) is None


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content, 9)).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    ["", "!", "AAAA", "é", packed(b""), packed(b"{}")[:-6], packed(b"{}") + "AAAA", packed(b"\0" * (1 << 21)), "A" * 10_000,
     packed(b"[" * 100_000), packed(b'{"name": "x", "left_out": 3}'), packed(b'{"name": "x", "key": "secret"}'),
     packed(b'{"name": "x", "views": {"v": {"from": NaN}}}'), packed(b'{"name": "x", "views": {"v": {"window": 1e999}}}'),
     packed(b'{"name": "\\ud800"}'),
     packed(b'{"name": "x", "baselines": [["task", {"path": "a.csv", "step_scale": -1}]]}'),
     packed(json.dumps({"name": "x", "text": "[study"}).encode())],
)  # fmt: skip
def test_an_address_that_was_changed_is_one_sentence(text):
    with pytest.raises(StudyError, match=r"^The study in this address .*\.$"):
        from_address(text, place)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(packed)))
def test_any_address_is_a_study_or_one_sentence(text):
    with suppress(InputError):
        from_address(text, place)


@given(st.data())
def test_a_damaged_address_is_a_study_or_one_sentence(data):
    text = to_address(SavedStudy("small", small(), (), (), {"v": {"seeds": True}}))
    assert text is not None
    at = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(st.sampled_from("abcXYZ019-_"))
    with suppress(StudyError):
        from_address(text[:at] + sign + text[at + 1 :], place)


def test_an_address_says_where_an_upload_lies_and_nothing_else():
    bundle = small(source=Source(kind="bundle", path="/etc/passwd"))
    text = json.dumps({"name": "x", "text": study_text(bundle)}).encode()
    assert from_address(packed(text), place).study.source.path == "/etc/passwd"
    for path in (f"../{HASH}.zip", f"a/{HASH}.zip", f"{HASH}.zip/..", f"{HASH}.toml"):
        text = json.dumps(
            {"name": "x", "text": study_text(replace(bundle, source=Source("bundle", path=path)))}
        ).encode()
        assert from_address(packed(text), place).study.source.path == path
