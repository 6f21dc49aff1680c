from datetime import UTC, datetime
from typing import Any

import pytest

from waterflow.orchestration.run_notes import describe_run


@pytest.mark.parametrize(
    ("run_type", "start", "end", "conf", "note"),
    [
        ("scheduled", (2013, 5, 1), (2013, 6, 1), {}, "2013-05 · scheduled"),
        ("backfill", (2013, 2, 1), (2013, 3, 1), {"force": True}, "2013-02 · backfill · forced"),
        ("scheduled", (2013, 5, 1), (2013, 5, 2), {}, "2013-05-01 · scheduled"),
        ("scheduled", (2013, 5, 1), (2013, 5, 8), {}, "2013-05-01 00:00 to 2013-05-08 00:00 · scheduled"),
        ("manual", (2013, 5, 1), (2013, 6, 1), {}, ""),
        ("manual", None, None, {"window_end": "2013-05-01", "strategy": "quick"}, "… to 2013-05-01 · quick"),
        ("manual", None, None, {"candidates": ["svc", "xgboost"], "scenario": "few"}, "few · svc, xgboost"),
        ("manual", None, None, {"window_end": None, "force": False}, ""),
    ],
)
def test_a_note_says_what_a_run_is_about(run_type: str, start: Any, end: Any, conf: dict[str, Any], note: str) -> None:
    """Its interval where it has one, and what was chosen in the form."""
    moments = [datetime(*moment, tzinfo=UTC) if moment else None for moment in (start, end)]
    assert describe_run(run_type, *moments, conf) == note
