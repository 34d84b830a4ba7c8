"""Write a study as files: figures, tables, claims and the report page."""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import polars as pl

from lib.curves import View
from lib.processes import Processes
from lib.report.claims_json import claims_json
from lib.report.page import claims, report_page
from lib.report.render import DRAWN, pictures, render
from lib.report.results import Results, study_results
from lib.runs import Manifest, StoreError, cpu_count, put, remove_leftovers
from lib.study import NUMBER_PATTERN, Study

TABLES = ("curves", "effects", "effects_detail", "runs")
TABLE_FORMATS = ("csv", "parquet")
CLAIMS_JSON = "claims.json"


def check_folder(out: Path) -> None:
    """Make the output folder and see that it can be written, before any long work; remove what killed writers left.

    Raises
    ------
    StoreError
        One sentence, where it cannot.
    """
    probe = out / ".write-test"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        remove_leftovers(out.glob(".*"))
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror}): choose another folder with --out.") from None


def write_report(
    study: Study,
    manifest: Manifest,
    out: Path,
    view: View,
    formats: Sequence[str],
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write the study's files in these formats; the paths written.

    `html` also writes `report.html` and `claims.md`; `claims.json` is always written. Every file is put in place whole.

    Raises
    ------
    StoreError
        Where the folder cannot be written.
    """
    written = []
    results = study_results(study, manifest, view)
    for warning in results.data.warnings:
        say(f"Warning: {warning}")
    with Processes(cpu_count()) as processes:
        for name, content in _files(results, formats, processes):
            say(f"Writing {name}")
            put(out / name, content, shared=True)
            written.append(out / name)
    return written


def _files(results: Results, formats: Sequence[str], processes: Executor) -> Iterator[tuple[str, bytes]]:
    # Charts become pictures in the processes, while this one writes what is no picture.
    images = {}
    if "html" in formats or set(DRAWN) & set(formats):
        drawings = pictures((figure.file_chart for figure in results.figures), processes)
        images = {figure.stem: image for figure, image in zip(results.figures, drawings, strict=True)}
    for figure in results.figures:
        for kind in formats:
            if kind not in TABLE_FORMATS:
                content = images[figure.stem].file(kind) if kind in DRAWN else render(figure.file_chart, kind)
                yield f"{figure.stem}.{kind}", content
    for name in TABLES:
        for kind in formats:
            if kind in TABLE_FORMATS:
                yield f"{name}.{kind}", table(getattr(results, name), kind)
    yield CLAIMS_JSON, claims_json(results).encode()
    if "html" in formats:
        yield "claims.md", claims(results).encode()
        yield "report.html", report_page(results, images, processes).encode()


_ROWS_AT_ONCE = 50_000
#: How a cell begins that a spreadsheet would run as a formula.
_FORMULA = r"^[=+\-@\t\r]"


def table(frame: pl.DataFrame, kind: str) -> bytes:
    """A frame as the bytes of a CSV (full float64 precision) or Parquet file.

    In a CSV a text that a spreadsheet would run as a formula begins with an apostrophe, as the spreadsheets' own guard
    does; numbers stay numbers.
    """
    buffer = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(buffer)
        return buffer.getvalue()
    text = pl.col(pl.String)
    is_formula = text.str.contains(_FORMULA) & ~text.str.contains(NUMBER_PATTERN)
    frame.clear().write_csv(buffer)
    # A part after the other: a table with rows for every run is large.
    for part in frame.iter_slices(_ROWS_AT_ONCE):
        guarded = part.with_columns(pl.when(is_formula).then("'" + text).otherwise(text).name.keep())
        guarded.write_csv(buffer, include_header=False)
    return buffer.getvalue()
