from datetime import UTC, date, datetime
from typing import Any

import pytest

from waterflow.config.schema import ColumnContract, ContractConfig
from waterflow.serving.row_checks import MISSING, BadRowsError, RowChecks
from waterflow.serving.schema import build_features, describe
from waterflow.tracking.model_files import InputColumn

INPUTS = [InputColumn("age", "double"), InputColumn("day", "datetime"), InputColumn("city", "string", required=False)]
CONTRACT = ContractConfig(
    columns={
        "age": ColumnContract(min=0, max=120, nullable=False),
        "day": ColumnContract(max=date(2024, 5, 1)),
        "city": ColumnContract(pattern="[A-Z]{3}"),
    }
)
GOOD: dict[str, list[Any]] = {"age": [1], "day": ["2024-05-01T23:59:59"], "city": ["BRN"]}


def checks(contract: str = "reject") -> RowChecks:
    """Return the checks of three columns."""
    return RowChecks(build_features(INPUTS, CONTRACT), contract)  # type: ignore[arg-type]


def test_values_are_converted_to_what_predictors_take() -> None:
    """Numbers to floats, times to UTC; a day's bound reaches to its end."""
    columns = checks().check(GOOD | {"day": ["2024-05-01T23:59:59+02:00"]}, 1).columns
    assert columns == {"age": [1.0], "day": [datetime(2024, 5, 1, 21, 59, 59, tzinfo=UTC)], "city": ["BRN"]}
    assert type(columns["age"][0]) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": [121]}, "row 0, column 'age': 121; valid: number from 0 to 120"),
        ({"age": [None]}, "row 0, column 'age': null; valid: number from 0 to 120"),
        ({"age": [True]}, "row 0, column 'age': true; valid: number from 0 to 120"),
        ({"age": [MISSING]}, "row 0, column 'age': it is missing; valid: number from 0 to 120"),
        ({"city": ["Bern"]}, "row 0, column 'city': 'Bern'; valid: text that matches [A-Z]{3}, or null"),
        ({"day": ["2024-05-02"]}, "row 0, column 'day': '2024-05-02'; valid: time in ISO 8601 to 2024-05-01"),
    ],
)
def test_a_break_names_row_column_value_and_what_is_valid(change: dict[str, list[Any]], message: str) -> None:
    """Types and rules of the contract alike."""
    with pytest.raises(BadRowsError) as refused:
        checks().check(GOOD | change, 1)
    assert str(refused.value).startswith(message)


def test_a_contract_that_warns_lets_breaches_pass_but_no_wrong_type() -> None:
    """What the model cannot take is refused whatever the contract says."""
    checked = checks("warn").check(GOOD | {"age": [500]}, 1)
    assert checked.columns["age"] == [500.0]
    assert [str(breach) for breach in checked.warnings] == ["row 0, column 'age': 500; valid: number from 0 to 120"]
    with pytest.raises(BadRowsError):
        checks("warn").check(GOOD | {"age": ["500"]}, 1)


def test_what_may_be_left_out_is_null() -> None:
    """A column as a whole, or the value of one row."""
    without = {name: values for name, values in GOOD.items() if name != "city"}
    assert checks().check(without, 1).columns["city"] == [None]
    assert checks().check(GOOD | {"city": [MISSING]}, 1).columns["city"] == [None]


def test_whole_numbers_in_training_forbid_no_others() -> None:
    """Only a strict signature and the contract do; 0 and 1 are booleans."""
    columns = [InputColumn("n", "long"), InputColumn("strict", "long", strict=True), InputColumn("b", "boolean")]
    of_columns = RowChecks(build_features(columns, None), "reject")
    rows = {"n": [30.5, None], "strict": [1, 2], "b": [1, None]}
    assert of_columns.check(rows, 2).columns == rows | {"b": [True, None]}
    with pytest.raises(BadRowsError, match="column 'strict': null; valid: integer"):
        of_columns.check(rows | {"strict": [1, None]}, 2)
    declared = RowChecks(
        build_features(columns, ContractConfig(columns={"n": ColumnContract(type="integer")})), "reject"
    )
    with pytest.raises(BadRowsError, match=r"column 'n': 30\.5; valid: integer, or null"):
        declared.check(rows, 2)


def test_breaks_are_counted_and_the_first_are_listed() -> None:
    """A million bad rows make no message of a million lines."""
    with pytest.raises(BadRowsError) as refused:
        checks().check({"age": [-1] * 500, "day": [None] * 500}, 500)
    assert len(refused.value.breaks) == 20
    assert refused.value.count == 500


def test_many_valid_values_are_shortened() -> None:
    """The description stays one line."""
    contract = ContractConfig(columns={"city": ColumnContract(values=tuple(f"C{number}" for number in range(50)))})
    assert describe(build_features(INPUTS, contract)[2]).endswith("'C9', …, or null")
