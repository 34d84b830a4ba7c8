"""What the numbers of this process depend on beside data and settings."""

import hashlib
import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: What numbers and messages depend on, beside this project's own code.
_PACKAGES = ("dask", "distributed", "numpy", "polars", "pyarrow", "scipy", "pydantic")


@cache
def versions() -> dict[str, str]:
    """What the numbers of this process depend on: Python, packages and this project's code, as this process began."""
    packages = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    code = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        code.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, **packages, "this project's code": code.hexdigest()[:8]}
