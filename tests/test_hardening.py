"""A sample of every kind of damaged, hostile or endless input; `python -m benchmarks.hardening` tries thousands."""

from pathlib import Path

import pytest

from benchmarks.hardening.__main__ import KINDS
from benchmarks.hardening.cases import LIMIT, Kind, try_all

pytestmark = [pytest.mark.slow, pytest.mark.server]

#: By kind, the seeds of the sample: of those whose cases have a process of their own only a few. What is just under the
#: bounds takes too long.
SAMPLE = {
    "mutated .wandb files": range(15),
    "mutated study files": range(30),
    "mutated bundles": range(12),
    "mutated baseline CSVs": range(30),
    "small uploads that grow": (4,),
    "hostile server answers": range(8),
    "slow or endless servers": (4,),
    "fetches killed": range(1),
    "bits flipped in the store": range(10),
}
SAMPLED = [kind for kind in KINDS if "under the bounds" not in kind.name]
#: Files are read or refused within the same few seconds: they share a process, whose start takes longer than all of them.
OF_FILES = [kind for kind in SAMPLED if kind.limit == LIMIT]
FILES = [(kind, seed) for kind in OF_FILES for seed in SAMPLE[kind.name]]


def attempt_file(index: int, folder: Path) -> str:
    kind, seed = FILES[index]
    return kind.attempt(seed, folder)


def test_every_file_is_read_or_refused_in_a_line():
    tally = try_all(Kind("files", attempt_file, len(FILES)), range(len(FILES)), processes=1)
    bad = [
        (FILES[outcome.seed][0].name, FILES[outcome.seed][1], outcome.kind, outcome.message) for outcome in tally.bad
    ]
    assert bad == []
    assert len(tally.outcomes) == len(FILES)


@pytest.mark.parametrize("kind", [kind for kind in SAMPLED if kind not in OF_FILES], ids=lambda kind: kind.name)
def test_every_other_input_is_read_or_refused_in_a_line(kind):
    tally = try_all(kind, list(SAMPLE[kind.name]), processes=1)
    assert [(outcome.seed, outcome.kind, outcome.message) for outcome in tally.bad] == []
    assert len(tally.outcomes) == len(SAMPLE[kind.name])
