"""Names, colours, dashes and legends of the series of one curve chart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import altair as alt
import polars as pl

from lib.charts.line_signs import metric_signs, with_sign
from lib.charts.metric_colors import metric_colors
from lib.charts.style import QUIET, arm_colors, arm_dashes, arm_labels, legend_columns, line_width, metric_label
from lib.curves import View
from lib.formatting import slug
from lib.study import UNKNOWN, Metric, Study, Task

FAINT = 0.08
#: Signs of an arm's name that fits beside the rule's label on a phone.
BESIDE = 14
#: The selection made by a click on a value that runs are coloured by.
BY_VALUE = "isolate_value"
#: Pixels of a name in a legend, at most; a chart of a grid has no width of its own.
LABEL_LIMIT = "max(120, (width || 400) - 30)"
#: The parameter that is true where a chart is wide enough for names at the ends of its lines.
LABELLED = "labelled"


@dataclass(frozen=True)
class Colors:
    """What runs are coloured by: a key, and the values in its legend, or the ends of its scale of numbers.

    `missing` is whether a scale's key has no value for some run.
    """

    key: str
    values: tuple[tuple[str, str], ...] = ()
    scale: tuple[float, float] | None = None
    missing: bool = False


@dataclass(frozen=True)
class SeriesStyle:
    """Names, colours and selections that the layers of one family of one task share; `keys` are its metrics.

    `thick` are the labels of metrics drawn thicker; `arms_side` is where the arms' legend has room; `coloring` is the
    colours of single runs, if they have any. `sorted` is whether curves go on along x: over wall time they may step back.
    `families` is how many the chart has: they share its rows. `palette` are labels and colours of every metric in it,
    where it has other families beside this one. `alone` is whether each family has one metric, which its axis names;
    `by_arm` whether colour tells arms apart; `labelled` whether lines have names at their ends where the chart is wide
    enough: a legend has them elsewhere. `legend` is whether the chart has a legend of metrics and arms.
    """

    task: str
    family: str
    keys: tuple[str, ...]
    labels: tuple[str, ...]
    hues: tuple[str, ...]
    thick: tuple[str, ...]
    arms: tuple[str, ...]
    interactive: bool = True
    arms_side: str = "top"
    sorted: bool = True
    coloring: Colors | None = None
    families: int = 1
    palette: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    by_arm: bool = False
    labelled: bool = False
    legend: bool = True

    @property
    def prefix(self) -> str:
        """What the names of the layers begin with."""
        return slug(f"{self.task}_{self.family}")

    def name(self, layer: str) -> str:
        """The layer's name: views of one name would show each other's data when charts are put side by side."""
        return f"{self.prefix}_{layer}"

    def order(self) -> list[tuple[str, str]]:
        """Every (metric key, arm): control before treated, so that the treated arm is drawn on top."""
        return [(key, arm) for key in self.keys for arm in reversed(self.arms)]

    def label(self, key: str) -> str:
        """The legend's name of a metric."""
        return self.labels[self.keys.index(key)]

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The task's rows of this family, metrics by label, in the order of drawing."""
        names = dict(zip(self.keys, self.labels, strict=True))
        return (
            frame.filter(pl.col("task") == self.task, pl.col("metric").is_in(list(names)))
            .with_columns(
                pl.col("metric").replace_strict(names, return_dtype=pl.Enum(self.labels)),
                pl.col("arm").cast(pl.Enum(self.arms[::-1])),
            )
            .sort("metric", "arm", maintain_order=True)
        )

    def entries(self) -> dict[str, str]:
        """What colours stand for in this family, each with its colour: arms, or else metrics by their label."""
        return arm_colors(self.arms) if self.by_arm else dict(zip(self.labels, self.hues, strict=True))

    @property
    def color_field(self) -> str:
        """The column that colours stand for."""
        return "arm" if self.by_arm else "metric"

    @cached_property
    def color(self) -> alt.Color:
        """The colour channel; its legend isolates a metric, or an arm, on click."""
        entries = dict(self.palette) or self.entries()
        scale = alt.Scale(domain=list(entries), range=list(entries.values()))
        legend: alt.Legend | None = None
        if self.legend and not self.alone:
            legend = self._legend(**self._entries_of(list(entries)))
        elif self.legend and self.by_arm:
            legend = self._arms_legend()
        return alt.Color(f"{self.color_field}:N", scale=scale, title=None, legend=legend)

    def _entries_of(self, names: Sequence[str]) -> dict[str, Any]:
        """The columns of a legend, which nobody sees where lines have names at their ends."""
        options: dict[str, Any] = {"orient": "top", "columns": legend_columns(names)}
        if self.labelled:
            # Without any entry a legend has no bounds, and the chart no place: one that is not seen and takes no room.
            options["values"] = alt.ExprRef(f"{LABELLED} ? {json.dumps(names[:1])} : {json.dumps(names)}")
            for name, (hidden, shown) in {
                "symbolType": ("'M0,0'", "'stroke'"),
                "labelOpacity": (0, 1),
                "offset": (-14, 4),
            }.items():
                options[name] = alt.ExprRef(f"{LABELLED} ? {hidden} : {shown}")
        return options

    def in_order(self) -> dict[str, Any]:
        """Options of a mark that joins points: where a curve may step back, they are not sorted by x.

        It has no description: it would be of its first point, and a browser makes one of every point, slowly.
        """
        return {"aria": False} | ({} if self.sorted else {"order": False})

    def width(self) -> alt.StrokeWidthValue:
        """The width channel; a scale would turn the width of a single metric into NaN."""
        more = 1 if self.coloring else 0  # among many lines of other colours a mean must be seen
        wide = {"test": {"field": "metric", "oneOf": list(self.thick)}, "value": 3 + more}
        return alt.StrokeWidthValue(2 + more, condition=wide)

    @cached_property
    def dash(self) -> alt.StrokeDash:
        """The dash channel; a legend only where there is more than one arm, or one that is unknown.

        Two arms fit beside the rule's label, which keeps the legend from running out of a narrow chart.
        """
        dashes = arm_dashes(self.arms, solid=self.by_arm)
        scale = alt.Scale(domain=list(self.arms), range=dashes)
        is_needed = self.legend and (len(self.arms) > 1 or UNKNOWN in self.arms)
        return alt.StrokeDash("arm:N", scale=scale, title=None, legend=self._arms_legend() if is_needed else None)

    @property
    def arms_are_beside(self) -> bool:
        """Whether the legend of arms is beside the rule's label, in the room above the curves."""
        short = max(map(len, self.arms), default=0) <= BESIDE
        return self.arms_side != "top" and len(self.arms) == 2 and short and not self.by_arm

    def _arms_legend(self) -> alt.Legend:
        place = arm_labels(self.arms)
        if self.arms_are_beside:
            # Two lines of this size fit into the headroom whatever the page's theme pads its legends with.
            # In front of the layer that follows the pointer, or no click would reach it.
            small = {"padding": 0, "rowPadding": 0, "labelFontSize": 11, "symbolSize": 200, "offset": 3, "zindex": 1}
            return self._legend(symbolStrokeColor=QUIET, orient=f"top-{self.arms_side}", columns=1, **small, **place)
        if self.by_arm:
            return self._legend(**place, **self._entries_of(self.arms))
        return self._legend(symbolStrokeColor=QUIET, orient="top", columns=legend_columns(self.arms), **place)

    def legend_of(self, **options: Any) -> alt.Legend:
        """A legend in the look of the others, above the plot."""
        return self._legend(orient="top", titleFontSize=11, titleFontWeight="normal", titleOrient="left", **options)

    def _legend(self, **options: Any) -> alt.Legend:
        common: dict[str, Any] = {
            "direction": "horizontal", "symbolType": "stroke", "symbolSize": 300, "symbolOpacity": 1, "offset": 4,
            "symbolStrokeWidth": 2.5, "labelLimit": alt.ExprRef(LABEL_LIMIT), "rowPadding": 1,
        }  # fmt: skip
        return alt.Legend(**common | options)

    def opacity(self, full: float, by_value: bool = False) -> Any:
        """Full where the legends' selections hold (an empty one holds everywhere), faint elsewhere."""
        if not self.interactive:
            return alt.OpacityValue(full)
        names = [*self.legend_fields(), *([BY_VALUE] if by_value and self.lists_values else [])]
        if not names:
            return alt.OpacityValue(full)
        picked = {"and": [{"param": name} for name in names]}
        return alt.OpacityValue(round(full * FAINT, 3), condition={"test": picked, "value": full})

    @property
    def lists_values(self) -> bool:
        """Whether a legend lists the values that runs are coloured by."""
        return self.coloring is not None and self.coloring.scale is None

    def legend_fields(self) -> dict[str, str]:
        """Selections made by a click on a legend entry, and the field they match."""
        if not self.legend:
            return {}
        fields = {} if self.by_arm else {"isolate": "metric"}
        return fields | ({"isolate_arm": "arm"} if len(self.arms) > 1 else {})


def series_style(
    study: Study,
    task: Task,
    family: str,
    view: View,
    metrics: Sequence[Metric],
    arms: Sequence[str],
    *,
    alone: bool = False,
) -> SeriesStyle:
    """The look of one family of one task, as a chart of this family alone has it.

    Parameters
    ----------
    metrics, arms : those that are drawn, in order.
    alone : whether no family of the chart has another metric, so that colour can tell arms apart.
    """
    colors = metric_colors(study)
    signs = metric_signs(study, colors)
    labels = {m.key: with_sign(signs[m.key], metric_label(m, task, view)) for m in metrics}
    return SeriesStyle(
        task=task.key,
        family=family,
        keys=tuple(labels),
        labels=tuple(labels.values()),
        hues=tuple(colors[key] for key in labels),
        thick=tuple(labels[m.key] for m in metrics if line_width(m) == 3),
        arms=tuple(arms),
        sorted=view.x != "wall",
        alone=alone,
        by_arm=alone and len(arms) > 1 and not view.color_by,
    )
