from waterflow.provenance.hashing import digest_of


def test_the_order_of_keys_does_not_change_a_digest() -> None:
    """The same content has one name."""
    assert digest_of({"a": 1, "b": [2, "ü"]}) == digest_of({"b": [2, "ü"], "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])
