"""Figures as files: the size, the fonts, the names, and that what is drawn is what was asked for."""

import json
import re
import struct
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import altair as alt
import polars as pl
import pytest
from altair.utils import schemapi

from lib.charts import grid
from lib.charts.detach_rule import DetachMark
from lib.charts.spec import ChartSpec, layered
from lib.charts.style import QUIET_ON, RULE_ON
from lib.curves import View
from lib.report import FORMATS, GRID_STEM, PRESETS, FigureData, figure_of_stem, footer_text, render, sidecar, with_font
from lib.report.figures import Figure, file_stem, study_figures
from lib.report.render import pictures
from lib.runs import Manifest, Run
from lib.study import InputError
from lib.workers import WorkerError
from tests.support.chart_frames import EVAL, OTHER, STUDY, TASK, both, curve, marks, plotted
from tests.support.pdf import read_with

RULES = {TASK.key: [DetachMark(50, "typed")], OTHER.key: [DetachMark(50, "typed")]}
MANIFEST = Manifest(
    "t",
    {"kind": "offline"},
    "2026-01-02T03:04:05Z",
    "",
    (Run("r1", tasks=(TASK.key,)), Run("r2", tasks=(TASK.key,)), Run("r3")),
)


@pytest.fixture(scope="module")
def chart():
    return plotted(both(), "loss", rules=RULES[TASK.key], width=760, title="A - Loss")


@pytest.mark.parametrize(
    ("name", "family", "stem"),
    [
        ("acrobot-swingup", "reward", "acrobot_swingup_reward"),
        ("humanoid_h1-balance_simple-v0", "loss", "humanoid_h1_balance_simple_v0_loss"),
        ("a task", "loss", "a_task_loss"),
        ("../up/and:away", "loss", ".._up_and_away_loss"),
    ],
)
def test_files_have_the_notebooks_names(name, family, stem):
    assert file_stem(replace(TASK, name=name), family) == stem
    assert GRID_STEM == "combined_ablation"


@pytest.mark.slow
def test_every_format_is_what_it_says(chart):
    files = {kind: render(chart, kind) for kind in FORMATS}
    assert files["png"].startswith(b"\x89PNG")
    assert files["pdf"].startswith(b"%PDF")
    assert files["svg"].startswith(b"<svg")
    assert files["html"].startswith(b"<!DOCTYPE html>")
    assert json.loads(files["json"])["title"]["text"] == "A - Loss"


@pytest.mark.slow
def test_html_needs_no_network_and_keeps_zoom_and_hover(chart):
    page = render(chart, "html").decode()
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "src=" not in markup
    assert "href=" not in markup
    assert '"name": "zoom"' in page
    assert "hover_rule" in page
    assert "<title>A - Loss</title>" in page


@pytest.mark.slow
def test_names_from_a_study_cannot_become_markup():
    evil = "</script><script>alert(1)</script>"
    study = replace(STUDY, metrics=(replace(EVAL, label=evil),))
    one = plotted(curve(EVAL, [1, 2, 3]), "reward", study=study, width=300, title=evil)
    page = render(one, "html").decode()
    assert evil not in page
    assert page.count("<script>") == 2
    assert "<title>&lt;/script&gt;" in page
    assert "<script>" not in render(one, "svg").decode()


def test_signs_that_no_drawing_holds_are_replaced():
    title = "a\x1b[31m\x00\\u001b\uffff"
    for format, start in (("svg", b"<svg"), ("png", b"\x89PNG")):
        content = render(plotted(curve(EVAL, [1, 2, 3]), "reward", width=300, title=title), format)
        assert content.startswith(start)
        assert format == "png" or "a\ufffd[31m\ufffd\\u001b\ufffd" in content.decode()


def test_drawings_leave_out_what_only_a_pointer_uses(chart):
    text = render(chart, "svg").decode()
    assert "hover_rule" not in text
    assert len(marks(text, "line")) == 4
    assert len(marks(text, "detach_rule")) == 1
    assert all('opacity="1"' in tag for tag in marks(text, "line"))
    assert all('opacity="0.2"' in tag for tag in marks(text, "band"))


@pytest.mark.server
@pytest.mark.parametrize(
    ("preset", "inches"), [("paper, one column", 3.25), ("paper, two columns", 6.75), ("slide", 10)]
)
def test_a_preset_is_as_wide_as_its_venue(chart, preset, inches, tmp_path):
    (tmp_path / "f.pdf").write_bytes(render(chart, "pdf", preset=preset))
    size = re.search(r"Page size:\s+([\d.]+) x", read_with("pdfinfo", tmp_path / "f.pdf"))
    assert float(size[1]) == pytest.approx(inches * 72, abs=0.5)
    svg = render(chart, "svg", preset=preset).decode()
    assert float(re.search(r'width="([\d.]+)"', svg)[1]) == pytest.approx(inches * 96, abs=0.7)


@pytest.mark.slow
def test_a_grid_is_as_wide_as_its_venue_too(tmp_path):
    frame = pl.concat([both(), both(task=OTHER)])
    one = grid(frame, STUDY, view=View(), rules=RULES)
    svg = render(one, "svg", preset="paper, two columns").decode()
    assert float(re.search(r'width="([\d.]+)"', svg)[1]) == pytest.approx(6.75 * 96, abs=4)


@pytest.mark.slow
def test_a_grid_of_long_titles_is_stacked_and_wrapped_where_it_is_narrow():
    task = replace(TASK, display_name="A task with a name that is far longer than its cell is wide")
    study = replace(STUDY, tasks=(task, OTHER))
    frame = pl.concat([both(), both(task=OTHER)])
    one = grid(
        frame, study, view=View(), rules={t.key: [DetachMark(50, "config, signal agrees")] for t in (TASK, OTHER)}
    )
    for look, inches, across in (("paper, one column", 3.25, 1), ("paper, two columns", 6.75, 2)):
        text = render(one, "svg", preset=look).decode()
        assert float(re.search(r'width="([\d.]+)"', text)[1]) == pytest.approx(inches * 96, abs=4)
        assert ("(config, signal agrees)" in text) is False
        spec = json.loads(render(one, "json", preset=look))
        assert {len(row.get("hconcat", [row])) for row in spec["vconcat"]} == {across}
    assert "(config, signal agrees)" in render(one, "svg").decode()


@pytest.mark.server
def test_a_pdf_embeds_its_fonts_and_its_text_can_be_selected(chart, tmp_path):
    (tmp_path / "f.pdf").write_bytes(render(chart, "pdf", preset="paper, one column", footer="two runs"))
    fonts = [line.split() for line in read_with("pdffonts", tmp_path / "f.pdf").splitlines()[2:]]
    assert fonts
    assert all("LiberationSerif" in font[0] and font[-5] == "yes" for font in fonts)
    text = read_with("pdftotext", tmp_path / "f.pdf", "-")
    assert text.count("Encoder Detached") == 1
    assert "Consistency Loss" in text
    assert "two runs" in text
    assert "A - Loss" not in text  # a paper captions its figures


@pytest.mark.slow
def test_png_scale_and_font_size(chart):
    def width(data):
        return struct.unpack(">I", data[16:20])[0]

    one = width(render(chart, "png", preset="paper, one column"))
    assert one == pytest.approx(312, abs=1)
    assert width(render(chart, "png", preset="paper, one column", scale=3)) == pytest.approx(936, abs=3)
    larger = with_font("paper, one column", font="DejaVu Sans", font_size=12)
    text = render(chart, "svg", preset=larger).decode()
    assert "DejaVu Sans" in text
    outer = float(re.search(r'width="([\d.]+)"', text)[1])
    inner = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])
    # Axis labels are 11 units of the drawing, 12 points of 1/72 inch on paper.
    assert 11 * outer / inner == pytest.approx(12 * 96 / 72, abs=0.1)


def test_a_drawings_quiet_and_red_texts_can_be_read_on_white(chart):
    text = render(chart, "svg").decode()
    assert re.findall(r'<text[^>]*fill="([^"]*)"[^>]*>(?:<tspan[^>]*>)?(Encoder Detached|n = 3)<', text) == [
        (QUIET_ON["light"], "n = 3"),
        (RULE_ON["light"], "Encoder Detached"),
    ]


@pytest.mark.slow
def test_the_footer_is_part_of_the_figure(chart):
    text = render(chart, "svg", footer="Six runs, fetched today.").decode()
    assert text.count("Six runs, fetched today.") == 1
    frame = pl.concat([both(), both(task=OTHER)])
    one = grid(frame, STUDY, view=View(), rules=RULES)
    assert "Six runs." in render(one, "svg", footer="Six runs.").decode()
    assert "Six runs." in render(one, "svg", footer="Six runs.", preset="paper, two columns").decode()


def test_the_footer_tells_what_the_figure_rests_on():
    text = footer_text(STUDY, MANIFEST, View(left_out=("r2",), spread="ci", window=1000))
    assert text.startswith(
        "Detach Encoder Ablation. 1 run, 1 left out, fetched 2026-01-02T03:04:05Z. mean over seeds, band: 95% t interval "
        "(ddof 1), train rewards smoothed over 1,000 steps, aligned bins. altair "
    )
    tree = json.loads(sidecar(STUDY, MANIFEST, View()))
    assert tree["runs"] == ["r1", "r2"]
    assert (tree["ddof"], tree["settings"]["spread"]) == (1, "std")


def test_a_chart_that_fills_its_container_gets_a_width():
    one = plotted(both(), "reward", rules=RULES[TASK.key])
    assert json.loads(render(one, "json"))["width"] == 800


def test_unknown_formats_and_presets_are_refused(chart):
    with pytest.raises(ValueError, match="no figure format 'gif'"):
        render(chart, "gif")
    with pytest.raises(ValueError, match="no preset 'billboard'"):
        render(chart, "svg", preset="billboard")
    assert list(PRESETS) == ["notebook", "slide", "paper, one column", "paper, two columns", "poster"]


def test_every_figure_has_the_range_and_the_seeds_of_the_screen():
    frame = pl.concat([both(), both(task=OTHER)])
    seeds = frame.select("task", "arm", "metric", pl.lit("r1").alias("run_id"), "step", pl.col("mean").alias("value"))
    view = View(span=(20, 80), seeds=True)
    charts = {
        figure.stem: figure.file_chart for figure in study_figures(FigureData(STUDY, view, (), frame, seeds=seeds))
    }
    cells = [cell for row in charts.pop(GRID_STEM).spec["vconcat"] for cell in row["hconcat"]]
    assert len(cells) == len(charts) == 4
    for spec in [*cells, *(chart.spec for chart in charts.values())]:
        (line,) = [layer for layer in spec["layer"] if "_line" in layer.get("name", "")]
        assert line["encoding"]["x"]["scale"]["domain"] == [20, 80]
        assert any("_seeds" in layer.get("name", "") for layer in spec["layer"])


@pytest.mark.parametrize("stem", ["cartpole_swingup_reward", "cartpole_swingup_reward_and_loss"])
def test_a_figure_of_what_nobody_logged_has_axes_and_no_curve(stem):
    figure = figure_of_stem(FigureData(STUDY, View(), (), both()), stem)
    text = render(figure.file_chart, "svg").decode()
    assert "Cartpole Swingup" in text
    assert marks(text, "line") == []


def test_threads_that_draw_leave_altairs_checks_as_they_were():
    figure = Figure(
        "a", "a", "", "", "", pl.DataFrame, lambda: layered([alt.Chart(pl.DataFrame({"x": [1]})).mark_point()])
    )
    with ThreadPoolExecutor(8) as threads:
        charts = list(threads.map(lambda _: figure.chart(), range(64)))
    assert len(charts) == 64
    assert schemapi.DEBUG_MODE is True


class Dying(Executor):
    """Workers that die of every drawing."""

    def submit(self, function, /, *arguments):
        future = Future()
        future.set_exception(WorkerError("the process that took it died 2 times, signal 9"))
        return future


def test_a_figure_that_no_process_can_draw_is_said_in_a_sentence():
    message = r"^A figure cannot be drawn: the process that took it died 2 times, signal 9\.$"
    with pytest.raises(InputError, match=message):
        list(pictures([ChartSpec({"mark": "point"}, {})], Dying()))
