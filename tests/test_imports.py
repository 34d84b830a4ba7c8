"""What import-linter does not say: no circle at import time, no relative import, thin pages."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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


def package(name: str) -> str:
    """The package whose face others import from: `lib.runs` of `lib.runs.store`."""
    return ".".join(name.split(".")[:2])


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.startswith("lib.") and n != "lib.__main__"))
def test_other_packages_are_imported_from_their_face(name):
    inside = [
        node.module
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.ImportFrom)
        and node.module in FILES
        and package(node.module) not in (package(name), node.module)
    ]
    assert inside == []


def test_no_imports_at_the_top_of_files_go_in_a_circle():
    graph = {name: {o for o in imports(name, lazily=False) if o in FILES} - {"lib"} for name in FILES}
    while free := [name for name, needs in graph.items() if not needs]:
        graph = {name: needs - set(free) for name, needs in graph.items() if name not in free}
    assert graph == {}


@pytest.mark.parametrize("name", sorted(FILES))
def test_streamlit_stays_on_its_side(name):
    uses = any(other.split(".")[0] == "streamlit" for other in imports(name))
    assert not uses or fnmatch(name, "lib.app.*") or name.startswith("pages.") or name == "streamlit_app"


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_wandb_client_stays_in_the_sources(name):
    uses = any(other.split(".")[0] == "wandb" for other in imports(name))
    assert not uses or fnmatch(name, "lib.sources.*") or fnmatch(name, "lib.discover.*")


@pytest.mark.parametrize("name", sorted(FILES))
def test_slow_libraries_are_imported_where_they_are_used(name):
    slow = {"wandb", "scipy"}
    assert slow.isdisjoint(other.split(".")[0] for other in imports(name, lazily=False))


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.startswith("pages.")))
def test_pages_only_present(name):
    """What they show comes through the session, which knows whose key and which study it is."""
    below = ("lib.sources*", "lib.effects*", "lib.curves*", "lib.charts*", "lib.discover*")
    assert [other for other in imports(name) if any(fnmatch(other, pattern) for pattern in below)] == []
