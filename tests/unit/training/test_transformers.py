from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks
from support.projects import message_of

from waterflow.data.columns import as_numbers, type_of
from waterflow.training.transformers import CategoryLabels, Clipper, DateParts, KnownCategories, TfidfTerms

ROWS = pd.DataFrame(
    {
        "level": [0.001, 0.002, np.nan, 0.984],
        "count": [3, 1, 2, 10],
        "state": ["NY", None, "CA", "NY"],
        "tested": ["2026-01-03T05:30:00+02:00", None, "2026-01-05", "2026-01-03 05:30"],
        "remark": ["late again", None, "", "late sample"],
    }
)


@parametrize_with_checks([Clipper(quantiles=(0.1, 0.9)), Clipper(iqr=1.5)])
def test_the_clipper_keeps_to_scikit_learns_conventions(estimator: BaseEstimator, check: Any) -> None:
    """Each check that scikit-learn has for a transformer of numbers holds."""
    check(estimator)


FRAME_TRANSFORMERS = [
    (DateParts(parts=("hour", "is_weekend")), ["tested"], ["tested_hour", "tested_is_weekend"]),
    (CategoryLabels(), ["state", "count"], ["state", "count"]),
    (KnownCategories(), ["state", "count"], ["state", "count"]),
    (
        TfidfTerms(ngrams=(1, 2)),
        ["remark"],
        [f"remark_{term}" for term in ("again", "late", "late again", "late sample", "sample")],
    ),
]
each = pytest.mark.parametrize(
    ("transformer", "columns", "names"), FRAME_TRANSFORMERS, ids=lambda given: type(given).__name__
)


@each
def test_a_transformer_of_frames_names_what_it_returns(transformer: Any, columns: list[str], names: list[str]) -> None:
    """Names and count of the columns that it was fitted on are kept, as scikit-learn's transformers keep them."""
    fitted = clone(transformer).fit(ROWS[columns])
    assert (fitted.n_features_in_, list(fitted.feature_names_in_)) == (len(columns), columns)
    assert list(fitted.get_feature_names_out()) == names
    assert fitted.transform(ROWS[columns]).shape == (4, len(names))


@each
def test_a_clone_has_the_parameters_and_nothing_learnt(transformer: Any, columns: list[str], names: list[str]) -> None:
    """Folds and trials start from clones."""
    copy = clone(clone(transformer).fit(ROWS[columns]))
    assert copy.get_params() == transformer.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(ROWS[columns])


@each
def test_other_columns_than_those_fitted_on_are_refused(transformer: Any, columns: list[str], names: list[str]) -> None:
    """Predicting from the wrong column must not pass in silence."""
    fitted = clone(transformer).fit(ROWS[columns])
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(ROWS[["level"]])


def test_quantiles_pull_the_extremes_in() -> None:
    """The bounds are those of the rows fitted on, and a gap stays a gap."""
    clipper = Clipper(quantiles=(0.25, 0.75)).fit(ROWS[["count"]])
    assert clipper.transform(pd.DataFrame({"count": [-50, 2, np.nan, 50]})).ravel() == pytest.approx(
        [1.75, 2, np.nan, 4.75], nan_ok=True
    )


def test_so_many_interquartile_ranges_beyond_the_quartiles_are_left() -> None:
    """Tukey's fence, with a reach of one's own."""
    clipper = Clipper(iqr=1).fit(ROWS[["count"]])
    assert clipper.transform(pd.DataFrame({"count": [-50, 50]})).ravel() == pytest.approx([-1.25, 7.75])


def test_a_column_without_a_value_has_no_bounds() -> None:
    """What training never saw is not pulled anywhere."""
    clipper = Clipper(iqr=1.5).fit(pd.DataFrame({"a": [np.nan, np.nan], "b": [1.0, 1.0]}))
    assert clipper.transform(pd.DataFrame({"a": [7.0], "b": [7.0]})).tolist() == [[7.0, 1.0]]


def test_times_come_apart_in_utc() -> None:
    """Another zone is converted to UTC first; a missing time is missing in each part; Monday is 0."""
    parts = DateParts(("year", "month", "day", "day_of_week", "is_weekend", "hour", "minute", "quarter", "day_of_year"))
    given = parts.fit_transform(ROWS[["tested"]])
    assert given.iloc[0].tolist() == [2026, 1, 3, 5, 1, 3, 30, 1, 3]
    assert given.iloc[1].isna().all()
    assert given.loc[2, ["tested_day_of_week", "tested_is_weekend", "tested_hour"]].tolist() == [0, 0, 0]
    assert (given.dtypes == "float64").all()


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_real_times_come_apart_like_their_text(zone: str | None) -> None:
    """A time without a zone counts as UTC."""
    times = pd.DataFrame({"tested": pd.to_datetime(["2026-07-04 22:00", None]).tz_localize(zone)})
    hour = DateParts(("hour",)).fit_transform(times)["tested_hour"]
    assert hour.tolist()[0] == (2 if zone == "America/New_York" else 22)
    assert np.isnan(hour[1])


def test_text_that_is_no_time_is_named() -> None:
    """The message has the column, the value found and what would be valid."""
    message = message_of(lambda: DateParts().fit(pd.DataFrame({"tested": ["2026-01-01", "soon"]})), ValueError)
    assert message == "column 'tested': 'soon' is no time; write times like 2026-01-31T05:00:00Z"


def test_a_category_that_was_never_seen_is_missing() -> None:
    """The categories are those of training, whatever the new rows hold."""
    known = KnownCategories().fit(ROWS[["state", "count"]])
    given = known.transform(pd.DataFrame({"state": ["TX", "NY", None], "count": [3, None, 4]}))
    assert given["state"].cat.categories.tolist() == ["CA", "NY"]
    assert given["state"].cat.codes.tolist() == [-1, 1, -1]
    assert given["count"].cat.categories.tolist() == ["1", "2", "3", "10"]
    assert given["count"].cat.codes.tolist() == [2, -1, -1]


def test_a_category_keeps_the_kind_that_it_was_learnt_with() -> None:
    """A postcode that comes as a number is text again, a number that comes as text is a number."""
    labels = CategoryLabels().fit(pd.DataFrame({"zip": ["10001", "94016"], "count": [1, 2]}))
    given = labels.transform(pd.DataFrame({"zip": [10001, None], "count": ["2", "many"]}))
    assert given["zip"].tolist()[0] == "10001"
    assert given["count"].tolist()[0] == 2
    assert given.iloc[1].isna().all()


def test_the_output_may_be_a_frame() -> None:
    """scikit-learn's `set_output` works, and types of categories survive it."""
    known = KnownCategories().set_output(transform="pandas").fit(ROWS[["state"]])
    assert known.transform(ROWS[["state"]])["state"].dtype == "category"
    clipped = Clipper(iqr=1.5).set_output(transform="pandas").fit_transform(ROWS[["count"]])
    assert list(clipped.columns) == ["count"]


def test_terms_stay_sparse_and_a_missing_text_is_a_row_of_zeros() -> None:
    """An empty text, a null and words that training never saw weigh nothing."""
    terms = TfidfTerms().fit(ROWS[["remark"]])
    given = terms.transform(pd.DataFrame({"remark": ["late", None, "", np.nan, "unheard of"]}))
    assert sparse.issparse(given)
    assert given.getnnz(axis=1).tolist() == [1, 0, 0, 0, 0]


def test_two_texts_have_terms_of_their_own() -> None:
    """The same word in two columns is two features."""
    rows = pd.DataFrame({"title": ["late", "early"], "body": ["late again", "never"]})
    assert list(TfidfTerms().fit(rows).get_feature_names_out()) == [
        "title_early", "title_late", "body_again", "body_late", "body_never",
    ]  # fmt: skip


def test_a_text_without_a_common_term_is_named() -> None:
    """The message says which column and which setting."""
    message = message_of(lambda: TfidfTerms(min_rows=3).fit(ROWS[["remark"]]), ValueError)
    assert message.startswith("column 'remark' has no term that 3 or more of 4 rows hold; lower tfidf.min_rows")


def test_numbers_of_any_storage_become_floats() -> None:
    """Booleans beside a null, nullable integers and decimals are numbers all the same."""
    rows = pd.DataFrame(
        {
            "lead": pd.Series([True, None], dtype=object),
            "count": pd.array([1, None], dtype="Int64"),
            "flag": [True, False],
        }
    )
    given = as_numbers(rows)
    assert (given.dtypes == "float64").all()
    assert given.iloc[0].tolist() == [1, 1, 1]
    assert given.loc[1, ["lead", "count"]].isna().all()


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pd.Series([True, None], dtype=object), "numeric"),
        (pd.Series([1.5, 2]), "numeric"),
        (pd.Series([True, False]).astype("category"), "categorical"),
        (pd.Series(["a", None]), "categorical"),
        (pd.Series([None, None], dtype=object), "categorical"),
        (pd.Series(pd.date_range("2026-01-01", periods=2)), "datetime"),
        (pd.Series(pd.date_range("2026-01-01", periods=2).date), "datetime"),
    ],
)
def test_the_type_of_a_column_looks_behind_its_storage(values: pd.Series, found: str) -> None:
    """A null must not turn booleans or dates into text."""
    assert type_of(values) == found
