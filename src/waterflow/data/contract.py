"""Holding a window's rows against the pipeline's contract, with Pandera, before anything is trained on them."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api import types as kinds

from waterflow.config.schema import ColumnContract, ContractConfig, PipelineConfig
from waterflow.errors import Break, ContractError

if TYPE_CHECKING:
    import pandera.pandas as pa

WORST_SHOWN = 20  # offenders of each rule


@dataclass(frozen=True)
class Rule:
    """One demand on a column, as the YAML has it; `holds` says row by row whether it is met.

    `badness` gives a number by which the worst offenders come first; without it they come as they stand.
    """

    text: str
    holds: Callable[[pd.Series], pd.Series]
    badness: Callable[[pd.Series], pd.Series] | None = None
    on_nulls: bool = False


def check_contract(frame: pd.DataFrame, config: PipelineConfig) -> None:
    """Refuse rows that break the contract; raises ContractError with the number of breaks and the worst of each rule.

    `frame` has an index of row numbers. Null breaks `nullable: false` and no other rule. A pipeline without a
    contract passes.
    """
    if config.contract is None:
        return
    from pandera.errors import SchemaErrors

    rules = {name: rules_of(column) for name, column in config.contract.columns.items()}
    try:
        _schema(config.contract, rules).validate(frame, lazy=True)
    except SchemaErrors as found:
        broken = [entry for error in found.schema_errors for entry in _breaks_of(error, rules, frame, config)]
    else:
        return
    count = sum(total for total, _ in broken)
    worst = tuple(entry for _, entries in broken for entry in entries)
    raise ContractError(
        f"contract: {count} {'break' if count == 1 else 'breaks'} in {len(frame)} rows, first {_told(worst[0])}; "
        f"mend the data or the contract (`waterflow data profile {config.name}` proposes one)",
        breaks=worst,
        count=count,
    )


def rules_of(column: ColumnContract) -> list[Rule]:
    """List what is demanded of one column's values."""
    rules = []
    if column.type is not None:
        rules.append(Rule(f"type: {column.type}", lambda values: has_type(values, str(column.type))))
    if not column.nullable:
        rules.append(Rule("nullable: false", lambda values: values.notna(), on_nulls=True))
    if (low := column.min) is not None:
        below = _distance_below(low)
        rules.append(Rule(f"min: {_shown(low)}", lambda values: below(values) <= 0, below))
    if (high := column.max) is not None:
        above = _distance_above(high)
        rules.append(Rule(f"max: {_shown(high)}", lambda values: above(values) <= 0, above))
    if (allowed := column.values) is not None:
        rules.append(Rule(f"values: {', '.join(map(str, allowed))}", lambda values: values.isin(allowed)))
    if (pattern := column.pattern) is not None:
        rules.append(Rule(f"pattern: {pattern}", lambda values: values.astype("str").str.fullmatch(pattern)))
    if column.unique:
        rules.append(Rule("unique: true", lambda values: ~values.duplicated(keep=False)))
    return rules


def has_type(values: pd.Series, wanted: str) -> pd.Series:
    """Say for each value, none of them null, whether it is an integer, number, text, boolean or datetime.

    Whole numbers that were read as floats, as beside nulls, are integers; text that reads as a time is a datetime.
    """
    is_object = kinds.is_object_dtype(values)
    is_boolean = kinds.is_bool_dtype(values)
    is_number = kinds.is_numeric_dtype(values) and not is_boolean
    if wanted == "datetime":
        return _all(values, kinds.is_datetime64_any_dtype(values)) | _times(values).notna()
    if wanted == "boolean":
        return values.map(lambda value: isinstance(value, bool)) if is_object else _all(values, is_boolean)
    if wanted == "text":
        return values.map(lambda value: isinstance(value, str)) if is_object else _all(values, _is_text(values))
    return (values % 1 == 0) if wanted == "integer" and is_number else _all(values, is_number)


def _is_text(values: pd.Series) -> bool:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return kinds.is_string_dtype(values.cat.categories)
    return kinds.is_string_dtype(values)


def _all(values: pd.Series, answer: bool) -> pd.Series:
    return pd.Series(answer, index=values.index)


def _times(values: pd.Series) -> pd.Series:
    """Read times, as ISO 8601 or else in the form of the first; what is none becomes NaT."""
    if kinds.is_numeric_dtype(values):
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    times = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas says when it has to guess how times are written
        return times if times.notna().any() else pd.to_datetime(values, errors="coerce", utc=True)


def _distance_below(bound: float | date) -> Callable[[pd.Series], pd.Series]:
    if isinstance(bound, date):
        start = pd.Timestamp(bound, tz="UTC")
        return lambda values: -(_times(values) - start).dt.total_seconds()
    return lambda values: bound - _numbers(values)


def _distance_above(bound: float | date) -> Callable[[pd.Series], pd.Series]:
    """Measure how far values lie above an inclusive bound; a day counts to its last microsecond."""
    if isinstance(bound, date):
        end = pd.Timestamp(bound, tz="UTC") + pd.Timedelta(days=1, microseconds=-1)
        return lambda values: (_times(values) - end).dt.total_seconds()
    return lambda values: _numbers(values) - bound


def _numbers(values: pd.Series) -> pd.Series:
    """Read numbers; what is none becomes NaN, which lies within no bounds."""
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _schema(contract: ContractConfig, rules: dict[str, list[Rule]]) -> "pa.DataFrameSchema":
    import pandera.pandas as pa

    def check(rule: Rule) -> pa.Check:
        # The breaks are counted and chosen by us: Pandera's own report of a million of them takes a minute.
        return pa.Check(rule.holds, name=rule.text, ignore_na=not rule.on_nulls, n_failure_cases=1)

    together = [name for names in contract.unique for name in names if name not in contract.columns]
    columns = {name: [check(rule) for rule in listed] for name, listed in rules.items()} | {
        name: [] for name in together
    }
    whole = [
        pa.Check(_names_rows(names), name=f"unique: {', '.join(names)}", ignore_na=False, n_failure_cases=1)
        for names in contract.unique
    ]
    if (least := contract.min_rows) is not None:
        whole.append(pa.Check(lambda frame: len(frame) >= least, name=f"min_rows: {least}"))
    return pa.DataFrameSchema(
        {name: pa.Column(None, checks, nullable=True) for name, checks in columns.items()},
        checks=whole,
        strict=contract.closed,
    )


def _names_rows(names: tuple[str, ...]) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: ~frame.duplicated(list(names), keep=False)


def _breaks_of(
    error: Any, rules: dict[str, list[Rule]], frame: pd.DataFrame, config: PipelineConfig
) -> Iterator[tuple[int, list[Break]]]:
    """Give how often one of Pandera's findings occurs, and the worst occurrences."""
    assert config.contract is not None
    reason, name = error.reason_code.name, error.column_name
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        yield 1, [Break("", str(error.failure_cases), "no such column", "columns")]
    elif reason == "COLUMN_NOT_IN_SCHEMA":
        yield 1, [Break("", str(error.failure_cases), "a column that the contract does not list", "closed: true")]
    elif error.check_output is None:
        yield 1, [Break("", name or "", str(error.failure_cases), error.check.name)]
    elif isinstance(error.check_output, bool):
        yield 1, [Break("", "", f"{len(frame)} rows", error.check.name)]
    else:
        held = error.check_output.fillna(False).astype(bool)
        positions = held.index[~held]
        if name is None:
            text = error.check.name.removeprefix("unique: ")
            columns = next(list(names) for names in config.contract.unique if ", ".join(names) == text)
            chosen = frame.loc[positions[:WORST_SHOWN], columns]
        else:
            rule = next(rule for rule in rules[name] if rule.text == error.check.name)
            chosen, text = _worst(frame.loc[positions, [name]], rule), name
        yield (
            len(positions),
            [
                Break(_row_name(frame, position, config), text, ", ".join(map(_shown, row)), error.check.name)
                for position, row in zip(chosen.index, chosen.itertuples(index=False), strict=True)
            ],
        )


def _worst(offenders: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    if rule.badness is None:
        return offenders.head(WORST_SHOWN)
    badness = rule.badness(offenders.iloc[:, 0])
    return offenders.loc[badness.sort_values(ascending=False, kind="stable").index[:WORST_SHOWN]]


def _told(first: Break) -> str:
    column = f"column {first.column!r}, " if first.column else ""
    return f"{column}rule `{first.rule}`: found {first.value}{f' at {first.row}' if first.row else ''}"


def _row_name(frame: pd.DataFrame, position: Any, config: PipelineConfig) -> str:
    """Name a row by the pipeline's key, else by its time and its number among the window's rows, from 0."""
    names = config.key or ((config.time_column,) if config.time_column else ())
    values = [f"{name}={_shown(frame.at[position, name])}" for name in names if name in frame]
    return ", ".join(values if config.key else [*values, f"row {position}"])


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as a person wrote it, and as it was before a null beside it made it a float
    return "null" if kinds.is_scalar(value) and pd.isna(value) else str(value)
