"""Damaged files: `.wandb` logs, study files, bundles, baseline CSVs, and what the store holds."""

import io
import json
import os
import random
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.dataset  # noqa: F401 - loaded before a case begins: a deadline does not count the start of a program
import scipy.stats  # noqa: F401

from benchmarks.hardening.cases import WrongNumbers
from benchmarks.hardening.mutations import ODD_VALUES, damaged, damaged_text, damaged_tree
from lib.curves import View, curves, read_baseline
from lib.effects import analyse
from lib.runs import Manifest, runs_table, treatments_of
from lib.sources import bundled_study, fetch
from lib.study import Study, parse_study, shipped_studies, to_toml
from lib.study.toml import STUDIES
from tests.support import wandb_files
from tests.support.bundle_kit import StudyParts, bundle, run

Points = dict[tuple[str, str, int], float]

STUDY = """
[study]
name = "hard"
title = "Hard"
[source]
kind = "offline"
path = "."
[[metrics]]
key = "reward"
family = "reward"
expect = "increase"
[[metrics]]
key = "loss"
family = "loss"
expect = "decrease"
scale = "log"
[[tasks]]
name = "walk"
total_steps = 100
detach = { ratio_key = "ratio" }
"""


def points_of(manifest: Manifest, run_id: str = "") -> Points:
    """The values of a manifest's runs, or of one, by run, metric and step."""
    rows = manifest.history().lazy().drop_nulls("metric")
    if run_id:
        rows = rows.filter(pl.col("run_id") == run_id)
    columns = rows.select("run_id", "metric", "step", "value").collect().iter_rows()
    return {(run, metric, step): value for run, metric, step, value in columns}


def require_subset(points: Points, truth: Points, what: str) -> None:
    """Every point is one of the true ones: some may be missing, none may be another."""
    for place, value in points.items():
        if place not in truth or not (truth[place] == value or (np.isnan(truth[place]) and np.isnan(value))):
            raise WrongNumbers(f"{what}: {place} is {value}, was {truth.get(place)}")


def use(study: Study, manifest: Manifest) -> None:
    """Compute what a page or a report would of these runs."""
    runs_table(study, manifest)
    treatments = treatments_of(study, manifest)
    for task in study.tasks:
        of_task = [t for t in treatments if t.task == task.key]
        for family in ("reward", "loss"):
            if study.family(family):
                curves(manifest.history(manifest.of_task(task.key)), task, study.family(family), of_task, View())
    analyse(study, manifest)


def said(manifest: Manifest) -> str:
    """Everything that a manifest says is wrong, as one line; a line of its own within it stays visible."""
    texts = [p.message for p in manifest.problems] + [w for r in manifest.runs for w in r.warnings]
    return " / ".join(texts)


# ---- .wandb files ------------------------------------------------------------------------------------------------


def _rows(seed: int) -> list[dict[str, Any]]:
    steps = range(0, 101, 5)
    return [{"_step": s, "_timestamp": 1e9 + s, "reward": s + seed / 10, "loss": 2.0 + seed - s / 100} for s in steps]


def _messages(seed: int) -> list[bytes]:
    config = {"task": "walk", "seed": seed, "ratio": 0.5 * (seed % 2)}
    rows = [wandb_files.row_message(row, i) for i, row in enumerate(_rows(seed))]
    return [wandb_files.run_message(f"r{seed}", config, project="p", entity="e"), *rows, wandb_files.exit_message()]


def _truth(seed: int) -> Points:
    return {(f"r{seed}", key, row["_step"]): float(row[key]) for row in _rows(seed) for key in ("reward", "loss")}


def wandb_file(seed: int, folder: Path) -> str:
    """A whole run beside one whose file is damaged, its checksums right or wrong: the whole one must come unharmed."""
    rng = random.Random(seed)
    for whole in (2, 3):
        wandb_files.write_run(folder, _messages(whole), f"r{whole}")
    path = wandb_files.write_run(folder, _messages(1), "r1")
    is_checked = rng.random() < 0.5
    if is_checked:
        path.write_bytes(damaged(path.read_bytes(), rng))
    else:
        path.write_bytes(wandb_files.log_bytes(_hostile_messages(rng)))
    study = parse_study(STUDY, folder=str(folder))
    manifest = fetch(study)
    for whole in (2, 3):
        if points_of(manifest, f"r{whole}") != _truth(whole):
            raise WrongNumbers(f"run r{whole} beside a damaged file is not what was logged")
    if is_checked:
        require_subset(points_of(manifest, "r1"), _truth(1), "a damaged file")
    use(study, manifest)
    return said(manifest)


def _hostile_messages(rng: random.Random) -> list[bytes]:
    """Whole records with odd content: their checksums are right."""
    messages = _messages(1)
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(messages))
        way = rng.randrange(6)
        if way == 0:
            messages[at] = damaged(messages[at], rng)
        elif way == 1:
            key = rng.choice(("_step", "reward", "loss", "_timestamp", "", "a.b"))
            messages.insert(at, _raw_row(key, _odd_json(rng)))
        elif way == 2:
            messages.insert(at, _raw_config(rng.choice(("task", "seed", "ratio", "x", "_wandb")), _odd_json(rng)))
        elif way == 3:
            record = wandb_files.Record()
            record.ParseFromString(_messages(1)[0])
            record.run.start_time.seconds = rng.choice((-(2**40), 2**40, 2**62, 253402300800))
            messages[0] = record.SerializeToString()
        elif way == 4:
            fields = {
                rng.choice(("display_name", "sweep_id", "run_group", "project", "entity")): rng.choice(
                    ("", "../x", "é", "\n")
                )
            }
            messages.insert(
                at, wandb_files.run_message(rng.choice(("r1", "r9", "", "../r", "\n")), {"task": "walk"}, **fields)
            )
        else:
            messages.insert(at, messages[rng.randrange(len(messages))])
    return messages


def _odd_json(rng: random.Random) -> str:
    texts = (
        "[" * 5000,
        '{"a":' * 3000,
        "9" * 5000,
        "-" + "9" * 4400,
        "1e400",
        "NaN",
        "{",
        "",
        '"\\ud800"',
        "1" + "0" * 308,
    )
    return rng.choice((*texts, json.dumps(rng.choice(ODD_VALUES))))


def _raw_row(key: str, text: str) -> bytes:
    record = wandb_files.Record()
    record.history.item.add(key="_step", value_json="52")
    record.history.item.add(key=key, value_json=text)
    return bytes(record.SerializeToString())


def _raw_config(key: str, text: str) -> bytes:
    record = wandb_files.Record()
    record.config.update.add(key=key, value_json=text)
    return bytes(record.SerializeToString())


# ---- study files -------------------------------------------------------------------------------------------------

_TOKENS = (
    '"', "'", "[", "]", "{}", "[[", "=", "\\u0000", "nan", "inf", "-1", "1e400", "9" * 400, "1_000", "true", "[]", '"""',
    "2026-01-01", "#", "\t", "é", "{ a = 1 }", '"http://[::1"', '"http://h:99999"', '"~nosuchuser/x"', "'''", "0.5", '"x"',
    "x = 1", "[[tasks]]", "[source]", "[study]", "[evidence]", "[arms]", "[tasks.detach]", "step = 10", "[[tasks.baselines]]",
)  # fmt: skip


@cache
def _study_texts() -> tuple[str, ...]:
    return (STUDY, *((STUDIES / f"{name}.toml").read_text() for name in shipped_studies()))


def study_file(seed: int, _folder: Path) -> str:
    """A damaged study file: it is refused, or what it says survives being written and read again."""
    rng = random.Random(seed)
    text = rng.choice(_study_texts())
    text = (
        damaged_text(text, rng, _TOKENS)
        if rng.random() < 0.7
        else damaged(text.encode(), rng).decode("utf-8", "replace")
    )
    study = parse_study(text)
    if parse_study(to_toml(study)) != study:
        raise WrongNumbers("the study changes when it is written and read again")
    return ""


# ---- bundles -----------------------------------------------------------------------------------------------------


@cache
def base_bundle(store: str) -> tuple[dict[str, bytes], Points]:
    folder = Path(store) / "base-bundle"
    study = bundle(folder, StudyParts().study(), [run(1, 0.5, 10), run(2, 0.5, 10), run(3, 0.0), run(4, 0.0)])
    with zipfile.ZipFile(folder / "kit.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}, points_of(fetch(study))


def bundle_file(seed: int, folder: Path) -> str:
    """A bundle with a damaged archive, manifest, study or run file."""
    rng = random.Random(seed)
    files, truth = base_bundle(os.environ["DETACH_STORE"])
    files = dict(files)
    name = rng.choice(sorted(files))
    is_told = True
    if name == "manifest.json" and rng.random() < 0.8:
        tree = damaged_tree(json.loads(files[name]), rng, rng.choice((1, 1, 3)))
        files[name], is_told = json.dumps(tree).encode(), False
    elif rng.random() < 0.5:
        files[name] = damaged(files[name], rng)
        is_told = name != "manifest.json"
    data = zipped(files)
    if rng.random() < 0.3:
        data, is_told = damaged(data, rng), False
    path = folder / "b.zip"
    path.write_bytes(data)
    study = bundled_study(path)
    manifest = fetch(study)
    if is_told:
        require_subset(points_of(manifest), truth, f"damaged {name}")
    use(study, manifest)
    return said(manifest)


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# ---- baseline CSVs -----------------------------------------------------------------------------------------------

_CSV = "step,reward,seed\n" + "".join(
    f"{step},{step / 7 + seed},{seed}\n" for seed in (1, 2, 3) for step in range(0, 1000, 50)
)
_CSV_TOKENS = (
    ",", ",,", ";", '"', "\t", "nan", "inf", "-1", "1e308", "1e999", "9" * 400, "", "\r", "\x00", "é", "step", "#", "1,5", "50%",
    "step,reward,seed", "\ufeff", "−1", "1_000", "0x10", "=1+1", "x", "NaN", "-0.0", "1e-400", "," * 3000,
)  # fmt: skip


def baseline_csv(seed: int, _folder: Path) -> str:
    """A damaged baseline."""
    rng = random.Random(seed)
    text = damaged_text(_CSV, rng, _CSV_TOKENS)
    data = text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")))
    read_baseline(damaged(data, rng) if rng.random() < 0.3 else data, "b.csv")
    return ""
