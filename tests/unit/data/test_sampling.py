import pandas as pd
from support.projects import config_of, message_of

from waterflow.data.sampling import sample_rows
from waterflow.data.splitting import split_rows
from waterflow.errors import DataError

ROWS = pd.DataFrame({"id": range(4000), "house": [i // 8 for i in range(4000)], "species": ["a", "b"] * 2000})


def test_a_sample_has_about_its_share() -> None:
    """A tenth of 4,000 rows, by hash."""
    assert 320 < len(sample_rows(ROWS, config_of(sample=0.1, key=["id"]))) < 480


def test_a_larger_sample_holds_the_smaller_one() -> None:
    """A row stays in as the share grows."""
    small = sample_rows(ROWS, config_of(sample=0.1, key=["id"]))["id"]
    large = sample_rows(ROWS, config_of(sample=0.3, key=["id"]))["id"]
    assert set(small) < set(large)


def test_a_group_stays_whole() -> None:
    """All of a house's rows are in the sample, or none."""
    sampled = sample_rows(ROWS, config_of(sample=0.2, group="house"))
    assert set(sampled["house"].value_counts()) == {8}


def test_the_sample_says_nothing_of_the_holdout() -> None:
    """Both hash the same key: with the same seed the sample would be all holdout."""
    config = config_of(sample=0.2, key=["id"])
    sampled = sample_rows(ROWS, config)
    parts = split_rows(sampled, config)
    parts = parts["part"] if isinstance(parts, pd.DataFrame) else parts
    assert 0.13 < (parts == "test").mean() < 0.27


def test_a_sample_without_rows_is_refused() -> None:
    """The message names the share."""
    rows = ROWS.head(3)
    assert "sample: 0.0001 of 3 rows" in message_of(
        lambda: sample_rows(rows, config_of(sample=0.0001, key=["id"])), DataError
    )
