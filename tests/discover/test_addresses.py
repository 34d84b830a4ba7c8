"""Which places on a W&B server a pasted text names."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lib.discover import folder_of, parse_addresses
from lib.discover.address import WANDB_API, WandbAddress, parse_address
from lib.study import InputError

# ---- one address -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("https://wandb.ai/me/p/sweeps/8lsl2o4p", WandbAddress("me", "p", sweep="8lsl2o4p", server=WANDB_API)),
        (" https://wandb.ai/me/p/sweeps/x/workspace?nw=1#a ", WandbAddress("me", "p", sweep="x", server=WANDB_API)),
        ("https://wandb.ai/me/p/runs/r1/overview", WandbAddress("me", "p", run="r1", server=WANDB_API)),
        ("https://api.wandb.ai/me/p", WandbAddress("me", "p", server=WANDB_API)),
        ("wandb.ai/me/p/workspace", WandbAddress("me", "p", server=WANDB_API)),
        (
            "https://WANDB.lab.example:8080/me/p/runs/r",
            WandbAddress("me", "p", run="r", server="https://wandb.lab.example:8080"),
        ),
        ("http://127.0.0.1:9/me/p/sweeps", WandbAddress("me", "p", server="http://127.0.0.1:9")),
        ("localhost:8080/me/p", WandbAddress("me", "p", server="http://localhost:8080")),
        ("http://[::1]:9/me/p", WandbAddress("me", "p", server="http://[::1]:9")),
        (
            "https://wandb.ai/me/p/groups/half%2Fwide%20nets/workspace?nw=nwuserme",
            WandbAddress("me", "p", group="half/wide nets", server=WANDB_API),
        ),
        ("me/p/groups/detach-0.5", WandbAddress("me", "p", group="detach-0.5")),
        ("me/p/8lsl2o4p", WandbAddress("me", "p", sweep="8lsl2o4p")),
        ("me/p/sweeps/8lsl2o4p", WandbAddress("me", "p", sweep="8lsl2o4p")),
        ("me/p/runs/r1", WandbAddress("me", "p", run="r1")),
        ("me/p/", WandbAddress("me", "p")),
        ("https://wandb.ai/me/my%20project/sweeps/x", WandbAddress("me", "my project", sweep="x", server=WANDB_API)),
    ],
)
def test_places(text, place):
    assert parse_address(text) == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Paste the address"),
        ("me", "names no project"),
        ("https://wandb.ai/", "names no project"),
        ("ftp://wandb.ai/me/p", "not a web address"),
        ("http://[bad/me/p", "not a web address"),
        ("https://host:nan/me/p", "not a web address"),
        ("https://user:secret@wandb.ai/me/p", "must not hold a name or a password"),
        ("https://wandb.ai/me/p/reports/x", "A report names no runs: paste the addresses of the sweeps"),
        ("https://wandb.ai/me/p/reports/Detach--Vmlldzo3Nzc=?accessToken=k", "A report names no runs"),
        ("https://wandb.ai/me/reports/Detach--Vmlldzo3Nzc=", "A report names no runs"),
        ("https://api.wandb.ai/links/me/abc12345", "A report names no runs"),
        ("https://wandb.ai/me/projects", "names no project"),
        ("https://wandb.ai/me/p/artifacts/model/m/v0", "'artifacts' is no page"),
        ("https://wandb.ai/me/p/groups", "'groups' is no page"),
        ("https://wandb.ai/me/p/8lsl2o4p", "'8lsl2o4p' is no page"),
        ("me/p/x/y", "'x' is no page"),
        ("me/..", r"'\.\.' is no name"),
        ("me/a%2Fb", "'a/b' is no name"),
    ],
)
def test_what_names_no_place(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse_address(text)
    assert "secret" not in str(error.value)


NAME = some.text("abcXYZ019_-.é ", min_size=1, max_size=20).filter(
    lambda t: t == t.strip() and t not in {".", ".."} and "." not in t
)
SERVER = some.sampled_from(["", WANDB_API, "https://wandb.lab.example", "http://127.0.0.1:8080"])


@given(NAME, NAME, some.sampled_from(["", "sweep", "run", "group"]), NAME, SERVER)
def test_a_places_address_gives_it_back(entity, project, kind, inner, server):
    place = WandbAddress(entity, project, **({kind: inner} if kind else {}), server=server)
    if entity == "localhost":
        return
    assert parse_address(place.address) == place


@given(some.text(max_size=80))
def test_any_text_is_a_place_or_one_sentence(text):
    try:
        place = parse_address(text)
    except InputError as error:
        assert str(error).endswith(".")
        assert str(error).isprintable()
    else:
        assert place.entity and place.project


# ---- pasted text -------------------------------------------------------------------------------------------------

SWEEP_A = WandbAddress("me", "p", sweep="a1", server=WANDB_API)
SWEEP_B = WandbAddress("me", "p", sweep="b2", server=WANDB_API)
RUN = WandbAddress("me", "p", run="r1", server=WANDB_API)
PROJECT = WandbAddress("me", "p", server=WANDB_API)
LINK_A, LINK_B = "https://wandb.ai/me/p/sweeps/a1", "https://wandb.ai/me/p/sweeps/b2"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (f"{LINK_A}\n{LINK_B}\n", [SWEEP_A, SWEEP_B]),
        (f"{LINK_A}\r\n\r\n{LINK_A}/table?nw=me", [SWEEP_A]),
        (f"{LINK_A},{LINK_B}", [SWEEP_A, SWEEP_B]),
        (f"me/p/b2\n{LINK_A}", [SWEEP_B, SWEEP_A]),
        (f"wandb: 🧹 View sweep at: {LINK_A}", [SWEEP_A]),
        ("wandb: 🚀 View run fancy-sweep-1 at: https://wandb.ai/me/p/runs/r1", [RUN]),
        ("wandb: ⭐️ View project at https://wandb.ai/me/p", [PROJECT]),
        (f"wandb: ⭐️ View project at https://wandb.ai/me/p\nwandb: 🧹 View sweep at {LINK_A}", [SWEEP_A]),
        (f"The sweeps are [frozen]({LINK_A}?nw=x), and the other one ({LINK_B}).", [SWEEP_A, SWEEP_B]),
        (f"[{LINK_A}]({LINK_A})", [SWEEP_A]),
        (f"“{LINK_A}”", [SWEEP_A]),
        (f"**{LINK_A}**", [SWEEP_A]),
        (f"<{LINK_A}|the sweep>", [SWEEP_A]),
        (f"`{LINK_A}/`", [SWEEP_A]),
        (f"HTTPS{LINK_A[5:]}!", [SWEEP_A]),
        (f"\x1b[34m{LINK_A}\x1b[0m", [SWEEP_A]),
        (f"detached:\n{LINK_A}\nnever detached, the same seeds:\n{LINK_B}", [SWEEP_A, SWEEP_B]),
        (f"1. {LINK_A} (detached)\n2. {LINK_B} (control)", [SWEEP_A, SWEEP_B]),
        (
            "wandb: Creating sweep from: sweeps/dmc/detach.yaml\nwandb: Creating sweep with ID: a1\n"
            f"wandb: View sweep at: {LINK_A}\nwandb: Run sweep agent with: wandb agent me/p/a1\n"
            "wandb: Run data is saved locally in /home/me/p/wandb/run-20260101_000000-r1",
            [SWEEP_A],
        ),
    ],
)
def test_pasted_texts(text, places):
    assert parse_addresses(text) == tuple(places)


@pytest.mark.parametrize(
    "text",
    [
        "wandb agent me/p/a1",
        "CUDA_VISIBLE_DEVICES=0 wandb agent --count 5 me/p/a1 &",
        "wandb agent me/p/a1 --count 5",
        "$ wandb agent 'me/p/a1'",
        "wandb: Run sweep agent with: wandb agent me/p/a1",
        "- me/p/a1,",
        "the sweep is me/p/a1.",
        '"me/p/a1"',
        'sweep = wandb.Api().sweep("me/p/a1")',
        "runs = api.sweep('me/p/sweeps/a1').runs",
    ],
)
def test_short_forms_in_commands_and_prose(text):
    assert parse_addresses(text) == (WandbAddress("me", "p", sweep="a1"),)


def test_a_place_in_words():
    assert [place.place for place in (SWEEP_A, RUN, PROJECT)] == ["sweep a1", "run r1", "every run"]


def test_two_short_forms_on_one_line():
    sweeps = tuple(WandbAddress("me", "p", sweep=sweep) for sweep in ("a1", "b2"))
    assert parse_addresses("compare me/p/a1 and me/p/b2") == sweeps
    assert parse_addresses("me/p/a1,me/p/b2") == sweeps
    assert parse_addresses("me/my nets/a1") == (WandbAddress("me", "my nets", sweep="a1"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n ", "Paste the address"),
        ("wandb agent a1", "names no project"),
        ("me/p/a1\nb2", "names no project"),
        ("wandb: Creating sweep with ID: a1", "This text holds no address"),
        ("the two sweeps of last week", "This text holds no address"),
        (f"{LINK_A}\nhttps://wandb.ai/me/p/reports/x--y", "A report names no runs"),
        (f"{LINK_A}\nhttps://wandb.ai/you/q/sweeps/b2", "reads one project of one server, and these are 2"),
        (f"{LINK_A}\nhttps://wandb.lab.example/me/p/sweeps/b2", "reads one project of one server"),
        (f"{LINK_A}\nhttps://wandb.ai/me/p/groups/g", "A study reads sweeps, or one group"),
        ("me/p/groups/g\nme/p/groups/h", "A study reads sweeps, or one group"),
    ],
)
def test_texts_that_no_study_can_be_of(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse_addresses(text)
    assert str(error.value).endswith(".")


PIECE = some.one_of(
    some.text(max_size=12),
    some.sampled_from(
        [
            LINK_A,
            LINK_B,
            "https://",
            "http://[",
            "wandb agent ",
            "wandb: ",
            "me/p/a1",
            "/groups/",
            "](",
            "%00",
            "%ff",
            "\n",
            " ",
        ]
    ),
)


@given(some.lists(PIECE, max_size=8).map("".join))
def test_any_text_is_places_of_one_project_or_one_sentence(text):
    try:
        places = parse_addresses(text)
    except InputError as error:
        assert str(error).endswith(".")
        assert str(error).isprintable()
    else:
        assert len({(place.server, place.entity, place.project) for place in places}) == 1
        assert len(set(places)) == len(places)


BEFORE = some.sampled_from(["", "see ", "wandb: View sweep at: ", "- ", "[sweep](", "“", "<", "(", "detached: "])
AFTER = some.sampled_from(["", ".", ",", ")", "”", ">", " and more", "?nw=nwuserme", "/", "/table?nw=me).", "#runs"])


@given(BEFORE, NAME, NAME, AFTER, some.sampled_from([WANDB_API, "https://wandb.lab.example", "http://127.0.0.1:8080"]))
def test_a_sweeps_link_is_found_whatever_stands_around_it(before, project, sweep, after, server):
    place = WandbAddress("me", project, sweep=sweep, server=server)
    assert parse_addresses(f"{before}{place.address}{after}") == (place,)


# ---- a folder ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~/project/wandb", "~/project/wandb"),
        (" /srv/runs/wandb \n", "/srv/runs/wandb"),
        ("./wandb", "./wandb"),
        ("../wandb", "../wandb"),
        ('"/srv/my runs/wandb"', "/srv/my runs/wandb"),
        (r"C:\runs\wandb", r"C:\runs\wandb"),
        ("c:/runs/wandb", "c:/runs/wandb"),
        ("", ""),
        ("me/p/8lsl2o4p", ""),
        ("https://wandb.ai/me/p", ""),
        ("s://wandb.ai/me/p", ""),
        ("//wandb.ai/me/p", ""),
        ("localhost:8080/me/p", ""),
        ("wandb agent me/p/x", ""),
        ("me/p/x\n/srv/runs", ""),
    ],
)
def test_a_path_is_told_by_how_it_begins_and_an_address_is_none(text, path):
    assert folder_of(text) == path
