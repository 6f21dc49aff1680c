from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from support.projects import message_of
from xgboost import XGBClassifier

from waterflow.config.estimators import needs_dense_input
from waterflow.config.schema import DEFAULT_PREPROCESSING, Block
from waterflow.data.block_columns import assign_columns
from waterflow.errors import ConfigError, DataError
from waterflow.training.preprocessing import build_preprocessor

ROWS = pd.DataFrame(
    {
        "width": [1.0, 2.0, np.nan, 5.0],
        "height": [1, 2, 3, 4],
        "garden": ["north", "south", "north", None],
        "wild": [True, False, True, True],
        "picked": pd.date_range("2026-01-01", periods=4, tz="UTC"),
    }
)


def block(encode: str | None = None, **content: Any) -> Block:
    """Write a block as short as in YAML: what is no key of a block is one of `select`."""
    select = {key: content.pop(key) for key in ("names", "type", "pattern") if key in content}
    return Block.model_validate({"select": select, "encode": encode, **content})


def build(rows: pd.DataFrame, *blocks: Block, task: Any = "classification", seed: int = 0) -> ColumnTransformer:
    """Build for a task that is usually of no matter."""
    return build_preprocessor(rows, blocks, seed, task)


def flowers(count: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Make rows of each kind of column, with nulls in all that may have some, and labels that hang on two of them."""
    chance = np.random.default_rng(seed)
    gaps = chance.random((count, 4)) < 0.2
    garden, height = chance.choice(["north", "south", "west"], count), chance.normal(size=count)
    label = (garden == "south") | (height + 0.3 * chance.normal(size=count) > 1)
    frame = pd.DataFrame(
        {
            "height": np.where(gaps[:, 0], np.nan, height),
            "petals": chance.integers(3, 9, count),
            "wild": pd.Series(np.where(gaps[:, 1], None, chance.random(count) < 0.5), dtype=object),
            "garden": pd.Series(np.where(gaps[:, 2], None, garden), dtype="str"),
            "picked": pd.Series(pd.date_range("2026-01-01", periods=count, freq="7h", tz="UTC")).mask(gaps[:, 3]),
            "remark": [
                None if gap else " ".join(chance.choice(["fine", "late", "red", "wet"], 3)) for gap in gaps[:, 1]
            ],
        }
    )
    return frame, pd.Series(np.where(label, "rose", "tulip"))


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


def test_what_a_block_drops_is_listed_with_what_none_takes() -> None:
    """A person sees each column that the model does not; an earlier block keeps its columns."""
    blocks = [block(names=["width"]), block(type="numeric", drop=True), block(type="categorical", encode="onehot")]
    assert assign_columns(ROWS, blocks)[1] == ["height", "wild", "picked"]
    preprocessor = build(ROWS, *blocks).fit(ROWS)
    assert list(preprocessor.get_feature_names_out()) == [
        "width",
        *(f"2_categorical/garden={name}" for name in ("north", "south", "nan")),
    ]


def test_blocks_that_drop_everything_are_refused() -> None:
    """A model of no column is no model, however it came to that."""
    assert "no block selects any" in message_of(
        lambda: assign_columns(ROWS, [block(pattern=".", drop=True)]), ConfigError
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (block("onehot", type="categorical"), [[0, 0], [0, 1]]),
        (block("onehot", type="categorical", min_frequency=2), [[0, 1], [0, 1]]),
        (block("ordinal", type="categorical"), [[-1], [1]]),
        (block("ordinal", type="categorical", impute="missing"), [[-1], [1]]),
    ],
)
def test_a_category_that_training_never_saw_goes_by_the_encoders_rule(wanted: Block, expected: list[Any]) -> None:
    """It becomes zeros, one of the rare, or -1, and stops no prediction."""
    preprocessor = build(ROWS[["garden"]], wanted).fit(ROWS.loc[:2, ["garden"]])
    assert preprocessor.transform(pd.DataFrame({"garden": ["east", "south"]})).tolist() == expected


def test_an_unseen_category_has_the_targets_mean() -> None:
    """Nothing is known of it, so it is like the average row."""
    rows, labels = flowers(200)
    preprocessor = build(rows[["garden"]], block("target", type="categorical"))
    preprocessor.fit(rows[["garden"]], labels)
    assert preprocessor.transform(pd.DataFrame({"garden": ["east"]}))[0, 0] == pytest.approx((labels == "tulip").mean())


def test_the_target_of_a_regression_is_no_class_even_where_it_is_whole() -> None:
    """Minutes of delay are one number to encode by, not hundreds of classes."""
    rows, _ = flowers(200)
    minutes = pd.Series(np.arange(200))
    encoded = build(rows[["garden"]], block("target", type="categorical"), task="regression").fit_transform(
        rows, minutes
    )
    assert encoded.shape == (200, 1)


def test_target_encoding_follows_the_seed() -> None:
    """Each training row is encoded by other rows, and which ones the seed decides."""
    rows, labels = flowers(200)
    wanted = block("target", type="categorical")
    first, again, other = (build(rows, wanted, seed=seed).fit_transform(rows, labels) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("impute", "filled"), [("mean", 8 / 3), ("median", 2.0), ("most_frequent", 1.0)])
def test_a_missing_number_is_filled_as_configured(impute: str, filled: float) -> None:
    """What fills it comes from the training rows."""
    preprocessor = build(ROWS[["width"]], block(type="numeric", impute=impute))
    assert preprocessor.fit_transform(ROWS[["width"]])[2, 0] == pytest.approx(filled)


def test_what_was_missing_can_be_told() -> None:
    """The indicator stands beside the filled column, as a feature of its own."""
    preprocessor = build(ROWS[["width"]], block(type="numeric", impute="median", indicator=True))
    assert preprocessor.fit_transform(ROWS[["width"]])[:, 1].tolist() == [0, 0, 1, 0]
    assert list(preprocessor.get_feature_names_out()) == [
        "0_numeric/width",
        "0_numeric/missingindicator_width",
    ]


def test_a_missing_word_can_be_a_category() -> None:
    """Null means unknown, and may tell something itself."""
    preprocessor = build(ROWS, block("onehot", type="categorical", impute="missing")).fit(ROWS)
    assert list(preprocessor.get_feature_names_out()) == [
        f"0_categorical/garden={name}" for name in ("missing", "north", "south")
    ]


def test_bounds_are_learnt_before_gaps_are_filled() -> None:
    """Where most values are missing, the quartiles of filled ones would lie on one point and clip the rest to it."""
    rows = pd.DataFrame({"lead": [np.nan] * 8 + [1.0, 2.0, 3.0, 900.0]})
    preprocessor = build(rows, block(type="numeric", clip={"iqr": 1.5}, impute="median", indicator=True))
    given = preprocessor.fit_transform(rows)
    assert given[8:11, 0].tolist() == [1, 2, 3]
    assert given[11, 0] == pytest.approx(227.25 + 1.5 * (227.25 - 1.75))
    assert given[:, 1].tolist() == [1] * 8 + [0] * 4


@pytest.mark.parametrize(("scale", "expected"), [("minmax", [0, 1 / 3, 2 / 3, 1]), ("robust", [-1, -1 / 3, 1 / 3, 1])])
def test_a_number_is_scaled_as_configured(scale: str, expected: list[float]) -> None:
    """Both follow scikit-learn's scaler of that name."""
    preprocessor = build(ROWS[["height"]], block(type="numeric", scale=scale))
    assert preprocessor.fit_transform(ROWS[["height"]]).ravel() == pytest.approx(expected)


def test_times_become_their_parts() -> None:
    """A gap among the parts is filled like any other."""
    preprocessor = build(ROWS, block("dates", type="datetime", dates=["day"], impute="median"))
    assert preprocessor.fit_transform(ROWS.assign(picked=ROWS["picked"].mask([False, True, False, False])))[
        :, 0
    ].tolist() == [1, 3, 3, 4]


def test_nothing_is_learnt_from_rows_that_are_only_transformed() -> None:
    """Bounds, fillings, scales, terms and categories are those of the rows fitted on, whatever comes later."""
    rows, labels = flowers(120)
    blocks = [
        block("tfidf", names=["remark"]),
        block(type="numeric", clip={"quantiles": [0.1, 0.9]}, impute="mean", scale="standard"),
        block("dates", type="datetime", impute="mean", scale="minmax"),
        block("target", type="categorical"),
    ]
    preprocessor = build(rows, *blocks).fit(rows, labels)
    before = preprocessor.transform(rows.head(5)).toarray()
    strange = rows.tail(20).assign(height=1e9, garden="east", remark="unheard of")
    preprocessor.transform(strange)
    assert np.array_equal(before, preprocessor.transform(rows.head(5)).toarray())
    alone = build(rows, *blocks).fit(rows, labels)
    assert np.array_equal(before, alone.transform(rows.head(5)).toarray())


def test_terms_of_a_text_stay_sparse_beside_other_columns() -> None:
    """Ten thousand texts of twenty thousand terms would be 1.6 GB otherwise."""
    rows, _ = flowers(50)
    blocks = [
        block("tfidf", names=["remark"], tfidf={"min_rows": 1}),
        block("onehot", type="categorical"),
        block(type="numeric", impute="median", scale="standard"),
    ]
    given = build(rows, *blocks).fit_transform(rows)
    assert sparse.issparse(given)
    assert build(rows, *blocks[1:]).fit_transform(rows.assign(remark="")).__class__ is np.ndarray


def test_an_estimator_that_takes_no_sparse_matrix_gets_a_dense_one() -> None:
    """Terms and many categories alike; where that would take gigabytes, the remedies are named."""
    rows = pd.DataFrame({"text": [f"word{number % 50} and more" for number in range(100)]})
    parsed = [block("tfidf", names=["text"])]
    given = build_preprocessor(rows, parsed, 0, "classification", dense=True).fit_transform(rows)
    assert isinstance(given, np.ndarray)
    many = pd.concat([rows] * 200)
    message = message_of(lambda: build_preprocessor(many, parsed, 0, "classification", dense=True), ConfigError)
    assert "the estimator takes no sparse matrix, and 20000 columns" in message
    assert "lower tfidf.max_features" in message


@pytest.mark.parametrize(
    ("estimator", "is_dense"),
    [
        (GaussianNB(), True),
        (HistGradientBoostingClassifier(), True),
        (LogisticRegression(), False),
        (XGBClassifier(), False),
    ],
)
def test_estimators_that_need_dense_input_are_known(estimator: Any, is_dense: bool) -> None:
    """By what scikit-learn says of its own."""
    assert needs_dense_input(estimator) == is_dense


def test_one_hot_columns_are_sparse_where_there_are_many() -> None:
    """Four thousand tail numbers over a year's flights would not fit into memory; rare ones can share a column."""
    rows = pd.DataFrame({"tail": [f"N{number}" for number in range(1200)] * 2 + ["N0"] * 3})
    assert sparse.issparse(build(rows, block("onehot", names=["tail"])).fit_transform(rows))
    few = build(rows, block("onehot", names=["tail"], min_frequency=3))
    assert few.fit_transform(rows).shape == (2403, 2)
    assert not sparse.issparse(few.transform(rows))


@pytest.mark.parametrize(
    "model", [HistGradientBoostingClassifier(max_iter=10), XGBClassifier(n_estimators=20, enable_categorical=True)]
)
def test_categories_reach_estimators_that_know_them(model: Any) -> None:
    """Category, null and one that was never seen: the estimator fits and predicts, and uses what it learns."""
    rows, labels = flowers(300)
    blocks = [
        block(names=["remark"], drop=True),
        block("category", names=["garden"], impute="missing"),
        block("category", names=["petals"], impute="most_frequent", indicator=True),
        block("category", names=["wild"]),
        block(type="numeric"),
        block("dates", type="datetime"),
    ]
    codes = (labels == "rose").astype(int)
    pipeline = Pipeline([("preprocess", build(rows, *blocks)), ("model", clone(model))]).fit(rows, codes)
    assert (pipeline.predict(rows) == codes).mean() > 0.85
    new = rows.head(2).assign(garden=["east", None], wild=[None, None], petals=[99, 3])
    assert pipeline.predict(new).shape == (2,)
    assert pipeline[0].transform(new)["garden"].dtype == "category"


def test_names_that_people_write_reach_boosting_unharmed() -> None:
    """XGBoost refuses brackets and `<` in a name, and what a block makes may be called like another column."""
    from xgboost import XGBClassifier

    rows, labels = flowers(80)
    rows = pd.DataFrame(
        {
            "price [EUR]": rows.iloc[:, 0].factorize()[0],
            "share<18": np.arange(80) / 80,
            "share%3C18": np.arange(80) % 7,
            "signup": pd.date_range("2024-01-01", periods=80),
            "signup_month": np.arange(80) % 5,
            "kind": ["a", "b"] * 40,
        }
    )
    blocks = [
        block(type="numeric"),
        block(type="datetime", encode="dates"),
        block(type="categorical", encode="category"),
    ]
    transformer = build(rows, *blocks)
    names = list(transformer.fit_transform(rows).columns)
    assert names[:2] == ["price %5BEUR%5D", "share%3C18"]
    assert {"signup_month", "1_datetime/signup_month"} <= set(names)
    assert len(set(names)) == len(names)
    model = XGBClassifier(n_estimators=3, enable_categorical=True)
    model.fit(transformer.transform(rows), (labels == "rose").astype(int))


def test_a_text_that_a_model_reads_itself_passes_as_it_is() -> None:
    """A block of its own without encoding hands the raw column on, under its name."""
    rows, _ = flowers(20)
    given = build(rows, block(names=["remark"])).fit(rows).transform(rows)
    pd.testing.assert_frame_equal(given, rows[["remark"]])


def test_the_default_makes_a_model_of_any_rows() -> None:
    """Nulls in numbers, booleans, words and times are no reason to fail."""
    rows, labels = flowers(100)
    rows = rows.drop(columns="remark")
    pipeline = Pipeline([("preprocess", build(rows, *DEFAULT_PREPROCESSING)), ("model", LogisticRegression())])
    pipeline.fit(rows, labels)
    nothing = pd.DataFrame({name: [None] for name in rows.columns})
    assert pipeline.predict(nothing)[0] in {"rose", "tulip"}


def test_a_column_that_one_folds_rows_leave_empty_is_constant() -> None:
    """It tells nothing there, and stops nothing."""
    rows = pd.DataFrame({"level": [np.nan, np.nan], "height": [1, 2]})
    assert build(rows, block(type="numeric", impute="median")).fit_transform(rows)[:, 0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (block(names=["garden"], impute="median"), "preprocessing.0.impute: column 'garden' holds text, not numbers"),
        (block(names=["height"], impute="missing"), "preprocessing.0.impute: column 'height' holds numbers, not text"),
        (block(names=["garden"], clip={"iqr": 2}), "preprocessing.0.clip: column 'garden' holds text, not numbers"),
        (block(names=["picked"], scale="robust"), "preprocessing.0.scale: column 'picked' holds times, not numbers"),
        (block("dates", names=["height"]), "preprocessing.0.encode: column 'height' holds numbers, not times or text"),
        (block("tfidf", names=["wild"]), "preprocessing.0.encode: column 'wild' holds numbers, not text"),
        (
            block("tfidf", names=["garden"], scale="standard"),
            "preprocessing.0.scale: it does not go with encode: tfidf",
        ),
    ],
)
def test_a_block_that_does_not_fit_its_column_is_refused(wanted: Block, message: str) -> None:
    """The message has the place in the YAML, the column and what would be valid."""
    assert message_of(lambda: build(ROWS, wanted), ConfigError).startswith(message)


@pytest.mark.parametrize("encode", ["tfidf", "category"])
def test_a_text_that_no_row_holds_is_refused(encode: str) -> None:
    """Null, empty and blank are all no text."""
    rows = pd.DataFrame({"remark": [None, "", "  "]})
    message = message_of(lambda: build(rows, block(encode, names=["remark"])), DataError)
    assert message.startswith("preprocessing.0: column 'remark' is empty in all 3 training rows; add `drop: [remark]`")


def test_terms_and_categories_do_not_go_together() -> None:
    """A sparse matrix holds numbers alone; the message says what to do instead."""
    rows, _ = flowers(20)
    blocks = [block("tfidf", names=["remark"]), block("category", names=["garden"])]
    assert "encode the others by onehot" in message_of(lambda: build(rows, *blocks), ConfigError)


def test_blocks_of_a_candidate_are_named_by_their_place() -> None:
    """A person finds the line in the YAML."""
    place, blocks = "candidates.nb.preprocessing", [block(names=["depth"])]
    message = message_of(lambda: build_preprocessor(ROWS, blocks, 0, "classification", place), ConfigError)
    assert message.startswith("candidates.nb.preprocessing.0.select.names: 'depth' is no feature")
