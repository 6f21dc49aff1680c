from pathlib import Path
from typing import Any

import pytest
import yaml
from support.projects import CHECKOUT, message_of, name_of

from waterflow.config.estimators import build_estimator, check_candidate, check_weighable, load_estimator
from waterflow.config.schema import CandidateConfig
from waterflow.errors import ConfigError
from waterflow.training.tuning.search_space import SearchSpace


def test_an_estimator_is_found_by_its_dotted_path() -> None:
    """The path is the one that scikit-learn documents."""
    assert load_estimator("sklearn.svm.SVC").__name__ == "SVC"


def test_an_estimator_is_seeded_where_it_takes_a_seed() -> None:
    """A candidate without `random_state` in the YAML is repeatable all the same."""
    candidate = CandidateConfig(estimator="sklearn.ensemble.RandomForestClassifier")
    assert build_estimator(candidate, seed=7, place="here").random_state == 7


def test_a_seed_in_the_yaml_counts_more() -> None:
    """The parameters of the candidate are not overwritten."""
    candidate = CandidateConfig(estimator="sklearn.ensemble.RandomForestClassifier", params={"random_state": 1})
    assert build_estimator(candidate, seed=7, place="here").random_state == 1


def test_an_estimator_without_a_seed_is_left_alone() -> None:
    """Naive Bayes draws nothing at random."""
    assert (
        "random_state"
        not in build_estimator(
            CandidateConfig(estimator="sklearn.naive_bayes.GaussianNB"), seed=7, place="here"
        ).get_params()
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("class Mine:\n    pass\n", "is no estimator"),
        ("class Mine(\n", "cannot be imported"),
        ("raise RuntimeError('no licence found')\n", "no licence found"),
    ],
)
def test_a_module_of_the_users_own_that_will_not_do_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    """Whatever a module raises while it is imported becomes one line."""
    name = f"own_module_{name_of(source)}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    message = message_of(lambda: load_estimator(f"{name}.Mine", "candidates.mine"), ConfigError)
    assert message.startswith("candidates.mine: ")
    assert reason in message


def test_an_estimator_that_refuses_its_parameters_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimator that checks when it is made is found when the configuration is read."""
    (tmp_path / "own_strict.py").write_text(
        "from sklearn.naive_bayes import GaussianNB\n"
        "class Strict(GaussianNB):\n"
        "    def __init__(self, level=1):\n"
        "        if level > 3:\n"
        "            raise ValueError('level is at most 3')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    candidate = CandidateConfig(estimator="own_strict.Strict", params={"level": 9})
    message = message_of(lambda: check_candidate(candidate, "classification", "candidates.strict"), ConfigError)
    assert message == "candidates.strict.params: level is at most 3; valid: level"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (
            {"estimator": "sklearn.svm.SVC", "search": {"space": {"depth": {"low": 1, "high": 2}}}},
            "candidates.mine.search.space.depth: SVC has no such parameter; valid: C, kernel,",
        ),
        (
            {"estimator": "xgboost.XGBClassifier", "search": {"space": {"depth": {"low": 1, "high": 2}}}},
            "candidates.mine.search.space.depth: XGBClassifier has no such parameter; did you mean 'max_depth'?",
        ),
        (
            {"estimator": "xgboost.XGBClassifier", "params": {"depth": 3}},
            "candidates.mine.params.depth: XGBClassifier has no such parameter; did you mean 'max_depth'?",
        ),
        (
            {"estimator": "sklearn.svm.SVC", "early_stopping_rounds": 3},
            "candidates.mine.early_stopping_rounds: SVC cannot stop early on validation rows",
        ),
    ],
)
def test_a_parameter_that_the_estimator_lacks_is_named(content: dict[str, Any], place: str) -> None:
    """When the configuration is composed, with those that it has."""
    candidate = CandidateConfig.model_validate(content)
    message = message_of(lambda: check_candidate(candidate, "classification", "candidates.mine"), ConfigError)
    assert message.startswith(place)


@pytest.mark.parametrize(
    "path", [path for path in sorted((CHECKOUT / "conf" / "model").glob("*.yaml")) if path.stem != "bert"], ids=str
)
def test_the_usual_parameters_of_each_model_lie_in_its_search_space(path: Path) -> None:
    """So that TPE learns from the first trial too."""
    candidate = CandidateConfig.model_validate(yaml.safe_load(path.read_text())[path.stem])
    assert candidate.search is not None
    pytest.importorskip(candidate.estimator.partition(".")[0], reason="an optional extra")
    usual = build_estimator(candidate, seed=0, place=path.stem).get_params()
    assert SearchSpace(candidate.search.space, usual).configured_labels() is not None


def test_an_estimator_that_cannot_weigh_rows_is_refused() -> None:
    """It would fit as if all rows counted alike."""
    neighbors = CandidateConfig(estimator="sklearn.neighbors.KNeighborsClassifier")
    message = message_of(lambda: check_weighable(neighbors, "fare", "candidates.knn"), ConfigError)
    assert "cannot weigh rows (weight: 'fare')" in message
    check_weighable(CandidateConfig(estimator="sklearn.naive_bayes.GaussianNB"), "fare", "candidates.nb")


@pytest.mark.parametrize(
    ("estimator", "name", "dimension", "reason"),
    [
        ("sklearn.ensemble.RandomForestClassifier", "max_depth", {"low": 2, "high": 9}, "add `integer: true`"),
        ("sklearn.neighbors.KNeighborsClassifier", "n_neighbors", {"low": 1, "high": 2}, "add `integer: true`"),
        ("xgboost.XGBClassifier", "max_depth", {"low": 2, "high": 9}, "add `integer: true`"),
        ("sklearn.linear_model.LogisticRegression", "C", {"low": -3, "high": -1}, "fix low and high"),
        ("sklearn.tree.DecisionTreeClassifier", "criterion", {"choices": ["gini", "giny"]}, "does not take 'giny'"),
    ],
)
def test_a_search_of_values_that_the_estimator_refuses_is_refused_at_once(
    estimator: str, name: str, dimension: dict[str, Any], reason: str
) -> None:
    """Not trial after trial."""
    candidate = CandidateConfig.model_validate({"estimator": estimator, "search": {"space": {name: dimension}}})
    message = message_of(lambda: check_candidate(candidate, "classification", "candidates.own"), ConfigError)
    assert message.startswith(f"candidates.own.search.space.{name}: ")
    assert reason in message


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("max_features", {"low": 0.2, "high": 0.9}),
        ("min_samples_leaf", {"low": 1, "high": 9, "integer": True}),
        ("max_depth", {"choices": [None, 8]}),
    ],
)
def test_a_search_of_valid_values_passes(name: str, dimension: dict[str, Any]) -> None:
    """A parameter may take shares or numbers."""
    candidate = CandidateConfig.model_validate(
        {"estimator": "sklearn.ensemble.RandomForestClassifier", "search": {"space": {name: dimension}}}
    )
    check_candidate(candidate, "classification", "candidates.own")
