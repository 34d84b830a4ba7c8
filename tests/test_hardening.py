"""A sample of every kind of damaged, hostile or endless input; `python -m benchmarks.hardening` tries thousands."""

import pytest

from benchmarks.hardening.__main__ import KINDS
from benchmarks.hardening.cases import try_all

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


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "under the bounds" not in kind.name], ids=lambda kind: kind.name
)
def test_every_input_is_read_or_refused_in_a_line(kind):
    tally = try_all(kind, list(SAMPLE[kind.name]), processes=1)
    assert [(outcome.seed, outcome.kind, outcome.message) for outcome in tally.bad] == []
    assert len(tally.outcomes) == len(SAMPLE[kind.name])
