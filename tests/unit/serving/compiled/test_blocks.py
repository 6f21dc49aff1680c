"""Blocks of preprocessing, compiled."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from support.compiled import COLUMNS, FEATURES, fit_preprocessor

from waterflow.config.schema import Block, Clip, Selector
from waterflow.errors import DataError
from waterflow.serving.compiled.categories import _codes
from waterflow.serving.compiled.interface import NotCompilableError
from waterflow.serving.compiled.pipeline import CompiledPredictor, _compile_blocks, compile_pipeline
from waterflow.serving.predictors import frame_of

NUMERIC, TEXT = Selector(type="numeric"), Selector(type="categorical")
NAMES = Selector(names=("zone", "count"))
BLOCKS: dict[str, tuple[Block, ...]] = {
    "numbers": (Block(select=NUMERIC),),
    **{f"impute {how}": (Block(select=NUMERIC, impute=how),) for how in ("mean", "median", "most_frequent")},
    **{f"scale {how}": (Block(select=NUMERIC, scale=how),) for how in ("standard", "minmax", "robust")},
    "clip quantiles": (Block(select=NUMERIC, clip=Clip(quantiles=(0.05, 0.9)), impute="median", scale="standard"),),
    "clip iqr": (Block(select=NUMERIC, clip=Clip(iqr=1.5)),),
    "indicator": (Block(select=NUMERIC, impute="mean", indicator=True, scale="robust"),),
    "onehot": (Block(select=TEXT, encode="onehot"),),
    "onehot of rare": (Block(select=TEXT, encode="onehot", min_frequency=15),),
    "onehot imputed": (Block(select=TEXT, impute="most_frequent", indicator=True, encode="onehot"),),
    "onehot missing, scaled": (Block(select=TEXT, impute="missing", encode="onehot", scale="standard"),),
    "onehot of numbers": (Block(select=NAMES, encode="onehot"),),
    "ordinal": (Block(select=TEXT, encode="ordinal"),),
    "ordinal of rare, scaled": (Block(select=TEXT, encode="ordinal", min_frequency=15, scale="minmax"),),
    "ordinal of clipped numbers": (
        Block(select=NAMES, clip=Clip(quantiles=(0.1, 0.8)), impute="median", indicator=True, encode="ordinal"),
    ),
    "ordinal of all": (Block(select=Selector(pattern="."), impute="most_frequent", encode="ordinal"),),
    "target": (Block(select=TEXT, encode="target"), Block(select=NUMERIC, impute="mean")),
    "target of numbers": (Block(select=NAMES, impute="most_frequent", encode="target", scale="standard"),),
    "category": (Block(select=NUMERIC), Block(select=TEXT, encode="category")),
    "category of numbers": (Block(select=NAMES, encode="category"),),
    "category imputed": (Block(select=TEXT, impute="missing", encode="category"), Block(select=NUMERIC, impute="mean")),
    "several": (
        Block(select=Selector(names=("state",)), encode="target"),
        Block(select=Selector(names=("wide", "level")), impute="median", indicator=True, clip=Clip(iqr=3.0)),
        Block(select=Selector(names=("count",)), drop=True),
        Block(select=NUMERIC, impute="median", scale="standard"),
        Block(select=TEXT, impute="missing", encode="onehot"),
    ),
}
FITTED: dict[str, Any] = {}


def fitted(name: str) -> tuple[Any, CompiledPredictor]:
    """Return a fitted transformer and its compiled blocks, made once."""
    if name not in FITTED:
        transformer = fit_preprocessor(BLOCKS[name], "three" if "target" in name else "two")
        blocks = tuple(_compile_blocks(transformer, set()))
        sources = tuple(source for block in blocks for source in block.sources)
        FITTED[name] = transformer, CompiledPredictor(blocks, None, sources, takes_missing=True)  # type: ignore[arg-type]
    return FITTED[name]


def expected_features(transformer: Any, columns: dict[str, list[Any]]) -> Any:
    """Return what scikit-learn's transformer makes of columns, categories as codes."""
    rows = transformer.transform(frame_of(columns, FEATURES))
    return np.column_stack([_codes(rows[name]) for name in rows]) if hasattr(rows, "columns") else rows


@pytest.mark.parametrize("name", BLOCKS)
@given(columns=COLUMNS)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_a_compiled_block_equals_the_fitted_one(name: str, columns: dict[str, list[Any]]) -> None:
    """Nulls, unseen categories, integers and booleans come out as scikit-learn has them, in one row and in several."""
    transformer, compiled = fitted(name)
    np.testing.assert_allclose(compiled.transform(columns), expected_features(transformer, columns), rtol=1e-12)


@pytest.mark.parametrize("name", ["numbers", "onehot of numbers", "category of numbers"])
def test_numbers_as_text_are_read_as_pandas_reads_them(name: str) -> None:
    """A client that quotes its numbers gets the answer of the pipeline."""
    transformer, compiled = fitted(name)
    columns = {feature.name: [None] for feature in FEATURES}
    columns |= {"level": ["0.5"], "count": [" 3"], "zone": ["10"]}
    rows = frame_of(columns | {"level": [0.5], "count": [3], "zone": [10]}, FEATURES)
    found = transformer.transform(rows.astype({"count": "float64"}))
    expected = np.column_stack([_codes(found[key]) for key in found]) if hasattr(found, "columns") else found
    np.testing.assert_allclose(compiled.transform(columns), expected)


def test_a_block_takes_arrays_as_well_as_lists() -> None:
    """Batch scoring has columns of Arrow, not of JSON."""
    transformer, compiled = fitted("several")
    columns = {feature.name: [None, None] for feature in FEATURES}
    columns |= {"level": [0.5, None], "count": [3, 4], "zone": [1, 10], "state": ["NY", None]}
    arrays = frame_of(columns, FEATURES)
    typed = {name: arrays[name].to_numpy() for name in arrays}
    np.testing.assert_allclose(compiled.transform(typed), transformer.transform(arrays))


def test_infinity_is_refused_where_the_pipeline_refuses_it() -> None:
    """The message names the column; a block that only reads lets it through."""
    columns = {feature.name: [1.0] for feature in FEATURES} | {"wide": [np.inf]}
    with pytest.raises(DataError, match="column 'wide'"):
        fitted("scale robust")[1].transform(columns)
    assert np.isinf(fitted("numbers")[1].transform(columns)).any()


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ((Block(select=Selector(names=("state",)), encode="tfidf"),), "terms of a text"),
        ((Block(select=TEXT), Block(select=NUMERIC)), "reaches the model as it is"),
        ((Block(select=TEXT, impute="missing"), Block(select=NUMERIC)), "reaches the model as it is"),
    ],
)
def test_what_is_no_block_of_the_set_has_a_reason(blocks: tuple[Block, ...], reason: str) -> None:
    """The pipeline serves then, and the page says why."""
    pipeline = Pipeline([("preprocess", fit_preprocessor(blocks)), ("model", LogisticRegression())])
    with pytest.raises(NotCompilableError, match=reason):
        compile_pipeline(pipeline, FEATURES)
