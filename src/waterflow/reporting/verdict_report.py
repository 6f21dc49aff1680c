"""The verdict as a page for people. It is one self-contained HTML file, and Markdown."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from waterflow.config.metrics import Task
from waterflow.evaluation.paired_metrics import Pair
from waterflow.records.evaluation import Verdict
from waterflow.reporting.confusion import count_classes
from waterflow.reporting.plots import OUTCOME_COLOURS, figure_svg, plot_differences, plot_residual_histograms
from waterflow.reporting.rendering import render
from waterflow.reporting.verdict_text import describe_verdict, list_numbers

MAX_CLASSES = 12


@dataclass(frozen=True)
class VerdictReport:
    """A verdict and the rows behind it. `pair` is None where none could be compared.

    `cautions` are about candidates, such as those most of whose trials failed.
    """

    pipeline: str
    challenger: str
    task: Task
    verdict: Verdict
    pair: Pair | None
    cautions: tuple[str, ...] = ()

    def to_html(self) -> str:
        """Return the page, with its pictures as SVG."""
        verdict, pair = self.verdict, self.pair
        drawn = {
            "colour": OUTCOME_COLOURS[verdict.outcome],
            "differences": Markup(figure_svg(plot_differences(verdict))) if verdict.difference is not None else "",  # noqa: S704
            "residuals": "",
        }
        if pair is not None and len(pair.truth) and self.task == "regression":
            errors = {
                name: predicted.truth - predicted.prediction
                for name, predicted in zip(self._models, (pair.challenger, pair.champion), strict=True)
            }
            drawn["residuals"] = Markup(figure_svg(plot_residual_histograms(errors)))  # noqa: S704
        return render("verdict.html.j2", **self._values(), **drawn)

    def to_markdown(self) -> str:
        """Return the same as Markdown, without the pictures."""
        return render("verdict.md.j2", **self._values())

    @property
    def _models(self) -> tuple[str, str]:
        return f"challenger {self.challenger}", self.verdict.against

    def _values(self) -> dict[str, Any]:
        sentence, pair = describe_verdict(self.verdict, "the challenger"), self.pair
        has_matrices = pair is not None and len(pair.truth) and self.task == "classification"
        both = (pair.challenger, pair.champion) if pair is not None and has_matrices else ()
        return {
            "pipeline": self.pipeline,
            "challenger": self.challenger,
            "verdict": self.verdict,
            "warnings": (*self.verdict.warnings, *self.cautions),
            "models": self._models,
            "sentence": sentence[0].upper() + sentence[1:],
            "numbers": list_numbers(self.verdict),
            "confusions": [count_classes(predicted, MAX_CLASSES) for predicted in both],
        }
