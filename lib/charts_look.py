"""Names, colours, dashes, legends and selections that the layers of one curve chart share."""

from typing import Any

import altair as alt
import polars as pl

from lib import charts_parts as parts
from lib.curves import View
from lib.study import Metric, Study, Task

FAINT = 0.08


class Look:
    """Names, colours and selections that the layers of one chart share."""

    def __init__(
        self,
        study: Study,
        task: Task,
        family: str,
        view: View,
        metrics: list[Metric],
        arms: list[str],
        interactive: bool,
        legend: bool,
        arms_side: str = "top",
    ) -> None:
        self.task, self.metrics, self.arms = task, metrics, arms
        self.labels = [parts.metric_label(m, task, view) for m in metrics]
        self.interactive, self.legend, self.arms_side = interactive, legend, arms_side
        self.prefix = parts.slug(f"{task.key}_{family}")
        self._colors = parts.metric_colors(study)

    def name(self, layer: str) -> str:
        """The layer's name: views of one name would show each other's data when charts are put side by side."""
        return f"{self.prefix}_{layer}"

    def order(self) -> list[tuple[str, str]]:
        """Every (metric label, arm): control before treated, so that the treated arm is drawn on top."""
        return [(label, arm) for label in self.labels for arm in reversed(self.arms)]

    def colors(self) -> dict[str, str]:
        """Colour by metric label."""
        return {label: self._colors[m.key] for label, m in zip(self.labels, self.metrics, strict=True)}

    def named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The task's rows of this family, metrics by label, in the order of drawing."""
        names = {m.key: label for m, label in zip(self.metrics, self.labels, strict=True)}
        return (
            frame.filter(pl.col("task") == self.task.key, pl.col("metric").is_in(list(names)))
            .with_columns(
                pl.col("metric").replace_strict(names, return_dtype=pl.Enum(self.labels)),
                pl.col("arm").cast(pl.Enum(self.arms[::-1])),
            )
            .sort("metric", "arm", maintain_order=True)
        )

    def color(self) -> alt.Color:
        """The colour channel; its legend isolates a metric on click."""
        scale = alt.Scale(domain=self.labels, range=list(self.colors().values()))
        columns = alt.ExprRef(f"width < {210 * len(self.labels)} ? 1 : {len(self.labels)}")
        return alt.Color("metric:N", scale=scale, title=None, legend=self._legend(orient="top", columns=columns))

    def width(self) -> alt.StrokeWidthValue:
        """The width channel; a scale would turn the width of a single metric into NaN."""
        thick = [label for label, m in zip(self.labels, self.metrics, strict=True) if parts.line_width(m) == 3]
        return alt.StrokeWidthValue(2, condition={"test": {"field": "metric", "oneOf": thick}, "value": 3})

    def dash(self) -> alt.StrokeDash:
        """The dash channel; a legend only where there is more than one arm.

        Two arms fit beside the rule's label, which keeps the legend from running out of a narrow chart.
        """
        scale = alt.Scale(domain=self.arms, range=parts.arm_dashes(self.arms))
        beside = self.arms_side != "top" and len(self.arms) == 2
        place: dict[str, Any] = {"orient": "top"}
        if beside:
            # Two lines of this size fit into the headroom whatever the page's theme pads its legends with.
            # In front of the layer that follows the pointer, or no click would reach it.
            small = {"padding": 0, "rowPadding": 0, "labelFontSize": 11, "symbolSize": 200, "offset": 3, "zindex": 1}
            place = {"orient": f"top-{self.arms_side}", "columns": 1} | small
        show = self._legend(symbolStrokeColor=parts.QUIET, **place) if len(self.arms) > 1 else None
        return alt.StrokeDash("arm:N", scale=scale, title=None, legend=show)

    def _legend(self, **options: Any) -> alt.Legend | None:
        if not self.legend:
            return None
        common: dict[str, Any] = {
            "direction": "horizontal", "symbolType": "stroke", "symbolSize": 300, "symbolOpacity": 1, "offset": 4,
            "symbolStrokeWidth": 2.5, "labelLimit": 260, "rowPadding": 1,
        }  # fmt: skip
        return alt.Legend(**common | options)

    def opacity(self, full: float) -> Any:
        """Full where the legends' selections hold (an empty one holds everywhere), faint elsewhere."""
        if not self.interactive:
            return alt.OpacityValue(full)
        picked = {"and": [{"param": name} for name in self.legend_fields()]}
        return alt.OpacityValue(round(full * FAINT, 3), condition={"test": picked, "value": full})

    def legend_fields(self) -> dict[str, str]:
        """Selections made by a click on a legend entry, and the field they match."""
        return {"isolate": "metric", "isolate_arm": "arm"} if len(self.arms) > 1 else {"isolate": "metric"}


def selections(look: Look, brush: bool) -> list[alt.TopLevelSelectionParameter]:
    """What a pointer can do: zoom, pan, read every series at a step, isolate a metric or an arm, mark a range.

    Zoom is by pinch, or the wheel with Ctrl or Cmd, so that a page still scrolls; pan by dragging; the range by dragging
    with Shift. They are set on the whole chart at once: adding them layer by layer validates every layer anew.
    """
    drag = "[pointerdown[{}event.shiftKey], window:pointerup] > window:pointermove!"
    pan, mark = drag.format("!"), drag.format("")
    zoom = alt.IntervalSelectionConfig(
        type="interval", encodings=["x"], zoom="wheel![event.ctrlKey || event.metaKey]", on=pan, translate=pan
    )
    hover = alt.PointSelectionConfig(type="point", encodings=["x"], nearest=True, on="pointermove", clear="pointerout")
    base = [look.name("band")]
    found = [
        alt.TopLevelSelectionParameter(name="zoom", select=zoom, bind="scales", views=base),
        alt.TopLevelSelectionParameter(name="hover", select=hover, views=[look.name("hover_rule")]),
    ]
    for name, field in look.legend_fields().items():
        clicked = alt.PointSelectionConfig(type="point", fields=[field])
        # A legend takes clicks where its channel is: the band has no dashes.
        views = [look.name("line")] if field == "arm" else base
        found.append(alt.TopLevelSelectionParameter(name=name, select=clicked, bind="legend", views=views))
    if brush:
        marked = alt.IntervalSelectionConfig(type="interval", encodings=["x"], on=mark)
        found.append(alt.TopLevelSelectionParameter(name="range", select=marked, views=base))
    return found
