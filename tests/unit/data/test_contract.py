import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from support.projects import config_of

from waterflow.config.schema import ContractConfig, PipelineConfig
from waterflow.data.contract import WORST_SHOWN, check_contract
from waterflow.data.contract_inference import contract_yaml, propose_contract
from waterflow.datasets.loaders import iris
from waterflow.errors import Break, ContractError

ROWS = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "name": ["ann", "bob", None, "dan"],
        "weight": [61.5, -3.0, np.nan, 720.0],
        "joined": pd.to_datetime(["2026-01-05", "2026-02-01 23:59", None, "2026-03-01"], format="ISO8601"),
        "member": [True, False, True, True],
        "parcels": [1.0, np.nan, 2.0, 2.5],
        "noted": ["2026-01-01", "soon", None, "2026-01-02 10:30"],
    }
)


def broken(contract: dict[str, Any], frame: pd.DataFrame = ROWS, **changes: Any) -> ContractError:
    """Return the error with which rows are refused."""
    with pytest.raises(ContractError) as found:
        check_contract(frame, config_of(contract=contract, **changes))
    assert "\n" not in str(found.value)
    return found.value


def held(contract: dict[str, Any], frame: pd.DataFrame = ROWS) -> None:
    """Check rows against a contract that they obey."""
    check_contract(frame, config_of(contract=contract))


def column(name: str, **rules: Any) -> dict[str, Any]:
    """Make a contract of one column."""
    return {"columns": {name: rules}}


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (column("colour"), Break("", "colour", "no such column", "columns")),
        (column("name", nullable=False), Break("id=3", "name", "null", "nullable: false")),
        (column("weight", min=0), Break("id=2", "weight", "-3", "min: 0")),
        (column("weight", max=500.5), Break("id=4", "weight", "720", "max: 500.5")),
        (column("joined", min="2026-01-06"), Break("id=1", "joined", "2026-01-05 00:00:00", "min: 2026-01-06")),
        (column("joined", max="2026-02-28"), Break("id=4", "joined", "2026-03-01 00:00:00", "max: 2026-02-28")),
        (column("name", values=["ann", "bob"]), Break("id=4", "name", "dan", "values: ann, bob")),
        (column("name", pattern="[ab].*"), Break("id=4", "name", "dan", "pattern: [ab].*")),
        (column("name", type="number"), Break("id=1", "name", "ann", "type: number")),
        (column("weight", type="text"), Break("id=1", "weight", "61.5", "type: text")),
        (column("parcels", type="integer"), Break("id=4", "parcels", "2.5", "type: integer")),
        (column("parcels", type="boolean"), Break("id=1", "parcels", "1", "type: boolean")),
        (column("member", type="integer"), Break("id=1", "member", "True", "type: integer")),
        (column("noted", type="datetime"), Break("id=2", "noted", "soon", "type: datetime")),
        (column("weight", type="datetime"), Break("id=1", "weight", "61.5", "type: datetime")),
        (column("member", unique=True), Break("id=1", "member", "True", "unique: true")),
        ({"unique": [["member", "weight"], ["member"]]}, Break("id=1", "member", "True", "unique: member")),
        ({"min_rows": 5}, Break("", "", "4 rows", "min_rows: 5")),
        (
            {"columns": {name: {} for name in ROWS if name != "noted"}, "closed": True},
            Break("", "noted", "a column that the contract does not list", "closed: true"),
        ),
        ({"unique": [["id", "colour"]]}, Break("", "colour", "no such column", "columns")),
    ],
)
def test_a_break_names_row_column_value_and_rule(contract: dict[str, Any], expected: Break) -> None:
    """One for each kind of rule."""
    error = broken(contract, key=["id"])
    assert error.breaks[0] == expected
    assert f"rule `{expected.rule}`: found {expected.value}" in str(error)


@pytest.mark.parametrize(
    "contract",
    [
        column("weight", type="number", min=-3, max=720),
        column("parcels", type="number"),
        column("parcels", min=1, max=2.5),
        column("joined", type="datetime", min="2026-01-05", max="2026-03-01"),
        column("member", type="boolean", nullable=False),
        column("name", type="text", pattern="[a-z]{3}", values=["ann", "bob", "dan"], unique=True),
        column("id", type="integer", unique=True, nullable=False),
        {"unique": [["id"], ["member", "weight"]], "min_rows": 4},
        {},
    ],
)
def test_rows_that_obey_the_contract_pass(contract: dict[str, Any]) -> None:
    """Bounds are inclusive, and a null breaks no rule but its own."""
    held(contract)


def test_columns_of_any_name_and_content_are_reported() -> None:
    """A comma in a name, lists as values."""
    frame = pd.DataFrame({"a, b": ["p", "p", "q"], "lists": [[1], [1], [2]]})
    error = broken({"unique": [["a, b"]], "columns": {"lists": {"type": "number"}}}, frame)
    assert error.breaks[0] == Break("row 0", "lists", "[1]", "type: number")
    assert error.breaks[-1] == Break("row 1", "a, b", "p", "unique: a, b")


def test_large_ids_beside_a_null_are_told_apart() -> None:
    """As floats these two would break `unique`."""
    first = 1_582_218_195_625_938_000
    held(column("id", unique=True, type="integer"), pd.DataFrame({"id": pd.array([first, None, first + 1], "Int64")}))


def test_a_last_day_counts_to_its_end() -> None:
    """A row of that day's evening lies within."""
    evening = ROWS.iloc[:2]
    held(column("joined", max="2026-02-01"), evening)
    assert broken(column("joined", max="2026-01-31"), evening).count == 1


def test_whole_numbers_beside_nulls_are_integers() -> None:
    """A null makes a column of numbers floats, which nobody asked for."""
    held(column("parcels", type="integer"), ROWS.iloc[:3])


def test_every_storage_of_a_type_is_known() -> None:
    """As a database, a Parquet file or a category gives them."""
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(["a", "b", None]),
            "objects": pd.Series(["a", None, "b"], dtype="object"),
            "flags": pd.Series([True, None, False], dtype="object"),
            "zoned": pd.to_datetime(["2026-01-01", None, "2026-01-03"], utc=True),
            "price": pd.Series([Decimal("1.50"), None, Decimal("2")], dtype="object"),
        }
    )
    kinds = {"category": "text", "objects": "text", "flags": "boolean", "zoned": "datetime", "price": "number"}
    held({"columns": {name: {"type": kind} for name, kind in kinds.items()}}, frame)
    held(column("zoned", min="2026-01-01", max="2026-01-03"), frame)


def test_the_worst_offenders_come_first_and_all_are_counted() -> None:
    """Of thousands a person wants to see the largest."""
    frame = pd.DataFrame({"x": np.arange(1000.0)})
    error = broken(column("x", max=99), frame)
    assert error.count == 900
    assert str(error).startswith(
        "contract: 900 breaks in 1,000 rows, first column 'x', rule `max: 99`: found 999 at row 999"
    )
    assert [entry.value for entry in error.breaks] == [str(value) for value in range(999, 999 - WORST_SHOWN, -1)]


def test_each_broken_rule_has_its_own_offenders() -> None:
    """One rule that is broken everywhere does not hide the others."""
    error = broken({"columns": {"weight": {"min": 0, "max": 500}, "name": {"nullable": False}}, "min_rows": 9})
    rules = [entry.rule for entry in error.breaks]
    assert rules == ["min: 0", "max: 500", "nullable: false", "min_rows: 9"]
    assert error.count == 4


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"key": ["id", "name"]}, "id=2, name=bob"),
        ({"time_column": "joined"}, "joined=2026-02-01 23:59:00, row 1"),
        ({}, "row 1"),
    ],
)
def test_a_row_is_named_by_key_else_time_else_number(changes: dict[str, Any], name: str) -> None:
    """So that it can be found in the source."""
    assert broken(column("weight", min=0), **changes).breaks[0].row == name


def test_the_error_survives_its_way_between_processes() -> None:
    """Airflow and pools of workers pickle what a task raises."""
    error = broken(column("weight", min=0))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # of our own making
    assert (str(again), again.breaks, again.count) == (str(error), error.breaks, 1)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"min": 5, "max": 1}, "min 5.0 lies above max 1.0"),
        ({"min": 5, "max": "2026-01-01"}, "two numbers or two dates"),
        ({"pattern": "["}, "is no regular expression"),
    ],
)
def test_a_contract_that_nothing_can_keep_is_refused(rules: dict[str, Any], reason: str) -> None:
    """Before any row is read."""
    with pytest.raises(ValueError, match=reason):
        ContractConfig.model_validate(column("x", **rules))


# Proposing a contract


def proposed(frame: pd.DataFrame, **changes: Any) -> tuple[dict[str, Any], PipelineConfig]:
    """Propose a contract, paste its YAML and return it with the pipeline that has it."""
    text = contract_yaml(propose_contract(frame, config_of(**changes)))
    contract = yaml.safe_load(text)["contract"]
    return contract, config_of(contract=contract, **changes)


@pytest.mark.parametrize(
    ("frame", "changes"),
    [
        (iris(), {}),
        (ROWS, {}),
        (ROWS, {"key": ["id"]}),
        (ROWS.dropna(), {"time_column": "joined"}),
        (pd.DataFrame({"x": [1.5, np.inf, -2.0], "a, b": ["p", "p", "q"], "lists": [[1], [2], [1]]}), {}),
        (pd.DataFrame({"x": [0.0], "y: z": ["a"], "nothing": [None]}), {}),
        (pd.DataFrame({"tiny": [-1e-9, 2e-9, 3.3e-9], "huge": [1e12, -2.5e13, 0.1], "same": [-7, -7, -7]}), {}),
    ],
)
def test_a_proposed_contract_is_kept_by_the_same_rows(frame: pd.DataFrame, changes: dict[str, Any]) -> None:
    """After its way through YAML."""
    frame = frame.reset_index(drop=True)
    contract, config = proposed(frame, **changes)
    assert list(contract["columns"]) == list(frame.columns)
    check_contract(frame, config)


def test_a_proposal_says_what_is_seen() -> None:
    """Types, nulls, ranges rounded outward, few categories, unique columns, half of the rows."""
    contract, _ = proposed(pd.concat([iris(), iris().assign(sepal_width_cm=np.nan)], ignore_index=True))
    assert contract["min_rows"] == 100
    assert contract["columns"]["species"] == {
        "type": "text",
        "nullable": False,
        "values": ["setosa", "versicolor", "virginica"],
    }
    assert contract["columns"]["petal_width_cm"] == {"type": "number", "nullable": False, "min": 0, "max": 2.5}
    assert "nullable" not in contract["columns"]["sepal_width_cm"]


def test_a_proposal_leaves_room_for_rows_to_come() -> None:
    """Times have no upper bound, and a key no range."""
    contract, _ = proposed(ROWS.dropna(), time_column="joined", key=["id"])
    assert contract["columns"]["joined"] == {
        "type": "datetime",
        "nullable": False,
        "min": pd.Timestamp("2026-01-05").date(),
    }
    assert contract["columns"]["id"] == {"type": "integer", "nullable": False}
    assert contract["unique"] == [["id"]]


@pytest.mark.parametrize(
    ("frame", "unique"),
    [
        (pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "x"], "c": [0.1, 0.2, 0.3]}), [["a", "b"]]),
        (pd.DataFrame({"a": [1, 1], "b": ["x", "x"]}), None),
        (pd.DataFrame({"a": [1.5, 2.5]}), None),
    ],
)
def test_what_names_a_row_is_found(frame: pd.DataFrame, unique: list[list[str]] | None) -> None:
    """A column or a pair; measured numbers that happen to differ are no key."""
    contract, _ = proposed(frame)
    assert contract.get("unique") == unique
