import numpy as np
import pandas as pd
import pytest
from support import message_of

from waterflow.config.schema import DEFAULT_PREPROCESSING, Block, Selector
from waterflow.errors import ConfigError
from waterflow.modeling.preprocessing import assign_columns, build_preprocessor

ROWS = pd.DataFrame(
    {
        "width": [1.0, 2.0, np.nan, 5.0],
        "height": [1, 2, 3, 4],
        "garden": ["north", "south", "north", None],
        "wild": [True, False, True, True],
        "picked": pd.date_range("2026-01-01", periods=4, tz="UTC"),
    }
)


def block(encode: str | None = None, impute: str | None = None, scale: str | None = None, **select: object) -> Block:
    """Write a block as short as in YAML."""
    return Block.model_validate({"select": select, "encode": encode, "impute": impute, "scale": scale})


def test_columns_go_to_the_first_block_that_selects_them() -> None:
    """An exception stands before the rule."""
    blocks = [block(names=["height"]), block(type="numeric", impute="median"), block(pattern="^gar")]
    taken, left = assign_columns(ROWS, blocks)
    assert taken == [["height"], ["width", "wild"], ["garden"]]
    assert left == ["picked"]


def test_the_default_takes_numbers_times_and_words() -> None:
    """Each type has its block, and no column is left."""
    taken, left = assign_columns(ROWS, DEFAULT_PREPROCESSING)
    assert taken == [["width", "height", "wild"], ["picked"], ["garden"]]
    assert left == []


def test_a_name_that_is_no_feature_is_refused_with_the_valid_ones() -> None:
    """The message has the block's place in the YAML."""
    blocks = [block(type="numeric"), block(names=["depth"])]
    message = message_of(lambda: assign_columns(ROWS, blocks), ConfigError)
    assert message.startswith("preprocessing.1.select.names: 'depth' is no feature; valid: width, height")


def test_blocks_that_select_nothing_are_refused() -> None:
    """A model of no column is no model."""
    message = message_of(lambda: assign_columns(ROWS, [block(pattern="^depth$")]), ConfigError)
    assert "no block selects any of width" in message


def test_a_category_that_training_never_saw_becomes_zeros() -> None:
    """A new garden must not stop a prediction."""
    preprocessor = build_preprocessor(ROWS[["garden"]], [block(type="categorical", encode="onehot")])
    preprocessor.fit(ROWS.loc[:2, ["garden"]])
    assert preprocessor.transform(pd.DataFrame({"garden": ["east", "south"]})).tolist() == [[0, 0], [0, 1]]


def test_an_ordinal_category_that_training_never_saw_becomes_minus_one() -> None:
    """It is told apart from every known one."""
    preprocessor = build_preprocessor(ROWS[["garden"]], [block(type="categorical", encode="ordinal")])
    preprocessor.fit(ROWS.loc[:2, ["garden"]])
    assert preprocessor.transform(pd.DataFrame({"garden": ["east", "south"]})).tolist() == [[-1], [1]]


@pytest.mark.parametrize(("impute", "filled"), [("mean", 8 / 3), ("median", 2.0), ("most_frequent", 1.0)])
def test_a_missing_number_is_filled_as_asked(impute: str, filled: float) -> None:
    """What fills it comes from the training rows."""
    preprocessor = build_preprocessor(ROWS[["width"]], [block(type="numeric", impute=impute)])
    assert preprocessor.fit_transform(ROWS[["width"]])[2, 0] == pytest.approx(filled)


@pytest.mark.parametrize(("scale", "expected"), [("minmax", [0, 1 / 3, 2 / 3, 1]), ("robust", [-1, -1 / 3, 1 / 3, 1])])
def test_a_number_is_scaled_as_asked(scale: str, expected: list[float]) -> None:
    """Both follow scikit-learn's scaler of that name."""
    preprocessor = build_preprocessor(ROWS[["height"]], [block(type="numeric", scale=scale)])
    assert preprocessor.fit_transform(ROWS[["height"]]).ravel() == pytest.approx(expected)


def test_a_block_without_steps_passes_its_columns_on() -> None:
    """A tree needs no scaling."""
    preprocessor = build_preprocessor(ROWS[["height"]], [block(type="numeric")])
    assert preprocessor.fit_transform(ROWS[["height"]]).ravel().tolist() == [1, 2, 3, 4]


def test_a_selector_is_written_as_a_section() -> None:
    """Names arrive as a list in YAML and stay immutable here."""
    assert Selector.model_validate({"names": ["a", "b"]}).names == ("a", "b")
