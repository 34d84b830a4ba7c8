"""Imports run one way. A new file must be given its place here."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Bottom to top: a file imports from lower layers, and from its own where that is marked so (but never in a circle).
LAYERS: list[tuple[str, tuple[str, ...]]] = [
    ("sentences", ("lib.complaints", "lib.study_values")),
    ("parts", ("lib.study_parts",)),
    ("study", ("lib.study",)),
    ("points", ("lib.points",)),
    ("history", ("lib.history",)),
    ("places", ("lib.key_names", "lib.place", "lib.find_keys")),
    ("store", ("lib.store",)),
    ("sources", ("lib.sources", "lib.sources.*")),
    ("detach", ("lib.detach",)),
    ("propose", ("lib.propose",)),
    ("audit", ("lib.audit", "lib.run_values")),
    ("series", ("lib.series", "lib.view", "lib.wall_time")),
    ("bins", ("lib.bins",)),
    ("curves", ("lib.curves",)),
    ("baselines", ("lib.baselines",)),
    (
        "effects",
        (
            *(
                "lib.estimators",
                "lib.samples",
                "lib.comparisons",
                "lib.jumps",
                "lib.designs",
                "lib.gates",
                "lib.across",
            ),
            *("lib.effects", "lib.effects_*"),
        ),
    ),
    ("words", ("lib.methods", "lib.claims", "lib.answers", "lib.citation")),
    ("charts", ("lib.charts", "lib.charts_*")),
    ("figures", ("lib.figures",)),
    ("results", ("lib.results",)),
    ("report", ("lib.report", "lib.report_*")),
    ("session", ("lib.session", "lib.session_*")),
    ("widgets", ("lib.widgets", "lib.widgets_*")),
    ("pages", ("pages.*", "streamlit_app")),
]
#: Layers of several files, which may import each other without going in a circle.
FAMILIES = {"sentences", "sources", "places", "effects", "words", "charts", "report", "session", "widgets"}
#: Where runs come from and what is made of them know nothing of each other.
APART = {
    "store": {"places"},
    "detach": {"places", "store", "sources"},
    "propose": {"store", "sources"},
    "audit": {"places", "store", "sources", "propose"},
    "curves": {"places", "store", "sources", "propose", "audit"},
    "effects": {"places", "store", "sources", "propose", "audit"},
    "charts": {"places", "store", "sources", "propose"},
}
COMMAND_LINE = "lib.__main__"
STREAMLIT = ("streamlit_app", "pages.*", "lib.session", "lib.session_*", "lib.widgets", "lib.widgets_*")


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(f): f for f in [*ROOT.glob("lib/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "streamlit_app.py"]}


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def imports(name: str, lazily: bool = True) -> Iterator[str]:
    """The modules that a file imports: those of this project as files, of others by their full names."""
    tree = parsed(name)
    for node in ast.walk(tree) if lazily else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by a relative path"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FILES else str(node.module)


def layer_of(name: str) -> int:
    found = [i for i, (_, patterns) in enumerate(LAYERS) if any(fnmatch(name, p) for p in patterns)]
    assert len(found) == 1, f"{name} needs its place in LAYERS"
    return found[0]


MODULES = sorted(name for name in FILES if name not in ("lib", COMMAND_LINE))


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name):
    mine = layer_of(name)
    layer = LAYERS[mine][0]
    for other in imports(name):
        if other not in FILES or other == "lib":
            continue
        assert other != COMMAND_LINE
        theirs = layer_of(other)
        own = theirs == mine and layer in FAMILIES
        assert theirs < mine or own, f"{name} ({layer}) imports {other} ({LAYERS[theirs][0]})"
        assert LAYERS[theirs][0] not in APART.get(layer, set())


def test_no_imports_at_the_top_of_files_go_in_a_circle():
    graph = {name: {o for o in imports(name, lazily=False) if o in FILES} - {"lib"} for name in FILES}
    while free := [name for name, needs in graph.items() if not needs]:
        graph = {name: needs - set(free) for name, needs in graph.items() if name not in free}
    assert graph == {}


@pytest.mark.parametrize("name", sorted(FILES))
def test_streamlit_stays_on_its_side(name):
    uses = any(other.split(".")[0] == "streamlit" for other in imports(name))
    assert not uses or any(fnmatch(name, pattern) for pattern in STREAMLIT)


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_wandb_client_stays_in_the_sources(name):
    uses = any(other.split(".")[0] == "wandb" for other in imports(name))
    assert not uses or fnmatch(name, "lib.sources.*")


@pytest.mark.parametrize("name", sorted(FILES))
def test_slow_clients_are_imported_where_they_are_used(name):
    assert "wandb" not in {other.split(".")[0] for other in imports(name, lazily=False)}


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("pages.")])
def test_pages_only_present(name):
    """What they show comes through the session, which knows whose key and which study it is."""
    below = ("lib.store", "lib.sources", "lib.sources.*", "lib.detach", "lib.effects", "lib.curves")
    assert [other for other in imports(name) if any(fnmatch(other, pattern) for pattern in below)] == []


def test_every_pattern_has_a_file():
    patterns = [p for _, patterns in LAYERS for p in patterns if not p.endswith("*")]
    assert [p for p in patterns if p not in FILES] == []
