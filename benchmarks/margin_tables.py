"""The tables of margins and of tasks together."""

from benchmarks.study_tables import FOLDER

MARGINS, MARGIN_STUDIES = FOLDER / "margins.parquet", FOLDER / "margin_studies.csv"
