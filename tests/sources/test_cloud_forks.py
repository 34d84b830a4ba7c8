"""Forks and rewound runs on a W&B server: whose rows are theirs, what is asked for, and what is said."""

import json

import pytest
import wandb

from lib.runs import BranchPoint
from tests.support.cloud_kit import PLACE, bring, study, walk
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.server


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


# ---- the listing -------------------------------------------------------------------------------------------------


def test_the_branch_point_is_read_from_the_raw_config_and_not_shown_in_it(server):
    server.add(PLACE, walk("p"), walk("f", branch_point=("p", 5)))
    parent, fork = bring(study(server)).runs
    assert (parent.branch_point, fork.branch_point) == (None, BranchPoint("p", 5))
    assert fork.config == parent.config == {"task": "walk", "seed": 1}
    api = wandb.Api(api_key=KEY, overrides={"base_url": server.url})
    assert api.run(f"{PLACE}/f").rawconfig["_wandb"]["branch_point"] == {"run_id": "p", "step": 5}


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ({"run_id": "p", "step": 5.0}, BranchPoint("p", 5)),
        ({"run_id": "p", "step": "5"}, BranchPoint("p", 5)),
        ({"value": {"run_id": "p", "step": 5}}, BranchPoint("p", 5)),
        ({"run_id": "p", "step": 5.5}, None),
        ({"run_id": "p", "step": "NaN"}, None),
        ({"run_id": "p"}, None),
        ({"run_id": 7, "step": 5}, None),
        ({"run_id": "", "step": 5}, None),
        ("p?_step=5", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_trace_that_is_no_branch_point_is_none(server, monkeypatch, point, expected, wrapped):
    server.add(PLACE, walk("p"), walk("f"))
    fork = server.projects[PLACE]["f"]
    node = fork.node(PLACE)
    internal = {"cli_version": "0.31.0", "branch_point": point}
    config = {"task": {"value": "walk"}, "_wandb": {"value": internal} if wrapped else internal}
    monkeypatch.setattr(fork, "node", lambda project: node | {"config": json.dumps(config)})
    assert bring(study(server)).runs[1].branch_point == expected
