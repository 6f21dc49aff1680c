from support.projects import config_of

from waterflow.caching.keys import key_of, preparation, setting_key
from waterflow.config.schema import ScoreConfig, ServingConfig


def test_serving_settings_are_no_part_of_any_key() -> None:
    """Changing how a champion answers refits nothing, and evaluates nothing again."""
    rejects, warns = config_of(), config_of(serving=ServingConfig(contract="warn"), score=ScoreConfig(sink="out"))
    assert key_of(preparation(rejects, None)) == key_of(preparation(warns, None))
    assert setting_key(rejects) == setting_key(warns)
    assert rejects.data_section() == warns.data_section()
    assert rejects.evaluate_section() == warns.evaluate_section()
    assert [rejects.train_section(name) for name in rejects.candidates] == [
        warns.train_section(name) for name in warns.candidates
    ]
