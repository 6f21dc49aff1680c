from waterflow.tracking.registry import MAX_DESCRIPTION_LENGTH, fit_description


def test_a_short_description_stays_as_it_is() -> None:
    """Nothing is appended to what fits."""
    assert fit_description("x" * MAX_DESCRIPTION_LENGTH, "see there") == "x" * MAX_DESCRIPTION_LENGTH


def test_a_long_description_is_cut_between_lines() -> None:
    """It fits the column of MLflow's database and says where all of it can be read."""
    fitted = fit_description("a line of the card\n" * 500, "The whole card is an artifact.")
    assert len(fitted) <= MAX_DESCRIPTION_LENGTH
    assert fitted.endswith("a line of the card\n\n… The whole card is an artifact.")
