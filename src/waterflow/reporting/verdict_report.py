"""The verdict as a page for people: one HTML file that needs nothing else, and the same in Markdown."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.metrics import Task
from waterflow.evaluation.paired_metrics import Pair
from waterflow.records import Verdict
from waterflow.reporting.drawing import Mark, draw_histogram, draw_intervals
from waterflow.reporting.model_card import confidence, metrics_table, number, say_verdict, text, within
from waterflow.scoring.metrics import Predicted

MOST_CLASSES = 12
OTHERS = "(others)"
BINS = 40
COLOURS = {"promote": "#2e7d4f", "hold": "#8a5a00", "insufficient evidence": "#5b6770"}
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2429; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1.25rem; }
h1 { font-size: 1.35rem; margin: 0 0 .5rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.outcome { display: inline-block; color: #fff; border-radius: .25rem; padding: .1rem .6rem; font-weight: 600; }
table { border-collapse: collapse; } th, td { padding: .3rem .75rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 1px solid #9aa5ad; font-weight: 600; }
tbody tr + tr td { border-top: 1px solid #e3e7ea; } td { font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } .pair { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; }
.pair h3 { font-size: .95rem; font-weight: 600; margin: .25rem 0; }
.confusion td { text-align: center; min-width: 2.5rem; }
.confusion td, .confusion th { padding: .3rem .45rem; font-size: .9rem; } .note { color: #5b6770; }
.worse { color: #b3261e; font-weight: 600; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #1d2429; }
"""


@dataclass(frozen=True)
class Report:
    """What a report shows; `pair` holds the compared rows, None where none could be compared."""

    pipeline: str
    challenger: str
    task: Task
    verdict: Verdict
    pair: Pair | None

    @property
    def names(self) -> tuple[str, str]:
        """The two models as a table's head calls them."""
        return f"challenger {self.challenger}", self.verdict.against


def to_html(report: Report) -> str:
    """Write the page; everything that comes from data or YAML is escaped."""
    verdict = report.verdict
    title = f"{report.pipeline}: {verdict.outcome}"
    colour = COLOURS[verdict.outcome]
    parts = [
        f"<h1>{_safe(report.pipeline)}: {_safe(report.challenger)} against {_safe(verdict.against)}</h1>",
        f'<p><span class="outcome" style="background:{colour}">{verdict.outcome}</span></p>',
        f"<p>{_sentence(report)}</p>",  # escaped already, as text for Markdown
        *([f'<p class="note">{_safe(verdict.reason)}</p>'] if verdict.difference is not None else []),
        *_differences(verdict),
        *([_metrics_html(report)] if verdict.metrics else []),
        "<h2>The numbers behind it</h2>",
        _table(("", ""), [(name, value) for name, value in _numbers(verdict)], head_shown=False),
        *([_slices_html(verdict)] if verdict.slices else []),
        *(_pictures(report, report.pair) if report.pair is not None and len(report.pair.truth) else []),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_safe(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def to_markdown(report: Report) -> str:
    """Write the same as Markdown, without the pictures."""
    verdict = report.verdict
    lines = [
        f"# {text(report.pipeline)}: {text(report.challenger)} against {text(verdict.against)}",
        f"**{verdict.outcome}**. {_sentence(report)}",
        *([text(verdict.reason)] if verdict.difference is not None else []),
    ]
    if verdict.metrics:
        challenger, against = report.names
        lines.append(metrics_table(verdict.metrics, (text(challenger), text(against))))
    numbers = [f"| {name} | {text(value)} |" for name, value in _numbers(verdict)]
    lines.append("\n".join(["| | |", "|---|---|", *numbers]))
    if verdict.slices:
        rows = [
            "| slice | rows | challenger | champion | difference (positive: better) | |",
            "|---|---|---|---|---|---|",
        ]
        rows += ["| " + " | ".join(text(cell) for cell in cells) + " |" for cells in _slice_cells(verdict)]
        lines += ["## Slices", "\n".join(rows)]
    if report.pair is not None and report.task == "classification" and len(report.pair.truth):
        lines.append("## Confusion matrices (rows: true class)")
        for name, predicted in zip(report.names, (report.pair.challenger, report.pair.champion), strict=True):
            lines += [f"### {text(name)}", _confusion_markdown(predicted)]
    return "\n\n".join(lines) + "\n"


def _sentence(report: Report) -> str:
    said = say_verdict(report.verdict, "the challenger")
    return said[0].upper() + said[1:]


def _numbers(verdict: Verdict) -> list[tuple[str, str]]:
    """List what decided, each with its name for people; what there is no number for is left out."""
    rows: list[tuple[str, str | None]] = [
        ("main metric", verdict.metric),
        ("rows compared", f"{verdict.rows:,}"),
        ("groups", None if verdict.groups is None else f"{verdict.groups:,}"),
        ("rows left out, for the champion may have seen them", f"{verdict.excluded_rows:,}"),
        ("known not to have been fitted on these rows", "both" if verdict.disjoint else "the challenger alone"),
        ("difference (positive: challenger better)", _or_none(verdict.difference)),
        (f"its interval at {confidence(verdict)}", _range(verdict)),
        ("p-value, one-sided", _or_none(verdict.p_value)),
        ("p-value of McNemar's exact test, two-sided", _or_none(verdict.mcnemar_p_value)),
        ("difference that these rows would show in 4 of 5 cases", _or_none(verdict.smallest_detectable)),
        ("accepted probability of promoting a model that is no better (alpha)", number(verdict.alpha)),
        ("smallest difference worth having (min_gain)", number(verdict.min_gain)),
        ("resamples", f"{verdict.resamples:,}"),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _or_none(value: float | None) -> str | None:
    return None if value is None else number(value)


def _range(verdict: Verdict) -> str | None:
    return None if verdict.low is None else f"{number(verdict.low)} to {number(verdict.high)}"


def _differences(verdict: Verdict) -> list[str]:
    if verdict.difference is None or verdict.low is None or verdict.high is None:
        return []
    marks = [Mark("all rows", verdict.difference, verdict.low, verdict.high, COLOURS[verdict.outcome])]
    for entry in verdict.slices:
        if entry.difference is not None and entry.low is not None and entry.high is not None:
            colour = "#b3261e" if entry.worse else "#5b6770"
            marks.append(Mark(f"{entry.column} = {entry.value}", entry.difference, entry.low, entry.high, colour))
    heading = f"<h2>Difference in {verdict.metric}, with its interval at {confidence(verdict)}</h2>"
    return [
        heading,
        draw_intervals(
            marks,
            verdict.min_gain,
            (f"{'baseline' if verdict.champion_version is None else 'champion'} better", "challenger better"),
        ),
    ]


def _metrics_html(report: Report) -> str:
    rows = [
        (
            entry.metric,
            within(entry.challenger, entry.challenger_low, entry.challenger_high),
            within(entry.champion, entry.champion_low, entry.champion_high),
            within(entry.difference, entry.low, entry.high),
        )
        for entry in report.verdict.metrics
    ]
    return "<h2>Metrics</h2>" + _table(("metric", *report.names, "difference (positive: better)"), rows)


def _slice_cells(verdict: Verdict) -> list[tuple[str, ...]]:
    cells: list[tuple[str, ...]] = []
    for entry in verdict.slices:
        found = entry.difference is not None and entry.low is not None and entry.high is not None
        difference = within(entry.difference, entry.low, entry.high) if found else "–"  # type: ignore[arg-type]
        said = "worse" if entry.worse else entry.note
        cells.append(
            (
                f"{entry.column} = {entry.value}",
                f"{entry.rows:,}",
                number(entry.challenger),
                number(entry.champion),
                difference,
                said,
            )
        )
    return cells


def _slices_html(verdict: Verdict) -> str:
    head = ("slice", "rows", "challenger", "champion", "difference (positive: better)", "")
    return "<h2>Slices</h2>" + _table(head, _slice_cells(verdict))


def _pictures(report: Report, pair: Pair) -> list[str]:
    both = list(zip(report.names, (pair.challenger, pair.champion), strict=True))
    if report.task == "classification":
        drawn = [f"<div><h3>{_safe(name)}</h3>{_confusion_html(predicted)}</div>" for name, predicted in both]
        return ["<h2>Confusion matrices</h2>", f'<div class="pair">{"".join(drawn)}</div>']
    errors = [predicted.truth - predicted.prediction for _, predicted in both]
    edges = np.histogram_bin_edges(np.concatenate(errors), bins=BINS)
    counts = [np.histogram(values, bins=edges)[0] for values in errors]
    highest = int(max(found.max() for found in counts))
    drawn = [
        f"<div><h3>{_safe(name)}</h3>{draw_histogram(found, edges, highest)}</div>"
        for (name, _), found in zip(both, counts, strict=True)
    ]
    return ["<h2>Residuals: true minus predicted</h2>", f'<div class="pair">{"".join(drawn)}</div>']


def _count_classes(predicted: Predicted) -> tuple[list[str], NDArray[np.int64]]:
    """Count rows by true and predicted class; many classes are cut to the most frequent and all others."""
    columns = [np.asarray(values, dtype=object) for values in (predicted.truth, predicted.prediction)]
    codes, seen = pd.factorize(np.concatenate(columns), use_na_sentinel=False)
    names = [str(name) for name in seen]
    if len(names) > MOST_CLASSES:
        kept = set(np.argsort(-np.bincount(codes), kind="stable")[: MOST_CLASSES - 1])
        names = [name if place in kept else OTHERS for place, name in enumerate(names)]
    shown = sorted(set(names), key=lambda name: (name == OTHERS, name))
    truth, called = np.split(np.array([shown.index(name) for name in names])[codes], 2)
    size = len(shown)
    return shown, np.bincount(truth * size + called, minlength=size * size).reshape(size, size)


def _confusion_html(predicted: Predicted) -> str:
    names, counts = _count_classes(predicted)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = []
    for name, line, share in zip(names, counts, shares, strict=True):
        cells = "".join(_shaded(f"{count:,}", part) for count, part in zip(line, share, strict=True))
        rows.append(f"<tr><th>{_safe(name)}</th>{cells}</tr>")
    head = "".join(f"<th>{_safe(name)}</th>" for name in names)
    return (
        f'<div class="scroll"><table class="confusion"><thead><tr><th>true ↓ called →</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shaded(content: str, share: float) -> str:
    colour = "#fff" if share > 0.55 else "#1d2429"
    return f'<td style="background:rgba(31,111,139,{share:.2f});color:{colour}">{content}</td>'


def _confusion_markdown(predicted: Predicted) -> str:
    names, counts = _count_classes(predicted)
    lines = ["| | " + " | ".join(map(text, names)) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [
        f"| {text(name)} | " + " | ".join(map(str, line)) + " |" for name, line in zip(names, counts, strict=True)
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, head_shown: bool = True) -> str:
    cells = "".join(f"<th>{_safe(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    top = f"<thead><tr>{cells}</tr></thead>" if head_shown else ""
    return f'<div class="scroll"><table>{top}<tbody>{lines}</tbody></table></div>'


def _cell(value: str) -> str:
    return f'<td class="worse">{value}</td>' if value == "worse" else f"<td>{_safe(value)}</td>"


def _safe(content: object) -> str:
    return html.escape(str(content))
