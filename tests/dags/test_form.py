from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from support.projects import message_of, write_pipeline

from waterflow.config.header import group_options
from waterflow.config.project import Project
from waterflow.errors import ConfigError
from waterflow.orchestration.trigger_conf import check_conf

Build = Callable[[], dict[str, Any]]


@pytest.fixture
def form(build: Build) -> Any:
    """Return the trigger form of `flowers`."""
    return build()["train_flowers"].params


@pytest.fixture
def dated_form(project: Project, build: Build) -> Any:
    """Give the trigger form of a pipeline whose rows have dates."""
    write_pipeline(project, "dated", time_column="day", split=None)
    return build()["train_dated"].params


def test_the_form_offers_what_there_is(form: Any, project: Project) -> None:
    """Strategies are the files of the group, candidates those of the YAML."""
    strategy, candidates = form.get_param("strategy").schema, form.get_param("candidates").schema
    assert strategy["enum"] == list(group_options(project.conf, "strategy"))
    assert candidates["items"]["enum"] == ["gaussian_nb", "logistic_regression"]
    assert form.dump() == {
        "strategy": "balanced",
        "scenario": None,
        "candidates": ["gaussian_nb", "logistic_regression"],
        "force": False,
    }


def test_a_window_is_asked_for_where_a_column_dates_the_rows(project: Project, build: Build) -> None:
    """The field says which column that is; without one there is no field."""
    write_pipeline(project, "dated", time_column="day", split=None)
    dags = build()
    assert "by day" in dags["train_dated"].params.get_param("window_end").description
    assert not {"window_start", "window_end"} & set(dags["train_flowers"].params)


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
def test_a_good_value_passes(dated_form: Any, conf: dict[str, Any]) -> None:
    """Names of the lists, and times as a form sends them: for Airflow as for `prepare`."""
    check_conf(conf, dated_form)
    for name, value in conf.items():
        dated_form[name] = value
    dated_form.validate()


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
        ("window_end", "1899-12-31"),
        ("window_start", "2201-01-01"),
        ("window_end", "2026-01-01; rm -rf /"),
        ("window_start", 20260101),
    ],
)
def test_a_bad_value_is_refused(dated_form: Any, name: str, value: object) -> None:
    """Nothing that is not a listed name or a time gets past the form, nor past `prepare`."""
    message = message_of(lambda: check_conf({name: value}, dated_form), ConfigError)
    assert message.startswith(f"conf.{name}: ")
    with pytest.raises(ParamValidationError):
        dated_form[name] = value


@pytest.mark.parametrize("name", ["window_start", "window_end"])
def test_a_window_needs_a_column_that_dates_the_rows(form: Any, name: str) -> None:
    """An empty field, as an older form sends it, does no harm."""
    assert "no time_column" in message_of(lambda: check_conf({name: "2026-01-01"}, form), ConfigError)
    check_conf({name: None}, form)


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        (["quick"], "is no mapping"),
        ("quick", "is no mapping"),
        ({"strategi": "quick"}, "unknown key 'strategi'; valid: candidates, force, scenario, strategy"),
        ({"": 1}, "unknown key ''"),
        ({"strategy": "x" * 70_000}, "bytes are more than 65,536"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_conf_is_refused_in_one_line(form: Any, conf: object, said: str) -> None:
    """No mapping, an unknown key, or too much of it."""
    message = message_of(lambda: check_conf(conf, form), ConfigError)
    assert said in message
    assert len(message) < 200
