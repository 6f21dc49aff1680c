"""One-hot columns that nobody means."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.data.block_columns import check_onehot
from waterflow.errors import ConfigError

ROWS = 2_000
NUMBERS = np.arange(ROWS)
FRAME = pd.DataFrame(
    {
        "size": NUMBERS * 0.5,
        "title": [f"title {number}" for number in NUMBERS],
        "city": [f"city {number % 400}" for number in NUMBERS],
        "plan": np.where(NUMBERS % 2, "basic", "pro"),
        "species": np.where(NUMBERS % 3, "a", "b"),
    }
)


def refusal(**changes: Any) -> str:
    """Return the line with which one-hot columns are refused."""
    return message_of(lambda: check_onehot(FRAME, config_of(**changes)), ConfigError)


def onehot(**keys: Any) -> list[dict[str, Any]]:
    """Make a pipeline's only block."""
    return [{"encode": "onehot", **keys}]


def test_text_that_differs_in_every_row_is_refused_with_the_remedies() -> None:
    """It would say nothing of other rows; the default preprocessing would encode it."""
    message = refusal(drop=["city"])
    assert message.startswith("preprocessing.2.encode: onehot would make 2000 columns of 'title', in 2000 rows")
    assert "add it to drop or key, encode it by tfidf or target" in message
    assert "'title'" in refusal(preprocessing=onehot(select={"names": ["title"]}))


def test_hundreds_of_columns_are_asked_for() -> None:
    """A block that names the column asks."""
    assert "onehot would make 400 columns of 'city'; choose: `min_frequency`" in refusal(drop=["title"])
    check_onehot(FRAME, config_of(preprocessing=onehot(select={"names": ["city"]})))


@pytest.mark.parametrize(
    "changes",
    [
        {"drop": ["title", "city"]},
        {"features": ["size", "plan"]},
        {"preprocessing": onehot(select={"type": "categorical"}, min_frequency=6)},
        {"preprocessing": onehot(select={"names": ["plan"]})},
        {
            "drop": ["title"],
            "preprocessing": [
                {"select": {"names": ["city"]}, "encode": "target"},
                *onehot(select={"type": "categorical"}),
            ],
        },
    ],
)
def test_what_makes_few_columns_passes(changes: dict[str, Any]) -> None:
    """Dropped, rare ones gathered, or encoded otherwise."""
    check_onehot(FRAME, config_of(**changes))


def test_the_blocks_of_a_candidate_are_checked_too() -> None:
    """They stand in the file of its model."""
    own = {"estimator": "sklearn.svm.SVC", "preprocessing": onehot(select={"type": "categorical"})}
    message = refusal(candidates={"svc": own}, preprocessing=onehot(select={"names": ["plan"]}))
    assert message.startswith("candidates.svc.preprocessing.0.encode")


def test_blocks_that_no_candidate_uses_are_not_checked() -> None:
    """Each candidate here has its own."""
    own = {"estimator": "sklearn.svm.SVC", "preprocessing": [{"select": {"names": ["size"]}}]}
    only = dict.fromkeys(config_of().candidates, own) | {"svc": own}
    check_onehot(FRAME, config_of(candidates=only, preprocessing=onehot(select={"type": "categorical"})))
