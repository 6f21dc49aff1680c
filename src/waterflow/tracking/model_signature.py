"""MLflow's signature of a model."""

from collections.abc import Collection
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema
from pandas.api.types import infer_dtype, is_bool_dtype, is_datetime64_any_dtype, is_integer_dtype

from waterflow.data.columns import type_of
from waterflow.estimators.served_model import PROBABILITIES


def signature_of(
    example: pd.DataFrame, predictions: Any, *, whole: Collection[str] = (), has_probabilities: bool = False
) -> ModelSignature:
    """Return a signature that accepts what training accepted.

    `example` has the columns as they are served. MLflow's types refuse what a few rows did not show: a null or 30.5
    beside integers, whole numbers beside fractions, 0 and 1 for booleans, a batch whose texts are all null. Pipelines
    read all of these, so a column is of any type, except times and the integers that the contract declares never null,
    which `whole` lists. With `has_probabilities` the parameter `probabilities` asks for them.
    """
    columns = [ColSpec(_type_of(example[name], str(name) in whole), str(name)) for name in example.columns]
    params = [ParamSpec(PROBABILITIES, DataType.boolean, False)] if has_probabilities else []
    return ModelSignature(
        inputs=Schema(columns),
        outputs=infer_signature(example, predictions).outputs,
        params=ParamSchema(params) if params else None,
    )


def trained_types(example: pd.DataFrame) -> dict[str, str]:
    """Return the type that training saw, by column.

    Types are MLflow's words `long`, `double`, `boolean`, `string` and `datetime`. The dtype decides, which is that of
    all rows.
    """
    return {str(name): _trained_type(example[name]) for name in example.columns}


def _trained_type(column: pd.Series) -> str:
    if is_bool_dtype(column) or (column.dtype == object and infer_dtype(column, skipna=True) == "boolean"):
        return "boolean"
    if is_integer_dtype(column):
        return "long"
    return {"numeric": "double", "datetime": "datetime", "categorical": "string"}[type_of(column)]


def _type_of(column: pd.Series, is_whole: bool) -> DataType | AnyType:
    if is_datetime64_any_dtype(column):
        return DataType.datetime
    return DataType.long if is_whole and is_integer_dtype(column) else AnyType()
