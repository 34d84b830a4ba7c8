"""claims.json: the claims and effects of a study as one document, for programs."""

import json
import math
from dataclasses import asdict
from typing import Any

from lib.effects import claim, cost_and_gain, encoder_table, headline, shown_verdict, summary, visible_effects
from lib.report.results import Results
from lib.version import VERSION


def claims_json(results: Results) -> str:
    """The study's answer, its claims, the rows of effects.csv and what the encoder did; what cannot be said is null."""
    study, manifest = results.study, results.manifest
    rows = [_plain(row) for row in results.effects.iter_rows(named=True)]
    encoder = visible_effects(encoder_table(results.analysis.tasks), results.visible)
    document = {
        "study": {"name": study.name, "title": study.title, "hypothesis": study.hypothesis},
        "runs": len(manifest.runs),
        "fetched_at": manifest.fetched_at,
        "problems": [problem.message for problem in manifest.problems],
        "version": VERSION,
        "headline": headline(results.effects, study) or None,
        "cost_and_gain": cost_and_gain(results.analysis, results.effects, results.visible) or None,
        "answer": [asdict(family) for family in summary(results.effects, study)],
        "claims": [
            {key: row[key] for key in ("task", "metric", "arm")}
            | {"verdict": shown_verdict(row), "claim": claim(row, study, results.treatments)}
            for row in rows
        ],
        "effects": rows,
        "encoder": [_plain(row) for row in encoder.iter_rows(named=True)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
