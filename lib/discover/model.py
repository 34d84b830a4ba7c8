"""What an inspection of a place with runs returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lib.runs import Run, RunPart
from lib.study import Source


@dataclass(frozen=True)
class Inspection:
    """What was seen where runs are, without reading more than that takes.

    `lowest` is by key the lowest value seen: of every logged value where `whole`, else of the runs' last values.
    `falls` is by run the last step at which the signal was above 0 (None: never) and the first one at 0 afterwards.
    `signal_parts` are by run the raw rows of the signal with every key that may be the step, where they were read.
    `group` is the group that was asked for. `notes` are sentences about what was taken and what could not be seen.
    """

    source: Source
    title: str
    runs: tuple[Run, ...]
    lowest: dict[str, float] = field(default_factory=dict)
    whole: bool = False
    falls: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    group: str = ""
    signal_parts: Mapping[str, tuple[RunPart, ...]] = field(default_factory=dict, compare=False)

    @cached_property
    def configs(self) -> tuple[dict[str, Any], ...]:
        """The config of each run with what lies in tables under dotted keys, as a study file names them."""
        return tuple(dotted(run.config) for run in self.runs)


def dotted(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config by key, those inside tables by their dotted keys; a literal key comes first."""
    values: dict[str, Any] = {}
    tables: list[tuple[str, Mapping[str, Any]]] = [("", config)]
    while tables:
        prefix, table = tables.pop(0)
        for key, value in table.items():
            if isinstance(value, Mapping):
                tables.append((f"{prefix}{key}.", value))
            else:
                values.setdefault(prefix + key, value)
    return values
