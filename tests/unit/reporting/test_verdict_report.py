from collections.abc import Callable

import numpy as np
import pytest
from support.paired_predictions import labelled, random_numbers, random_scored

from waterflow.evaluation.paired_metrics import Pair
from waterflow.records.evaluation import SliceResult, Verdict
from waterflow.reporting.confusion import OTHERS
from waterflow.reporting.verdict_report import VerdictReport

EVIL = '<script>alert("x")</script>|`'


def verdict_of(**changes: object) -> Verdict:
    """Write a verdict with numbers."""
    content = {
        "outcome": "promote",
        "reason": "f1_macro is better by 0.05",
        "metric": "f1_macro",
        "against": "champion version 3",
        "champion_version": 3,
        "rows": 60,
        "disjoint": True,
        "challenger": 0.95,
        "champion": 0.9,
        "difference": 0.05,
        "low": 0.01,
        "high": 0.09,
        "p_value": 0.01,
        "alpha": 0.05,
        "min_gain": 0.02,
        "resamples": 2000,
    }
    return Verdict.model_validate({**content, **changes})


def slice_of(value: str, **changes: object) -> SliceResult:
    """Write a slice's result."""
    content = {"rows": 30, "challenger": 0.9, "champion": 0.8, "difference": 0.1, "low": 0.0, "high": 0.2}
    return SliceResult.model_validate({"column": "region", "value": value, "worse": False, **content, **changes})


def report_of(pair: Pair | None = None, **changes: object) -> VerdictReport:
    """Write a report."""
    task = "classification" if pair is None else pair.task
    return VerdictReport("flowers", "forest", task, verdict_of(**changes), pair)


def test_the_page_says_the_outcome_in_a_sentence() -> None:
    """Before any table."""
    page = report_of(random_scored(60, 3)).to_html()
    assert (
        "The challenger is better than champion version 3: F1 score averaged over the classes 0.95 against 0.9" in page
    )
    assert page.index("The challenger is better") < page.index("<table")


def test_the_page_needs_nothing_else() -> None:
    """No script, no style sheet, no picture from elsewhere."""
    page = report_of(random_scored(60, 3), slices=[slice_of("north")]).to_html()
    for word in ("<script", "<link", "src=", "@import"):
        assert word not in page
    assert page.count("url(") == page.count("url(#")


@pytest.mark.parametrize("write", [VerdictReport.to_html, VerdictReport.to_markdown])
def test_whatever_comes_from_data_is_escaped(write: Callable[[VerdictReport], str]) -> None:
    """Names of classes, slices, pipelines and candidates, and a reason that quotes them."""
    names = np.array([EVIL, "plain"], dtype=object)
    truth = names[np.arange(40) % 2]
    report = VerdictReport(
        EVIL,
        EVIL,
        "classification",
        verdict_of(reason=EVIL, against=f"baseline {EVIL}", champion_version=None, slices=[slice_of(EVIL)]),
        labelled(truth, truth, truth[::-1]),
    )
    assert "<script" not in write(report)
    assert "&lt;script&gt;" in write(report)


def test_markdown_tables_keep_their_columns() -> None:
    """A bar in a name does not make a cell."""
    text = report_of(slices=[slice_of("a|b")]).to_markdown()
    assert "| region = a\\|b | 30 |" in text


def test_confusion_matrices_of_both_models_are_shown() -> None:
    """Counted by true and predicted class."""
    pair = labelled(["a", "a", "b", "b"], ["a", "a", "b", "b"], ["a", "b", "b", "b"])
    text = report_of(pair).to_markdown()
    assert "| a | 2 | 0 |\n| b | 0 | 2 |" in text
    assert "| a | 1 | 1 |\n| b | 0 | 2 |" in text


def test_many_classes_are_cut_to_a_table_that_can_be_read() -> None:
    """The rest is one class."""
    truth = np.array([f"class {number % 30}" for number in range(300)], dtype=object)
    page = report_of(labelled(truth, truth, truth)).to_html()
    assert OTHERS in page
    assert page.count("<th>class") == 2 * 2 * 11
    assert "Shown are the 11 most frequent of 30 classes" in page


def test_residuals_are_shown_for_numbers() -> None:
    """Two histograms to one scale."""
    page = report_of(random_numbers(60), metric="rmse").to_html()
    drawing = page[page.index("Residuals") :]
    assert "challenger forest" in drawing
    assert "champion version 3" in drawing
    assert "Confusion" not in page


def test_perfect_models_of_numbers_have_a_page() -> None:
    """Residuals without any spread are no reason to fail."""
    pair = random_numbers(30)
    pair.challenger.prediction[:] = pair.truth
    pair.champion.prediction[:] = pair.truth
    assert "</html>" in report_of(pair, metric="rmse", difference=0.0, low=0.0, high=0.0).to_html()


def test_a_verdict_without_numbers_has_a_page() -> None:
    """It says why in words, and draws nothing."""
    missing = dict.fromkeys(("challenger", "champion", "difference", "low", "high", "p_value"))
    report = report_of(None, outcome="insufficient evidence", reason="champion version 3 has no files", **missing)
    page = report.to_html()
    assert (
        "Whether the challenger is better than champion version 3 is not known: champion version 3 has no files."
        in page
    )
    assert "<svg" not in page
    assert "champion version 3 has no files" in report.to_markdown()


def test_a_slice_that_is_worse_stands_out() -> None:
    """In the table and in the picture."""
    worse = slice_of("north", worse=True, difference=-0.2, low=-0.3, high=-0.1)
    page = report_of(outcome="hold", slices=[worse]).to_html()
    assert '<td class="worse">worse</td>' in page
    assert "is worse than champion version 3 on a part of the rows that matters" in page


def test_the_report_says_what_dependent_rows_are_worth() -> None:
    """In the sentence and in the table, with a warning for what a test found."""
    warning = "rows of one `customer_id` resemble each other: declare `group`"
    report = report_of(effective_rows=12.4, clusters=("20 blocks of 3 days",), warnings=(warning,))
    for page in (report.to_html(), report.to_markdown()):
        assert "60 rows, worth about 12, that" in page
        assert "20 blocks of 3 days" in page
        assert "Warning: rows of one" in page
