"""The distributions of a pipeline's columns as one self-contained page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from waterflow.data.column_profile import ColumnProfile, summarise_values
from waterflow.data.columns import to_floats
from waterflow.reporting.plots import COLOURS, bin_edges, figure_svg, shorten_label
from waterflow.reporting.rendering import render

MAX_PICTURES = 80
BINS = 24
INK = "#7d8891"  # legible on a light and on a dark page


@dataclass(frozen=True)
class DataProfile:
    """The rows of a pipeline, and their questionable traits.

    `roles` says what a column is for, by name; `concerns` are whole sentences, `contract` is proposed YAML.
    """

    pipeline: str
    where: str
    frame: pd.DataFrame
    columns: Mapping[str, ColumnProfile]
    roles: Mapping[str, str]
    reading: Sequence[str]
    concerns: Sequence[str]
    contract: str

    def to_json(self) -> dict[str, Any]:
        """Return all but the rows as plain JSON. Times are texts."""
        columns = [
            {"name": name, "role": self.roles[name], "type": column.kind}
            | {key: getattr(column, key) for key in ("nulls", "distinct", "low", "high", "common")}
            for name, column in self.columns.items()
        ]
        content = {
            "pipeline": self.pipeline,
            "where": self.where,
            "rows": len(self.frame),
            "reading": list(self.reading),
            "columns": columns,
            "concerns": list(self.concerns),
            **yaml.safe_load(self.contract),
        }
        return dict(json.loads(json.dumps(content, default=_as_plain)))

    def to_html(self) -> str:
        """Return the page. Of many columns the first have pictures."""
        pictures = {
            name: Markup(figure_svg(_draw(self.frame[name], column)))  # noqa: S704
            for name, column in [*self.columns.items()][:MAX_PICTURES]
            if column.distinct and not column.is_near_unique
        }
        return render(
            "data_profile.html.j2",
            profile=self,
            rows=f"{len(self.frame):,}",
            pictures=pictures,
            summaries={name: summarise_values(column) for name, column in self.columns.items()},
        )


def _as_plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _draw(values: pd.Series, column: ColumnProfile) -> Figure:
    """Draw a histogram, or the most frequent categories."""
    figure = Figure(figsize=(3.4, 1.5), layout="constrained")
    figure.patch.set_alpha(0)
    axis = figure.subplots()
    axis.patch.set_alpha(0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(INK)
    axis.tick_params(colors=INK, labelsize=8)
    if column.distinct > len(column.common) and column.kind in ("integer", "number", "datetime"):
        finite = _as_axis(values, column)
        counts, edges = np.histogram(finite, bins=bin_edges(finite, BINS))
        left = pd.to_datetime(edges[:-1], unit="s") if column.kind == "datetime" else edges[:-1]
        width = np.diff(edges) if column.kind != "datetime" else pd.to_timedelta(np.diff(edges), unit="s")
        axis.bar(left, counts, width=width, align="edge", color=COLOURS[0])
        axis.locator_params(axis="y", nbins=3) if column.kind == "datetime" else axis.locator_params(nbins=4)
        axis.tick_params(axis="x", rotation=30 if column.kind == "datetime" else 0)
    else:
        names = [shorten_label(value) for value, _ in column.common]
        axis.barh(range(len(names)), [count for _, count in column.common], color=COLOURS[0])
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.locator_params(axis="x", nbins=4)
    return figure


def _as_axis(values: pd.Series, column: ColumnProfile) -> NDArray[Any]:
    present = values.dropna()
    if column.kind == "datetime":
        return pd.to_datetime(present, utc=True).dt.as_unit("s").astype("int64").to_numpy()
    numbers = to_floats(present).to_numpy()
    return numbers[np.isfinite(numbers)]
