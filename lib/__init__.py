"""Did the detach help: from W&B runs to curves, effects and reports.

In a notebook: `study = lib.open_study("demo")`, then `study.effects()` or `study.chart("acrobot-swingup", "reward")`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lib.notebook import OpenStudy, open_study, open_sweep

__all__ = ["OpenStudy", "open_study", "open_sweep"]


def __getattr__(name: str) -> Any:
    """The face for notebooks, loaded when it is first asked for."""
    if name in __all__:
        from lib import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'lib' has no attribute '{name}'")
