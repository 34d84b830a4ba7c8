"""What Python's garbage collection costs after every run of a page."""

import gc
import sys
from functools import cache


def spare_modules() -> None:
    """Leave imported modules out of garbage collection: Streamlit collects after every run, and they never are garbage.

    Looking through them takes ten times as long as to run a page whose results are cached.
    """
    _freeze(len(sys.modules))


@cache
def _freeze(modules: int) -> None:
    gc.collect()
    gc.freeze()
