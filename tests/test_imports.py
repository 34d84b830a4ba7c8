"""What import-linter does not say: no circle at import time, no relative import, thin pages."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

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


def test_other_packages_are_imported_from_their_face():
    inside = [
        f"{name}: {node.module}"
        for name in FILES
        if name.startswith("lib.") and name != "lib.__main__"
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.ImportFrom)
        and node.module in FILES
        and package(node.module) not in (package(name), node.module, "lib.app.widgets")
    ]
    assert inside == []


def test_no_imports_at_the_top_of_files_go_in_a_circle():
    graph = {name: {o for o in imports(name, lazily=False) if o in FILES} - {"lib"} for name in FILES}
    while free := [name for name, needs in graph.items() if not needs]:
        graph = {name: needs - set(free) for name, needs in graph.items() if name not in free}
    assert graph == {}


def importers(libraries: set[str], allowed: tuple[str, ...] = (), lazily: bool = True) -> list[str]:
    """The modules that import one of the libraries and match none of the patterns."""
    return [
        name
        for name in FILES
        if not any(fnmatch(name, pattern) for pattern in allowed)
        and any(other.split(".")[0] in libraries for other in imports(name, lazily))
    ]


def test_streamlit_is_imported_by_the_app_alone():
    assert importers({"streamlit"}, ("lib.app.*", "pages.*", "streamlit_app")) == []


def test_the_wandb_client_is_imported_by_the_sources_alone():
    assert importers({"wandb"}, ("lib.sources.*", "lib.discover.*")) == []


def test_dask_is_imported_by_the_workers_alone_and_when_they_are_asked_for():
    assert importers({"dask", "distributed"}, ("lib.workers",)) == []
    assert importers({"dask", "distributed"}, lazily=False) == []


def test_slow_libraries_are_imported_where_they_are_used():
    assert importers({"wandb", "scipy"}, lazily=False) == []


def test_pages_only_present():
    """Their data comes through the session, which knows whose key and which study it is."""
    below = ("lib.sources*", "lib.effects*", "lib.curves*", "lib.charts*", "lib.discover*")
    pages = [name for name in FILES if name.startswith("pages.")]
    assert [f"{n}: {o}" for n in pages for o in imports(n) if any(fnmatch(o, pattern) for pattern in below)] == []
