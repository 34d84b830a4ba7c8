"""The face for notebooks, and the example that shows it."""

import json
import subprocess
import sys
from pathlib import Path

import altair as alt
import nbformat
import polars as pl
import pytest

import lib
from lib.curves import View
from lib.effects import claim
from lib.report import study_results
from lib.sources import fetch
from lib.study import InputError, load_study
from tests.support.app_kit import PROJECT, fill
from tests.support.wandb_server import KEY, WandbServer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def demo():
    return lib.open_study("demo")


@pytest.mark.slow
def test_frames_are_those_of_the_report(demo):
    study = load_study("demo")
    results = study_results(study, fetch(study), View(spread="ci"))
    assert demo.effects().equals(results.effects, null_equal=True)
    assert demo.runs.equals(results.runs)
    assert demo.curves(spread="ci").columns == results.curves.columns
    assert demo.curves(spread="ci").height == results.curves.height
    claims = demo.claims()
    assert claims.columns == ["task", "metric", "arm", "verdict", "claim"]
    assert claims["claim"][2] == claim(results.effects.row(2, named=True), study, results.treatments)
    assert demo.encoder()["name"].to_list()[1:3] == [
        "Val (Recent) Consistency over Train Consistency Loss",
        "Training speed",
    ]
    assert demo.cost_and_gain().startswith(
        "Losses 27-28% lower; rewards at most 10% of the range lower (95%); training"
    )
    assert demo.plan().filter(pl.col("n").is_not_null())["task"].unique().len() == 4
    assert repr(demo).startswith("<Detach Encoder Demo: 32 runs of acrobot-swingup, ")


@pytest.mark.slow
def test_charts_are_altairs_and_have_their_rows(demo):
    chart = demo.chart("acrobot-swingup", "reward")
    assert isinstance(chart, alt.LayerChart)
    spec = chart.to_dict()
    assert spec["width"] == 800
    assert any("mean" in rows[0] for rows in spec["datasets"].values() if rows)
    both = demo.chart("Acrobot Swingup").to_dict(validate=False)
    names = [group["layer"][-1]["name"] for group in both["layer"] if "layer" in group]
    assert [name.split("_")[2] for name in names] == ["reward", "loss"]


@pytest.mark.parametrize(
    ("plot", "message"),
    [(("walk",), "No task 'walk': choose from acrobot-swingup, "), (("acrobot-swingup", "gain"), "No family 'gain'")],
)
def test_a_task_or_family_that_is_none_is_one_sentence(demo, plot, message):
    with pytest.raises(InputError, match=message):
        demo.chart(*plot)


def test_nothing_heavy_is_imported_before_it_is_asked_for():
    program = "import sys, lib; print([m for m in ('polars', 'altair', 'streamlit', 'wandb') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.server
def test_the_example_runs_and_is_short():
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(line.strip()) for cell in cells for line in cell.source.splitlines()) <= 25
    assert all(cell.outputs == [] for cell in cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell.outputs]
    assert sum("vegaEmbed" in html for html in shown) == 6
    assert sum("<table" in html for html in shown) == 2
    printed = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "lowered Train Consistency Loss by 29.0%" in printed


@pytest.mark.slow
@pytest.mark.server
def test_it_is_installed_and_opens_the_demo_from_another_folder(tmp_path):
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    python = env / "bin" / "python"
    # What the project needs is installed here already.
    [packages] = env.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    install = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", ROOT]
    subprocess.run(install, check=True, capture_output=True)
    program = "import json, lib; print(json.dumps(lib.open_study('demo').effects()['verdict'].to_list()))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(done.stdout)[2] == "supported"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    with WandbServer() as server:
        fill(server, seeds=2)
        yield server


@pytest.mark.server
def test_a_sweep_opens_by_its_address_once_what_it_does_not_say_is_typed(server):
    address = f"{server.url}/{PROJECT}/sweeps/nqfufp3t"
    study = lib.open_sweep(address, detach_step=50_000, trust_server=server.url)
    assert [task.key for task in study.study.tasks] == ["acrobot-swingup"]
    assert study.runs["detach_step"].to_list() == [50_000, 50_000]
    assert study.curves().filter(pl.col("metric") == "eval/episode_reward").height > 0
    with pytest.warns(match="Nothing says whether 2 runs of Acrobot Swingup were detached"):
        lib.open_sweep(address, trust_server=server.url)


@pytest.mark.server
def test_a_key_goes_to_no_server_that_is_not_its_own(server):
    with pytest.raises(InputError, match=r"no W&B key for http.* trust_server=\"http"):
        lib.open_sweep(f"{server.url}/{PROJECT}/sweeps/nqfufp3t")
    assert server.hits == []
