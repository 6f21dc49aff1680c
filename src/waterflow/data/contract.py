"""Validation of rows against the pipeline's contract, with Pandera. It happens before anything is trained."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api import types as kinds

from waterflow.config.schema import ColumnContract, ContractConfig, PipelineConfig
from waterflow.data.columns import to_floats, to_times
from waterflow.errors import Break, ContractError
from waterflow.plurals import counted

if TYPE_CHECKING:
    import pandera.pandas as pa

WORST_SHOWN = 20  # values reported of each rule


@dataclass(frozen=True)
class Rule:
    """One demand on a column.

    `holds` returns for each value whether it is met. `badness` ranks the values that break it, worst highest; without
    it they are reported in the order of rows.
    """

    text: str
    holds: Callable[[pd.Series], pd.Series]
    badness: Callable[[pd.Series], pd.Series] | None = None
    on_nulls: bool = False


def check_contract(frame: pd.DataFrame, config: PipelineConfig) -> None:
    """Raise ContractError on rows that break the contract.

    The error has their number and the worst of each rule. `frame` is indexed by row number. A null breaks `nullable:
    false` and no other rule. Passes without a contract.
    """
    if config.contract is None:
        return
    from pandera.errors import SchemaErrors

    rules = {name: rules_of(column) for name, column in config.contract.columns.items()}
    try:
        _schema(config.contract, rules).validate(frame, lazy=True)
    except SchemaErrors as failed:
        broken = [_breaks_of(error, rules, frame, config) for error in failed.schema_errors]
    else:
        return
    count = sum(total for total, _ in broken)
    worst = tuple(entry for _, entries in broken for entry in entries)
    has_wrong_type = any(entry.rule.startswith("type: ") for entry in worst)
    keys = ", or say by dataset.dtype, time_format or time_unit how to read it" if has_wrong_type else ""
    raise ContractError(
        f"contract: {counted(count, 'break')} in {counted(len(frame), 'row')}, first {_describe(worst[0])}; "
        f"fix the data or the contract (`waterflow data profile {config.name}` proposes one){keys}",
        breaks=worst,
        count=count,
    )


def rules_of(column: ColumnContract) -> list[Rule]:
    """Return the rules for one column's values."""
    return list(_rules(column))


def _rules(column: ColumnContract) -> Iterator[Rule]:
    if (kind := column.type) is not None:
        yield Rule(f"type: {kind}", lambda values: has_type(values, kind))
    if not column.nullable:
        yield Rule("nullable: false", lambda values: values.notna(), on_nulls=True)
    if (low := column.min) is not None:
        below = _distance_below(low)
        yield Rule(f"min: {_format(low)}", lambda values: below(values) <= 0, below)
    if (high := column.max) is not None:
        above = _distance_above(high)
        yield Rule(f"max: {_format(high)}", lambda values: above(values) <= 0, above)
    if (allowed := column.values) is not None:
        yield Rule(f"values: {', '.join(map(str, allowed))}", lambda values: values.isin(allowed))
    if (pattern := column.pattern) is not None:
        yield Rule(f"pattern: {pattern}", lambda values: values.astype("str").str.fullmatch(pattern))
    if column.unique:
        yield Rule("unique: true", lambda values: ~values.duplicated(keep=False))


def has_type(values: pd.Series, wanted: str) -> pd.Series:
    """Return for each value whether it has the wanted type.

    `wanted` is integer, number, text, boolean or datetime; `values` holds no nulls. Whole floats are integers, as
    beside nulls; decimals are numbers; text that is written as a time is a datetime.
    """
    if wanted == "datetime":
        return to_times(values).notna()
    if kinds.is_object_dtype(values):
        return values.map(lambda value: _is_of_type(value, wanted)).astype(bool)
    is_boolean = kinds.is_bool_dtype(values)
    is_number = kinds.is_numeric_dtype(values) and not is_boolean
    if wanted == "integer" and is_number:
        return values % 1 == 0
    answer = {"boolean": is_boolean, "text": _is_text(values)}.get(wanted, is_number)
    return pd.Series(answer, index=values.index)


def _is_of_type(value: Any, wanted: str) -> bool:
    if wanted in ("boolean", "text"):
        return isinstance(value, bool if wanted == "boolean" else str)
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return is_number and (wanted == "number" or value % 1 == 0)


def _is_text(values: pd.Series) -> bool:
    is_category = isinstance(values.dtype, pd.CategoricalDtype)
    return kinds.is_string_dtype(values.cat.categories if is_category else values)


def _distance_below(bound: float | date) -> Callable[[pd.Series], pd.Series]:
    if isinstance(bound, date):
        start = pd.Timestamp(bound, tz="UTC")
        return lambda values: -(to_times(values) - start).dt.total_seconds()
    return lambda values: bound - to_floats(values, errors="coerce")


def _distance_above(bound: float | date) -> Callable[[pd.Series], pd.Series]:
    """Return how far values lie above an inclusive bound. A day extends to its last microsecond."""
    if isinstance(bound, date):
        end = pd.Timestamp(bound, tz="UTC") + pd.Timedelta(days=1, microseconds=-1)
        return lambda values: (to_times(values) - end).dt.total_seconds()
    return lambda values: to_floats(values, errors="coerce") - bound


def _schema(contract: ContractConfig, rules: dict[str, list[Rule]]) -> "pa.DataFrameSchema":
    import pandera.pandas as pa

    def check(rule: Rule) -> pa.Check:
        # We count and choose the breaks: Pandera's own report of a million of them takes a minute.
        return pa.Check(rule.holds, name=rule.text, ignore_na=not rule.on_nulls, n_failure_cases=1)

    columns: dict[str, list[pa.Check]] = {name: [] for names in contract.unique for name in names}
    columns |= {name: [check(rule) for rule in column] for name, column in rules.items()}
    on_rows = [
        pa.Check(_are_unique(names), name=f"unique: {', '.join(names)}", ignore_na=False, n_failure_cases=1)
        for names in contract.unique
    ]
    if (least := contract.min_rows) is not None:
        on_rows.append(pa.Check(lambda frame: len(frame) >= least, name=f"min_rows: {least}"))
    return pa.DataFrameSchema(
        {name: pa.Column(None, checks, nullable=True) for name, checks in columns.items()},
        checks=on_rows,
        strict=contract.closed,
    )


def _are_unique(names: tuple[str, ...]) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: ~frame.duplicated(list(names), keep=False)


def _breaks_of(
    error: Any, rules: dict[str, list[Rule]], frame: pd.DataFrame, config: PipelineConfig
) -> tuple[int, list[Break]]:
    """Return the count and worst occurrences of Pandera's error."""
    reason, name = error.reason_code.name, error.column_name or ""
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        return 1, [Break("", str(error.failure_cases), "no such column", "columns")]
    if reason == "COLUMN_NOT_IN_SCHEMA":
        return 1, [Break("", str(error.failure_cases), "a column that the contract does not list", "closed: true")]
    if error.check_output is None:
        return 1, [Break("", name, str(error.failure_cases), error.check.name)]
    if isinstance(error.check_output, bool):
        return 1, [Break("", "", counted(len(frame), "row"), error.check.name)]
    holds = error.check_output.fillna(False).astype(bool)
    broken = holds.index[~holds]
    return len(broken), _worst_breaks(broken, name, error.check.name, rules, frame, config)


def _worst_breaks(
    broken: pd.Index,
    name: str,
    rule_text: str,
    rules: dict[str, list[Rule]],
    frame: pd.DataFrame,
    config: PipelineConfig,
) -> list[Break]:
    """Return the worst breaks of a rule on a column. The rule is on several columns where `name` is empty."""
    if name:
        rule = next(rule for rule in rules[name] if rule.text == rule_text)
        chosen = _worst(frame.loc[broken, [name]], rule)
    else:
        assert config.contract is not None
        name = rule_text.removeprefix("unique: ")
        columns = next(list(names) for names in config.contract.unique if ", ".join(names) == name)
        chosen = frame.loc[broken[:WORST_SHOWN], columns]
    return [
        Break(_row_name(frame, position, config), name, ", ".join(map(_format, row)), rule_text)
        for position, row in zip(chosen.index, chosen.itertuples(index=False), strict=True)
    ]


def _worst(values: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    if rule.badness is None:
        return values.head(WORST_SHOWN)
    badness = rule.badness(values.iloc[:, 0])
    return values.loc[badness.sort_values(ascending=False, kind="stable").index[:WORST_SHOWN]]


def _describe(first: Break) -> str:
    column = f"column {first.column!r}, " if first.column else ""
    return f"{column}rule `{first.rule}`: found {first.value}{f' at {first.row}' if first.row else ''}"


def _row_name(frame: pd.DataFrame, position: Any, config: PipelineConfig) -> str:
    """Return a row's key. Without a key, return its time and its number in the window, from 0."""
    names = config.key or ((config.time_column,) if config.time_column else ())
    values = [f"{name}={_format(frame.at[position, name])}" for name in names if name in frame]
    return ", ".join(values if config.key else [*values, f"row {position}"])


def _format(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as it was before a null beside it made it a float
    return "null" if kinds.is_scalar(value) and pd.isna(value) else str(value)
