"""Preprocessing blocks as an unfitted scikit-learn `ColumnTransformer`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from waterflow.config.estimators import build_transformer
from waterflow.config.metrics import Task
from waterflow.config.schema import Block
from waterflow.data.block_columns import assign_columns, count_categories
from waterflow.data.columns import as_numbers, type_of
from waterflow.errors import ConfigError, DataError
from waterflow.training.transformers import (
    CategoryLabels,
    Clipper,
    DateParts,
    KnownCategories,
    OutputNames,
    TfidfTerms,
    name_category,
)

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
CONTENTS = {"numeric": "numbers", "datetime": "times", "categorical": "text"}
WIDE_COLUMNS = 1_000
MOST_TERMS = 100_000  # taken for the number of terms where it is not bounded
DENSE_BYTES = 2e9


@dataclass(frozen=True)
class _AssignedBlock:
    """A block with its raw columns. `place` is its place in the YAML."""

    place: str
    block: Block
    columns: pd.DataFrame

    @property
    def types(self) -> dict[str, str]:
        return {str(name): type_of(column) for name, column in self.columns.items()}

    @property
    def name(self) -> str:
        select = self.block.select
        kind = select.type or ("pattern" if select.pattern is not None else "names")
        return f"{self.place.rpartition('.')[2]}_{kind}"

    @property
    def keeps_names(self) -> bool:
        """Whether its columns keep their names."""
        return self.block.encode in (None, "ordinal", "category") and not self.block.indicator


def build_preprocessor(
    features: pd.DataFrame,
    blocks: Sequence[Block],
    seed: int,
    task: Task,
    place: str = "preprocessing",
    dense: bool = False,
) -> ColumnTransformer:
    """Build the unfitted transformer of raw training columns. Columns without a block are dropped.

    Its output is a sparse matrix with terms of a text or more than a thousand one-hot columns, a frame with categories
    or raw text, else a dense array. With `dense` it is never sparse. `seed` shuffles the rows for target encoding's
    inner folds. Raises ConfigError when a block does not fit its columns or a dense array would be too large, DataError
    for an empty column.
    """
    taken, _ = assign_columns(features, blocks, place)
    parts = [
        _AssignedBlock(f"{place}.{position}", block, features[columns])
        for position, (block, columns) in enumerate(zip(blocks, taken, strict=True))
        if columns and not block.drop
    ]
    for part in parts:
        _check_part(part)
    has_terms, is_frame = any(part.block.encode == "tfidf" for part in parts), any(map(_needs_frame, parts))
    if has_terms and is_frame:
        raise ConfigError(
            f"{place}: tfidf makes a sparse matrix, which holds neither categories nor raw columns; "
            "encode the others by onehot, ordinal or target"
        )
    is_sparse = has_terms or (not is_frame and sum(map(_count_onehot, parts)) > WIDE_COLUMNS)
    if is_sparse and dense:
        _check_size(parts, place)
        is_sparse = False
    transformer = ColumnTransformer(
        [(part.name, _transformer(part, seed, task, is_sparse), list(part.columns)) for part in parts],
        remainder="drop",
        sparse_threshold=1.0 if is_sparse else 0.0,
        verbose_feature_names_out=OutputNames(frozenset(part.name for part in parts if part.keeps_names)),
    )
    return transformer.set_output(transform="pandas") if is_frame else transformer


def _check_part(part: _AssignedBlock) -> None:
    """Check that a block fits its columns. Its errors are clearer than scikit-learn's."""
    block = part.block
    for key in {"tfidf": ("impute", "clip", "scale"), "category": ("scale",)}.get(block.encode or "", ()):
        if getattr(block, key) is not None:
            raise ConfigError(f"{part.place}.{key}: it does not go with encode: {block.encode}; leave it out")
    for key, valid in _readable(block):
        for name, found in part.types.items():
            if found not in valid:
                raise ConfigError(
                    f"{part.place}.{key}: column {name!r} holds {CONTENTS[found]}, not "
                    f"{' or '.join(CONTENTS[entry] for entry in valid)}; give it a block of its own"
                )
    needs_values = block.encode in ("tfidf", "category") or block.impute == "most_frequent"
    for name in [name for name, found in part.types.items() if needs_values and found != "numeric"]:
        if not any(str(value).strip() for value in part.columns[name].dropna()):  # stops at the first with content
            raise DataError(
                f"{part.place}: column {name!r} is empty in all {len(part.columns)} training rows; "
                f"add `drop: [{name}]` or fix the data"
            )


def _readable(block: Block) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the keys that need columns of certain types. Each key of a block comes with these types."""
    if block.encode == "dates":
        yield "encode", ("datetime", "categorical")
        return
    if block.encode == "tfidf":
        yield "encode", ("categorical",)
    if block.impute == "missing":
        yield "impute", ("categorical",)  # a constant among numbers would be a value like the others
    if block.impute in ("mean", "median"):
        yield "impute", ("numeric",)
    if block.clip is not None:
        yield "clip", ("numeric",)
    if block.scale is not None and block.encode is None:
        yield "scale", ("numeric",)


def _needs_frame(part: _AssignedBlock) -> bool:
    is_raw = part.block.encode is None and part.block.transformer is None and set(part.types.values()) != {"numeric"}
    return is_raw or part.block.encode == "category"


def _count_onehot(part: _AssignedBlock) -> int:
    if part.block.encode != "onehot":
        return 0
    return sum(count_categories(column, part.block.min_frequency) for _, column in part.columns.items())


def _check_size(parts: Sequence[_AssignedBlock], place: str) -> None:
    columns = sum(_count_onehot(part) + _count_terms(part) for part in parts)
    size = columns * len(parts[0].columns) * 8
    if size > DENSE_BYTES:
        raise ConfigError(
            f"{place}: the estimator takes no sparse matrix, and {columns} columns of categories and terms would take "
            f"{size / 1e9:.1f} GB; lower tfidf.max_features, raise min_frequency, encode by target, or choose another "
            "estimator for this candidate, such as logistic_regression or xgboost"
        )


def _count_terms(part: _AssignedBlock) -> int:
    return (part.block.tfidf.max_features or MOST_TERMS) * len(part.types) if part.block.encode == "tfidf" else 0


def _transformer(part: _AssignedBlock, seed: int, task: Task, is_sparse: bool) -> Pipeline | str:
    block = part.block
    if block.transformer:
        own = build_transformer(block, seed, part.place)
        reader = _reader(part)
        return Pipeline([("own", own)] if reader == "passthrough" else [("read", reader), ("own", own)])
    if block.encode == "tfidf":
        terms = block.tfidf
        return TfidfTerms(terms.max_features, terms.ngrams, terms.min_rows, terms.sublinear)
    steps: list[tuple[str, Any]] = [("read", _reader(part))]
    if block.clip:
        # Before imputing, which would narrow the quartiles.
        steps.append(("clip", Clipper(quantiles=block.clip.quantiles, iqr=block.clip.iqr)))
    if block.impute:
        steps.append(("impute", _imputer(block)))
    if block.encode not in (None, "dates"):
        steps.append(("encode", _encoder(block, seed, task, is_sparse)))
    if block.scale:
        steps.append(("scale", SCALERS[block.scale]()))
    steps = [(name, step) for name, step in steps if step != "passthrough"]
    return Pipeline(steps) if steps else "passthrough"


def _reader(part: _AssignedBlock) -> Any:
    """Return the step that reads raw columns. It does so however a client stores them."""
    if part.block.encode == "dates":
        return DateParts(part.block.dates)
    if set(part.types.values()) == {"numeric"} and part.block.encode is None:
        return FunctionTransformer(as_numbers, feature_names_out="one-to-one")
    return CategoryLabels() if part.block.impute or part.block.encode not in (None, "category") else "passthrough"


def _imputer(block: Block) -> SimpleImputer:
    # A column without values in some training rows, such as those of one fold, stays as a constant.
    how = {"strategy": "constant", "fill_value": "missing"} if block.impute == "missing" else {"strategy": block.impute}
    return SimpleImputer(**how, add_indicator=block.indicator, keep_empty_features=True)


def _encoder(block: Block, seed: int, task: Task, is_sparse: bool) -> Any:
    """Return the encoder of categories. None fails on an unknown category.

    One-hot encodes it as zeros, or in the column of rare ones that `min_frequency` makes; ordinal as -1; target as the
    target's mean; category as missing.
    """
    if block.encode == "onehot":
        return OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            feature_name_combiner=name_category,
            min_frequency=block.min_frequency,
            sparse_output=is_sparse and block.scale is None,
        )
    if block.encode == "ordinal":
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=block.min_frequency)
    if block.encode == "target":
        # By default it takes integers for classes.
        kind, folds = ("continuous", KFold) if task == "regression" else ("auto", StratifiedKFold)
        return TargetEncoder(target_type=kind, cv=folds(n_splits=5, shuffle=True, random_state=seed))
    return KnownCategories()
