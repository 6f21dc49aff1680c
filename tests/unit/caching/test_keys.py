from typing import Any

import pytest

from waterflow.caching.keys import key_of
from waterflow.records.caching import Action

FIT = Action(step="train", inputs={"data": "1"}, config={"seed": "0"}, code={"module": "a"}, environment={"numpy": "2"})


@pytest.mark.parametrize(
    "change",
    [
        {"step": "evaluate"},
        {"inputs": {"data": "2"}},
        {"config": {"seed": "1"}},
        {"code": {"module": "b"}},
        {"environment": {"numpy": "2.1"}},
    ],
)
def test_each_input_changes_the_key(change: dict[str, Any]) -> None:
    """Step, inputs, configuration, code and environment all count."""
    assert key_of(FIT.model_copy(update=change)) != key_of(FIT)


def test_the_name_of_a_candidate_is_no_part_of_its_key() -> None:
    """Another candidate of equal settings is the same work."""
    assert key_of(FIT.model_copy(update={"subject": "other"})) == key_of(FIT)
