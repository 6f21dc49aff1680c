from waterflow.tracking.registry import MAX_DESCRIPTION_LENGTH, Version, fit_description, packed, unpacked
from waterflow.tracking.tags import VERSION_FACTS


def test_a_short_description_stays_as_it_is() -> None:
    """Nothing is appended to what fits."""
    assert fit_description("x" * MAX_DESCRIPTION_LENGTH, "see there") == "x" * MAX_DESCRIPTION_LENGTH


def test_a_long_description_is_cut_between_lines() -> None:
    """It fits the column of MLflow's database and says where all of it can be read."""
    fitted = fit_description("a line of the card\n" * 500, "The whole card is an artifact.")
    assert len(fitted) <= MAX_DESCRIPTION_LENGTH
    assert fitted.endswith("a line of the card\n\n… The whole card is an artifact.")


TAGS = {
    "waterflow.candidate": "xgboost",
    "waterflow.data_digest": "abc",
    "metric.roc_auc": "0.658",
    "metric.log_loss": "0.6",
    "waterflow.verdict": "promote",
}


def test_lists_show_few_tags_and_nothing_is_lost() -> None:
    """Candidate, verdict and main metric are tags of their own; the rest is one, and all come back."""
    tags = packed(TAGS, {})
    assert set(tags) == {"waterflow.candidate", "waterflow.verdict", "metric.roc_auc", VERSION_FACTS}
    assert unpacked(tags) == TAGS


def test_later_tags_join_the_facts() -> None:
    """What was there stays, what is set again is replaced, whichever of both ways it is kept."""
    present = packed(TAGS, {})
    later = {"waterflow.decision": "hold: x", "waterflow.verdict": "hold", "waterflow.data_digest": "def"}
    both = present | packed(later, present)
    assert unpacked(both) == TAGS | later


def test_a_version_of_before_keeps_its_tags() -> None:
    """Its tags are single ones; what is set later replaces them where they are."""
    later = {"waterflow.data_digest": "def", "waterflow.decision": "hold: x"}
    both = TAGS | packed(later, TAGS)
    assert both["waterflow.data_digest"] == "def"
    assert unpacked(both) == TAGS | later


def test_edited_facts_stop_nothing() -> None:
    """The other tags are read."""
    for broken in ("{", "[]", "7"):
        assert unpacked({"waterflow.candidate": "nb", VERSION_FACTS: broken}) == {"waterflow.candidate": "nb"}


def test_a_metric_that_is_no_number_is_left_out() -> None:
    """A list of versions is shown all the same."""
    version = Version("flowers", 1, (), "r", "m", {"metric.f1": "good", "metric.auc": "0.5"})
    assert version.metrics == {"auc": 0.5}
