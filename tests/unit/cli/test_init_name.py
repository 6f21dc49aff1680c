"""The name that `waterflow init` proposes."""

import pytest

from waterflow.operations.pipeline_init import suggest_name


@pytest.mark.parametrize(
    ("data", "name"),
    [("data/umsätze 2024.csv", "umsatze_2024"), ("Straße.xlsx", "strasse"), ("日本.csv", "data"), ("1.csv", "data_1")],
)
def test_a_name_has_small_letters_and_digits(data: str, name: str) -> None:
    """Whatever the letters of the file."""
    assert suggest_name(data) == name
