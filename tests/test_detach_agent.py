"""The example agent logs what a study needs, and its detach is one. Skipped where torch is not installed."""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

os.environ.setdefault("MUJOCO_GL", "disabled")
torch = pytest.importorskip("torch")
pytest.importorskip("dm_control")
pytest.importorskip("wandb")

from wandb.proto.wandb_internal_pb2 import Record  # noqa: E402

from examples.detach_agent.config import RunConfig, draw_detach_step  # noqa: E402
from examples.detach_agent.make_demo import demo_jobs, parse_seeds  # noqa: E402
from examples.detach_agent.runs import Job, run_job  # noqa: E402
from examples.detach_agent.train import Trainer  # noqa: E402

DETACH = 1_000
CONFIG = RunConfig(
    task="cartpole-swingup",
    seed=1,
    steps=2_000,
    detach_step=DETACH,
    episode_steps=200,
    warmup_steps=200,
    batch_size=16,
    eval_every=500,
    eval_episodes=1,
    log_every=100,
    validate_every=200,
    held_out_every=2,
)
EVERY = {
    "eval/episode_reward": range(0, 2_001, 500),
    "train/episode_reward": range(200, 2_001, 200),
    "train/consistency_loss": range(300, 2_001, 100),
    "train/reward_loss": range(300, 2_001, 100),
    "train/value_loss": range(300, 2_001, 100),
    "train/encoder_lr": range(100, 2_001, 100),
    "train/total_env_steps": range(100, 2_001, 100),
    "validation_all/consistency_loss": range(400, 2_001, 200),
    "validation_recent/consistency_loss": range(400, 2_001, 200),
}
Series = dict[str, dict[int, float]]


def records(path: Path) -> Iterator[Record]:
    data, at, payload = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        room = 32_768 - at % 32_768
        if room < 7:
            at += room
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + 7 : at + 7 + length]
        assert zlib.crc32(bytes([kind]) + part) == crc
        payload = part if kind in (1, 2) else payload + part
        at += 7 + length
        if kind in (1, 4):
            yield Record.FromString(payload)


def series(path: Path) -> Series:
    points: Series = {}
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            for key in row.keys() - {"_step", "_timestamp", "_runtime"}:
                points.setdefault(key, {})[row["_step"]] = row[key]
    return points


def run_record(path: Path) -> Record:
    return next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")


def only_file(out: Path, run_id: str) -> Path:
    (path,) = out.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("pair")
    run_job(Job(CONFIG, "cart0001", fork=True), out)
    return {arm: only_file(out, f"cart0001-s1-{arm}") for arm in ("detached", "control")}


@pytest.mark.parametrize("arm", ["detached", "control"])
def test_every_metric_is_logged_at_its_steps(pair: dict[str, Path], arm: str) -> None:
    assert {key: list(points) for key, points in series(pair[arm]).items()} == {
        key: list(steps) for key, steps in EVERY.items()
    }


@pytest.mark.parametrize(("arm", "ratio", "step"), [("detached", 0.5, 1_000), ("control", 0.0, None)])
def test_the_run_record_says_its_sweep_and_treatment(
    pair: dict[str, Path], arm: str, ratio: float, step: int | None
) -> None:
    run = run_record(pair[arm])
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    values = [config[key] for key in ("task", "seed", "steps", "detach_encoder_ratio", "detach_step")]
    assert (run.sweep_id, run.run_group) == ("cart0001", "cart0001")
    assert values == ["cartpole-swingup", 1, 2_000, ratio, step]


def test_both_arms_share_every_value_until_the_detach_and_part_after_it(pair: dict[str, Path]) -> None:
    detached, control = series(pair["detached"]), series(pair["control"])
    for key in EVERY:
        before = {step: value for step, value in detached[key].items() if step <= DETACH}
        assert before == {step: value for step, value in control[key].items() if step <= DETACH}, key
    assert detached["train/consistency_loss"][2_000] != control["train/consistency_loss"][2_000]


def test_encoder_lr_falls_to_zero_at_the_detach(pair: dict[str, Path]) -> None:
    rates = series(pair["detached"])["train/encoder_lr"]
    rate = CONFIG.encoder_learning_rate
    assert rates == {step: rate if step <= DETACH else 0.0 for step in EVERY["train/encoder_lr"]}
    assert set(series(pair["control"])["train/encoder_lr"].values()) == {rate}


def test_encoder_moves_before_the_detach_and_stands_still_after() -> None:
    trainer = Trainer(CONFIG)
    weights, dynamics = {}, {}
    for until in range(400, 2_001, 200):
        list(trainer.rows(until))
        weights[until] = torch.cat([p.detach().flatten() for p in trainer.agent.encoder.parameters()])
        dynamics[until] = trainer.agent.dynamics.weight1.detach().clone()
    for earlier, later in pairwise(weights):
        assert torch.equal(weights[earlier], weights[later]) == (earlier >= DETACH), (earlier, later)
        assert not torch.equal(dynamics[earlier], dynamics[later])
    assert all(parameter.grad is None for parameter in trainer.agent.encoder.parameters())


def test_a_control_arm_continued_from_the_fork_equals_an_unforked_run(pair: dict[str, Path]) -> None:
    unforked: Series = {}
    for step, row in Trainer(replace(CONFIG, detach_step=None)).rows(CONFIG.steps):
        for key, value in row.items():
            unforked.setdefault(key, {})[step] = value
    assert unforked == series(pair["control"])


def test_a_half_written_run_is_made_again_and_finished_ones_are_left(tmp_path: Path) -> None:
    job = Job(CONFIG, "cart0001", fork=True)
    run_job(job, tmp_path)
    whole = {arm: only_file(tmp_path, f"cart0001-s1-{arm}") for arm in ("detached", "control")}
    expected, kept = series(whole["control"]), whole["detached"].stat().st_mtime_ns
    (tmp_path / "cart0001-s1-control.json").unlink()
    whole["control"].write_bytes(whole["control"].read_bytes()[:5_000])
    run_job(job, tmp_path)
    assert series(only_file(tmp_path, "cart0001-s1-control")) == expected
    assert only_file(tmp_path, "cart0001-s1-detached").stat().st_mtime_ns == kept


def test_training_stops_only_between_episodes() -> None:
    with pytest.raises(ValueError, match="multiples of 200"):
        list(Trainer(CONFIG).rows(900))


def test_random_detach_steps_are_reproducible_and_within_the_design() -> None:
    steps = [draw_detach_step(seed, 100_000) for seed in range(2_000)]
    assert steps == [draw_detach_step(seed, 100_000) for seed in range(2_000)]
    assert 30_000 <= min(steps) < 30_200 and 69_800 < max(steps) <= 70_000
    assert abs(sum(steps) / len(steps) - 50_000) < 1_000


def test_the_demo_is_twelve_fork_pairs_and_eight_random_onsets() -> None:
    jobs = demo_jobs(parse_seeds("1-6"))
    pairs, onsets = [job for job in jobs if job.fork], [job for job in jobs if not job.fork]
    assert jobs == pairs + onsets
    assert [job.config.seed for job in pairs] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert {job.sweep_id: job.config.task for job in jobs} == {
        "cart0001": "cartpole-swingup",
        "acro0001": "acrobot-swingup",
        "cart0002": "cartpole-swingup",
    }
    assert len({job.config.detach_step for job in onsets}) == len(onsets) == 8
    assert sum(len(job.arms) for job in jobs) == 32


@pytest.mark.parametrize(("text", "seeds"), [("1-3", [1, 2, 3]), ("4,1-2", [1, 2, 4]), ("7", [7])])
def test_parse_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds
