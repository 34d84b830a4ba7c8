"""Charts as Vega-Lite specifications over named tables."""

import copy
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict

import altair as alt
import polars as pl
import polars.selectors as cs

#: One row, for marks that stand at a place of the plot and not at one of the data.
ONE_ROW = alt.sequence(0, 1)

Layers: TypeAlias = "Sequence[alt.Chart | Layers]"


@dataclass(frozen=True)
class ChartSpec:
    """A chart ready to be sent to a browser or drawn into a file.

    `spec` is its Vega-Lite specification, which names its tables; `tables` are these as Arrow IPC streams; `description`
    says in a sentence what it shows.
    """

    spec: Mapping[str, Any]
    tables: Mapping[str, bytes]
    description: str = ""

    @property
    def size(self) -> int:
        """Bytes sent to the browser."""
        return len(json.dumps(self.spec)) + sum(map(len, self.tables.values()))

    def to_dict(self) -> dict[str, Any]:
        """The specification with the rows of its tables inside; what is not finite is null."""
        finite = pl.when(cs.float().is_finite()).then(cs.float())
        rows = {name: pl.read_ipc_stream(table).with_columns(finite).to_dicts() for name, table in self.tables.items()}
        return {**copy.deepcopy(dict(self.spec)), "datasets": rows}


class Size(TypedDict, total=False):
    """What a chart's size and title are: by default it fills its container and has no title."""

    width: int | Literal["container"]
    height: int
    title: str | None


def layered(layers: Layers, **properties: Any) -> ChartSpec:
    """A chart of Altair's layers, drawn in their order.

    The layers become JSON one by one: `alt.layer` copies all of them several times, which takes longer than all the rest.

    Parameters
    ----------
    layers : charts of one mark, whose data are polars frames or inline; lists of them share one y axis each.
    properties : of the whole chart (width, height, title, params, ...); what is None is left out.
    """
    whole: dict[str, Any] = {"width": "container", "height": 300} | properties
    if whole.get("title"):
        whole["title"] = alt.TitleParams(whole["title"], anchor="middle", fontWeight="bold")
    tables: dict[str, bytes] = {}
    names: dict[int, str] = {}
    parts = [_layer(layer, tables, names) for layer in layers]
    rest = {name: _plain(value) for name, value in whole.items() if value is not None}
    return ChartSpec({"$schema": alt.SCHEMA_URL, "layer": parts, **rest}, tables)


def concatenated(rows: Sequence[Sequence[ChartSpec]], **properties: Any) -> ChartSpec:
    """Charts beside and below each other in one."""
    cells = [[{k: v for k, v in cell.spec.items() if k != "$schema"} for cell in row] for row in rows]
    resolve = properties.get("resolve")
    body = [{"hconcat": row, **({"resolve": resolve} if resolve else {})} for row in cells]
    tables = {name: table for row in rows for cell in row for name, table in cell.tables.items()}
    rest = {name: _plain(value) for name, value in properties.items() if value is not None}
    return ChartSpec({"$schema": alt.SCHEMA_URL, "vconcat": body, **rest}, tables)


def _layer(layer: Any, tables: dict[str, bytes], names: dict[int, str]) -> dict[str, Any]:
    """One layer as JSON; its frame goes to `tables`, and `names` has what each frame is called, by its identity."""
    if not isinstance(layer, alt.Chart):
        return {"layer": [_layer(part, tables, names) for part in layer]}
    frame = layer.data
    if not isinstance(frame, pl.DataFrame):
        return _plain(layer)
    if id(frame) not in names:
        table = _arrow(frame)
        # Named by its content: a browser that was sent other numbers under a name takes more rows for appended ones.
        names[id(frame)] = hashlib.sha256(table).hexdigest()[:16]
        tables[names[id(frame)]] = table
    bare = layer.copy(deep=False)
    # Numbers are numbers: not told so, a browser makes one of every step again.
    bare.data = alt.NamedData(name=names[id(frame)], format=alt.JsonDataFormat(parse=None))
    return _plain(bare)


def _plain(value: Any) -> Any:
    """A part of a specification as JSON, without Altair's theme."""
    if isinstance(value, alt.SchemaBase):
        return value.to_dict(validate=False, context={"top_level": False})
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _arrow(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    # Browsers do not know Arrow's newer string views.
    frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()
