"""Inference of a contract from rows, as YAML to paste."""

import math
from itertools import combinations
from typing import Any

import pandas as pd
import yaml
from pandas.api import types as kinds

from waterflow.config.schema import ContractType, PipelineConfig
from waterflow.data.contract import has_type

MOST_CATEGORIES = 20
MOST_PAIRS = 30


def propose_contract(frame: pd.DataFrame, config: PipelineConfig) -> dict[str, Any]:
    """Return a contract that the rows obey.

    It covers types, nulls, ranges, categories, unique keys and the number of rows. Ranges are rounded outward,
    `min_rows` is half the number of rows, and the time column has no upper bound, so that next month's rows obey it
    too. `values` are proposed for text with few categories.
    """
    columns = {str(name): _propose_column(frame[name], config) for name in frame.columns}
    keys = _unique_keys(frame, config, columns)
    contract: dict[str, Any] = {"min_rows": _below(max(1, len(frame) // 2))}
    if keys:
        contract["unique"] = keys
    return contract | {"columns": columns}


def contract_yaml(contract: dict[str, Any]) -> str:
    """Return a proposed contract as YAML, one column per line."""
    lines = ["contract:"]
    lines += [f"  {name}: {write_yaml(value)}" for name, value in contract.items() if name != "columns"]
    lines.append("  columns:")
    for name, column in contract["columns"].items():
        lines.append(f"    {write_yaml(name)}: {write_yaml(column)}")
    return "\n".join(lines) + "\n"


def write_yaml(value: Any) -> str:
    """Return a value as YAML of one line. Hydra's `${` is escaped."""
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=100_000, allow_unicode=True)
    return text.strip().removesuffix("...").strip().replace("${", "\\${")


def _propose_column(column: pd.Series, config: PipelineConfig) -> dict[str, Any]:
    values = column.dropna()
    kind = kind_of(values)
    proposed: dict[str, Any] = {"type": kind} if kind else {}
    if len(values) == len(column):
        proposed["nullable"] = False
    is_key = column.name in (*config.key, config.group) or (kind in ("integer", "text") and values.is_unique)
    if kind in ("integer", "number") and not is_key and math.isfinite(values.max() - values.min()):
        low, high = float(values.min()), float(values.max())
        proposed |= {"min": _outward(low, high - low, math.floor), "max": _outward(high, high - low, math.ceil)}
    elif kind == "datetime":
        times = pd.to_datetime(values, utc=True)
        proposed["min"] = times.min().date()
        if column.name != config.time_column:
            proposed["max"] = times.max().date()
    elif kind == "text" and not is_key and 0 < values.nunique() <= min(MOST_CATEGORIES, len(values) / 5):
        proposed["values"] = sorted(values.unique().tolist())
    return proposed


def kind_of(values: pd.Series) -> ContractType | None:
    """Return the narrowest type of all values. Text that can be parsed as times stays text."""
    wanted: list[ContractType] = ["boolean", "integer", "number", "text"]
    if kinds.is_datetime64_any_dtype(values):
        wanted = ["datetime"]
    return next((kind for kind in wanted if len(values) and has_type(values, kind).all()), None)


def _outward(value: float, span: float, rounded: Any) -> float | int:
    """Round outward to half the span's order of magnitude. With a span of 5, −0.137 becomes −0.5."""
    step = 10.0 ** math.floor(math.log10(span)) / 2 if span > 0 else 10.0 ** math.floor(math.log10(abs(value) or 1.0))
    outward = rounded(value / step) * step
    if value >= 0 > outward:
        outward = 0.0
    outward = float(f"{outward:.12g}")
    return int(outward) if outward.is_integer() else outward


def _below(count: int) -> int:
    """Round a count down to one digit."""
    unit = 10 ** (len(str(count)) - 1)
    return count // unit * unit


def _unique_keys(frame: pd.DataFrame, config: PipelineConfig, columns: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return what identifies a row. This is the key, else a column, else a pair, no measurements among them."""
    if config.key:
        return [] if frame.duplicated(list(config.key)).any() else [list(config.key)]
    eligible = [name for name, column in columns.items() if column.get("type") in ("integer", "text", "datetime")]
    eligible = [name for name in eligible if not columns[name].get("nullable", True)]
    sizes = {name: frame[name].nunique() for name in eligible}
    for name in eligible:
        if sizes[name] == len(frame):
            return [[name]]
    pairs = [pair for pair in combinations(eligible, 2) if sizes[pair[0]] * sizes[pair[1]] >= len(frame)]
    pairs.sort(key=lambda pair: sizes[pair[0]] * sizes[pair[1]])
    return next(([list(pair)] for pair in pairs[:MOST_PAIRS] if not frame.duplicated(list(pair)).any()), [])
