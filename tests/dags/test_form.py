from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from support.projects import write_pipeline

from waterflow.config.header import group_options
from waterflow.config.project import Project

Build = Callable[[], dict[str, Any]]


@pytest.fixture
def form(build: Build) -> Any:
    """Give the trigger form of `flowers`."""
    return build()["train_flowers"].params


def test_the_form_offers_what_there_is(form: Any, project: Project) -> None:
    """Strategies are the files of the group, candidates those of the YAML."""
    strategy, candidates = form.get_param("strategy").schema, form.get_param("candidates").schema
    assert strategy["enum"] == list(group_options(project.conf, "strategy"))
    assert candidates["items"]["enum"] == ["gaussian_nb", "logistic_regression"]
    assert form.dump() == {
        "strategy": "balanced",
        "scenario": None,
        "candidates": ["gaussian_nb", "logistic_regression"],
        "window_start": None,
        "window_end": None,
        "force": False,
    }


def test_the_form_says_which_column_dates_a_row(project: Project, build: Build) -> None:
    """Where none does, it says to leave the window empty."""
    write_pipeline(project, "dated", time_column="day", split=None)
    dags = build()
    assert "by day" in dags["train_dated"].params.get_param("window_end").description
    assert "no time column" in dags["train_flowers"].params.get_param("window_end").description


@pytest.mark.parametrize(
    "conf",
    [
        {"strategy": "quick"},
        {"scenario": "few_rows"},
        {"scenario": None},
        {"candidates": ["gaussian_nb"]},
        {"window_start": "2026-01-01", "window_end": "2026-02-01T00:00:00+00:00"},
        {"window_end": "2026-02-01T12:30:00Z"},
        {"window_end": None},
        {"force": True},
    ],
)
def test_a_good_value_passes(form: Any, conf: dict[str, Any]) -> None:
    """Names of the lists, and times as a form sends them."""
    for name, value in conf.items():
        form[name] = value
    form.validate()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strategy", "os.system"),
        ("strategy", None),
        ("strategy", ["quick"]),
        ("scenario", "../../etc/passwd"),
        ("scenario", "unheard_of"),
        ("candidates", ["sklearn.svm.SVC"]),
        ("candidates", ["gaussian_nb", "svc"]),
        ("candidates", ["gaussian_nb", "gaussian_nb"]),
        ("candidates", []),
        ("candidates", "gaussian_nb"),
        ("window_end", "yesterday"),
        ("window_end", "2026-13-01"),
        ("window_end", "2026-02-30"),
        ("window_end", "2026-01-01; rm -rf /"),
        ("window_start", 20260101),
    ],
)
def test_a_bad_value_is_refused(form: Any, name: str, value: object) -> None:
    """Nothing that is not a listed name or a time gets past the form."""
    with pytest.raises(ParamValidationError):
        form[name] = value
