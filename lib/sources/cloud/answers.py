"""What is read of a W&B server's answers: models that every answer passes, so that nothing else has to check types."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from lib.sources.cloud.limits import RequestError
from lib.sources.cloud.parquet import STEP
from lib.study import as_number, plain_value

#: The most runs that a listing may hold, exports and rows that one run may have.
MAX_RUNS, MAX_EXPORTS, MAX_ROWS = 20_000, 2_000, 10_000_000

M = TypeVar("M", bound=BaseModel)


def _plain_line(text: str) -> str:
    """A text on one line; halves of surrogate pairs become the replacement character."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in plain_value(text)).strip()


def _run_id(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("no run id")
    return text


def _tree(value: Any) -> Any:
    """A JSON object that the server sends as text."""
    tree = json.loads(value, strict=False) if isinstance(value, str) else value
    return plain_value(tree) if isinstance(tree, dict) else {}


def step_of(value: Any) -> int | None:
    """A step as a whole number that a history can hold; None where it is none."""
    step = None if isinstance(value, bool) else as_number(value)
    return int(step) if step is not None and abs(step) < 2**53 and step.is_integer() else None


def _row(value: Any) -> Any:
    """A logged row, which the server sends as text."""
    row = json.loads(value, strict=False) if isinstance(value, str) else value
    if isinstance(row, dict) and STEP in row:
        row[STEP] = step_of(row[STEP])
    return row


Line = Annotated[str, AfterValidator(_plain_line)]
Tree = Annotated[dict[str, Any], BeforeValidator(_tree)]
Step = Annotated[int | None, BeforeValidator(step_of)]
Url = Annotated[str, Field(pattern=r"^[!-~]+$")]
Row = Annotated[dict[str, Any], BeforeValidator(_row)]


class HistoryKeys(BaseModel):
    """Which keys a run logged, and its last step."""

    keys: dict[Line, Any] | None = None
    lastStep: Step = None


class Node(BaseModel):
    """A run as the server lists it."""

    name: Annotated[str, AfterValidator(_run_id), Field(max_length=500)]
    displayName: Line | None = None
    sweepName: Line | None = None
    state: Line | None = None
    group: Line | None = None
    config: Tree = {}
    summaryMetrics: Tree = {}
    createdAt: Line | None = None
    heartbeatAt: Line | None = None
    historyLineCount: int | None = None
    historyKeys: HistoryKeys | None = None


class Edge(BaseModel):
    """A run of a page."""

    node: Node
    cursor: str = ""


class PageInfo(BaseModel):
    """Whether another page follows."""

    hasNextPage: bool | None = None


class Page(BaseModel):
    """A page of the listing."""

    edges: list[Edge]
    pageInfo: PageInfo


class Runs(BaseModel):
    """A project with a page of its runs."""

    runs: Page


class Sweep(BaseModel):
    """A project with one sweep, or without it."""

    sweep: dict[str, Any] | None = None


class LiveRow(BaseModel):
    """The step of a row that is in no export."""

    step: Step = Field(None, alias="_step")


class ParquetHistory(BaseModel):
    """A run's exports and the rows that are in none."""

    parquetUrls: Annotated[list[Url], Field(max_length=MAX_EXPORTS)] | None = None
    liveData: list[LiveRow] | None = None


class Exports(BaseModel):
    """A run with its exports."""

    parquetHistory: ParquetHistory | None = None


class Rows(BaseModel):
    """A run with a page of its rows."""

    history: list[Row] | None = None


def answer_of(model: type[M], tree: Any) -> M:
    """A part of an answer as its model.

    Raises
    ------
    RequestError
        Where it is anything else.
    """
    try:
        return model.model_validate(tree)
    except (ValueError, RecursionError):
        raise RequestError("its answer is not one of a W&B server") from None
