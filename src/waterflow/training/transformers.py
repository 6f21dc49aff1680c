"""Transformers that scikit-learn lacks.

Models are pickled with this module's code, so that they load where Waterflow is not installed. It therefore imports
only Waterflow's functions that import nothing themselves, and raises ValueError.
"""

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_datetime64_any_dtype
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, validate_data

from waterflow.data.columns import to_floats, type_of

UNSAFE = re.compile(r'[%/\[\]<>",:{}\\]')


def escape_name(name: str) -> str:
    """Percent-encode what XGBoost or LightGBM refuse in a name. `price [EUR]` becomes `price %5BEUR%5D`."""
    return UNSAFE.sub(lambda sign: f"%{ord(sign[0]):02X}", name)


def name_category(column: str, category: Any) -> str:
    """Return the name of a category's column, `COLUMN=CATEGORY`."""
    return f"{column.replace('=', '%3D')}={category}"


class OutputNames:
    """Name output columns, each once, reversibly. A name that a block made gets the block before it.

    `keeping` are the blocks whose columns keep their names, such as numbers. A column `signup_month` and the month of
    `signup` thus differ.
    """

    def __init__(self, keeping: frozenset[str]) -> None:
        self.keeping = keeping

    def __call__(self, block: str, name: str) -> str:
        """Return the name of a block's column."""
        return escape_name(name) if block in self.keeping else f"{block}/{escape_name(name)}"


class Clipper(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Clip numbers to two bounds; NaN stays NaN.

    The bounds are two `quantiles` of the rows fitted on, or `iqr` interquartile ranges beyond the quartiles
    (Tukey, Exploratory Data Analysis, 1977). A column without a value has no bounds.
    """

    def __init__(self, quantiles: tuple[float, float] | None = None, iqr: float | None = None) -> None:
        self.quantiles = quantiles
        self.iqr = iqr

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Learn `lower_` and `upper_`, each of shape (columns,)."""
        values = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan")
        seen = ~np.isnan(values).all(axis=0)
        self.lower_, self.upper_ = np.full(values.shape[1], -np.inf), np.full(values.shape[1], np.inf)
        if self.iqr is not None:
            first, third = np.nanquantile(values[:, seen], (0.25, 0.75), axis=0)
            reach = self.iqr * (third - first)
            self.lower_[seen], self.upper_[seen] = first - reach, third + reach
        else:
            bounds = self.quantiles or (0.0, 1.0)
            self.lower_[seen], self.upper_[seen] = np.nanquantile(values[:, seen], bounds, axis=0)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Clip columns; the shape stays."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan", reset=False)
        return np.clip(values, self.lower_, self.upper_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _FrameTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The base of transformers of frames. It learns the names and number of columns."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: N803
        """Learn the columns and their contents."""
        validate_data(self, X, skip_check_array=True)
        self._learn(X)
        return self

    def _learn(self, frame: pd.DataFrame) -> None:
        pass

    def _checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self, "n_features_in_")
        validate_data(self, frame, skip_check_array=True, reset=False)
        return frame

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags


class DateParts(_FrameTransformer):
    """Split times into numbers, in UTC. Monday is 0, and a missing time is NaN in each part.

    Columns hold times, or text in ISO 8601; one without a zone counts as UTC. `parts` are names of pandas' `dt`
    accessor, and `is_weekend`.
    """

    def __init__(self, parts: Sequence[str] = ("month", "day_of_week", "hour")) -> None:
        self.parts = parts

    def _learn(self, frame: pd.DataFrame) -> None:
        for name in frame.columns:
            _times(frame[name])

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """Return float64 columns `NAME_PART`."""
        columns = {}
        for name in self._checked(X).columns:
            times = _times(X[name])
            for part in self.parts:
                values = times.dt.day_of_week >= 5 if part == "is_weekend" else getattr(times.dt, part)
                columns[f"{name}_{part}"] = values.astype("float64").where(times.notna())
        return pd.DataFrame(columns, index=X.index)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns of `transform`."""
        check_is_fitted(self, "n_features_in_")
        return np.array([f"{name}_{part}" for name in self.feature_names_in_ for part in self.parts], dtype=object)


class CategoryLabels(OneToOneFeatureMixin, _FrameTransformer):  # type: ignore[misc]  # scikit-learn has no types
    """Convert categories to labels for encoders. Numbers become float64, all else text; null is NaN in both.

    A column keeps the kind that it had when fitted: a postcode that arrives as a number becomes text.
    """

    def _learn(self, frame: pd.DataFrame) -> None:
        self.numeric_ = [type_of(frame[name]) == "numeric" for name in frame.columns]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """Return the same columns. Text in a column of numbers counts as missing."""
        pairs = zip(self._checked(X).columns, self.numeric_, strict=True)
        columns = {
            name: to_floats(X[name], errors="coerce") if numeric else _labels(X[name]) for name, numeric in pairs
        }
        return pd.DataFrame(columns, index=X.index)


class KnownCategories(CategoryLabels):
    """Convert columns to pandas' category type. The categories are the fitted ones; any other value is missing.

    For estimators with support for categories, like XGBoost and scikit-learn's histogram boosting.
    """

    def _learn(self, frame: pd.DataFrame) -> None:
        super()._learn(frame)
        self.categories_ = [
            pd.Index(to_floats(frame[name], errors="coerce").dropna() if numeric else _coded(frame[name])[1])
            .unique()
            .sort_values()
            for name, numeric in zip(frame.columns, self.numeric_, strict=True)
        ]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """Return the same columns as sorted categories. Numbers become text, as XGBoost needs."""
        columns = {}
        for name, numeric, known in zip(self._checked(X).columns, self.numeric_, self.categories_, strict=True):
            if numeric:
                codes = known.get_indexer(pd.Index(to_floats(X[name], errors="coerce")))
            else:
                seen, texts = _coded(X[name])
                codes = np.append(known.get_indexer(pd.Index(texts)), -1)[seen]  # code -1, null, takes the last
            columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index([*map(_name, known)], dtype="str"))
        return pd.DataFrame(columns, index=X.index)


class TfidfTerms(_FrameTransformer):
    """Convert text columns to one sparse matrix of terms. Terms are weighted by scikit-learn's `TfidfVectorizer`.

    A missing text counts as empty, a row of zeros.
    """

    def __init__(
        self,
        max_features: int | None = None,
        ngrams: tuple[int, int] = (1, 1),
        min_rows: int = 1,
        sublinear: bool = False,
    ) -> None:
        self.max_features = max_features
        self.ngrams = ngrams
        self.min_rows = min_rows
        self.sublinear = sublinear

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: N803
        """Learn the terms of each column. Raises ValueError for a column without any."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None, **params: Any) -> sparse.csr_matrix:  # noqa: N803
        """Learn and weight the terms in one pass. Reading them takes most of the time."""
        super().fit(X)
        options = {"max_features": self.max_features, "min_df": self.min_rows, "sublinear_tf": self.sublinear}
        self.vectorizers_ = [TfidfVectorizer(ngram_range=tuple(self.ngrams), **options) for _ in X.columns]
        matrices = []
        for name, vectorizer in zip(X.columns, self.vectorizers_, strict=True):
            try:
                matrices.append(vectorizer.fit_transform(_texts(X[name])))
            except ValueError as error:
                raise ValueError(
                    f"column {name!r} has no term that {self.min_rows} or more of {len(X)} rows hold; "
                    "lower tfidf.min_rows, or drop the column"
                ) from error
        return sparse.hstack(matrices, format="csr")

    def transform(self, X: pd.DataFrame) -> sparse.csr_matrix:  # noqa: N803
        """Return the weights of known terms, shape (rows, terms), float64."""
        pairs = zip(self._checked(X).columns, self.vectorizers_, strict=True)
        return sparse.hstack([vectorizer.transform(_texts(X[name])) for name, vectorizer in pairs], format="csr")

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the matrix's columns, `NAME_TERM`."""
        check_is_fitted(self, "n_features_in_")
        pairs = zip(self.feature_names_in_, self.vectorizers_, strict=True)
        names = [f"{name}_{term}" for name, vectorizer in pairs for term in vectorizer.get_feature_names_out()]
        return np.array(names, dtype=object)


def _labels(column: pd.Series) -> pd.Series:
    codes, texts = _coded(column)
    return pd.Series(np.append(texts, np.nan)[codes], index=column.index, dtype=object)  # code -1, null, takes the last


def _coded(column: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Return each row's code and the values as text. The code of null is -1."""
    codes, names = pd.factorize(column)
    return codes, np.array([*map(_name, names)], dtype=object)


def _name(value: Any) -> str:
    """Return the label of a category. 3 and 3.0 are equal, because nulls make integers floats."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


def _times(column: pd.Series) -> pd.Series:
    if is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True)
    try:
        return pd.to_datetime(column.astype(object), utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        parsed = pd.to_datetime(column.astype(object), utc=True, format="ISO8601", errors="coerce")
        wrong = column[parsed.isna() & column.notna()]
        found = repr(wrong.iloc[0]) if len(wrong) else "it"
        raise ValueError(
            f"column {column.name!r}: {found} is no time; write times like 2026-01-31T05:00:00Z"
        ) from error


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str)
