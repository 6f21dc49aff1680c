import pytest

from waterflow.plurals import counted


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 versions"), (1, "1 version"), (2, "2 versions"), (2000, "2,000 versions")]
)
def test_one_alone_is_singular(count: int, expected: str) -> None:
    """As a sentence has it."""
    assert counted(count, "version") == expected
