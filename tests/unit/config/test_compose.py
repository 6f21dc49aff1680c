import json
from datetime import date
from typing import Any

import pytest
from support.projects import CHECKOUT, candidates, message_of, write_pipeline

from waterflow.config.compose import choose, compose_pipeline, compose_profile
from waterflow.config.header import pipeline_files, read_outline
from waterflow.config.project import Project
from waterflow.errors import ConfigError

SHIPPED = Project(conf=CHECKOUT / "conf", home=CHECKOUT / ".waterflow")


def refusal(project: Project, *overrides: str, **changes: Any) -> str:
    """Return the one line with which a changed `flowers` is refused."""
    write_pipeline(project, "flowers", **changes)
    return message_of(lambda: compose_pipeline(project, "flowers", overrides), ConfigError)


def test_a_pipeline_is_composed_from_its_groups(project: Project) -> None:
    """The pipeline's YAML names its strategy and its models."""
    config = compose_pipeline(project, "flowers")
    assert config.name == "flowers"
    assert config.strategy.name == "balanced"
    assert config.candidates["logistic_regression"].params["max_iter"] == 1000


@pytest.mark.parametrize("name", [path.stem for path in pipeline_files(SHIPPED.conf)])
def test_every_shipped_pipeline_reads_the_same_by_both_readers(name: str) -> None:
    """What the DAG's form shows is what a run composes."""
    config = compose_pipeline(SHIPPED, name)
    outline = read_outline(SHIPPED.conf / "pipeline" / f"{name}.yaml")
    assert outline.candidates == tuple(config.candidates)
    assert outline.strategy == config.strategy.name
    assert (outline.owner, outline.tags, outline.description) == (config.owner, config.tags, config.description)
    assert outline.time_column == config.time_column
    assert (outline.schedule is None) == (config.schedule is None)
    if outline.schedule and config.schedule:
        assert (outline.schedule.cron, outline.schedule.start) == (config.schedule.cron, config.schedule.start)


def test_the_shipped_iris_has_five_kinds_of_candidates() -> None:
    """The example compares five different estimators under `balanced`."""
    config = compose_pipeline(SHIPPED, "iris")
    assert len({candidate.estimator for candidate in config.candidates.values()}) == 5
    assert config.strategy.name == "balanced"


def test_a_group_is_replaced_by_an_override(project: Project) -> None:
    """`strategy=quick` replaces the group, as Hydra's users expect."""
    assert compose_pipeline(project, "flowers", ["strategy=quick"]).strategy.select_on == "test"


def test_one_value_is_replaced_by_an_override(project: Project) -> None:
    """A dotted key changes one parameter and leaves the others."""
    config = compose_pipeline(project, "flowers", ["candidates.logistic_regression.params.max_iter=7", "split.seed=5"])
    assert config.candidates["logistic_regression"].params["max_iter"] == 7
    assert config.split.seed == 5


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_a_value_is_set_that_the_yaml_does_not_spell_out(project: Project, plus: str) -> None:
    """An optional key needs no sign of its own; Hydra's `+` may stand all the same."""
    config = compose_pipeline(project, "flowers", [f"{plus}candidates.logistic_regression.params.tol=0.5"])
    assert config.candidates["logistic_regression"].params["tol"] == 0.5
    assert compose_pipeline(project, "flowers", [f"{plus}seed=5"]).seed == 5


def test_the_list_of_models_is_replaced_by_an_override(project: Project) -> None:
    """`model@candidates=[…]` chooses other models of the group."""
    config = compose_pipeline(project, "flowers", ["model@candidates=[svc,k_neighbors]"])
    assert list(config.candidates) == ["svc", "k_neighbors"]


def test_a_candidate_is_removed_by_a_tilde(project: Project) -> None:
    """`~candidates.NAME` leaves one out."""
    assert list(compose_pipeline(project, "flowers", ["~candidates.gaussian_nb"]).candidates) == ["logistic_regression"]


def test_overrides_of_one_run_do_not_reach_the_next(project: Project) -> None:
    """Hydra's global state is cleared between two compositions."""
    compose_pipeline(project, "flowers", ["split.seed=5"])
    assert compose_pipeline(project, "flowers").split.seed == 3


def test_an_estimator_may_stand_in_the_pipeline_itself(project: Project) -> None:
    """A candidate needs no file of its own below conf/model."""
    write_pipeline(project, "flowers", **candidates(nb="sklearn.naive_bayes.GaussianNB"))
    assert list(compose_pipeline(project, "flowers").candidates) == ["nb"]


def test_the_logged_configuration_names_no_server(project: Project) -> None:
    """Addresses of the profile are no part of what is stored with a run."""
    text = json.dumps(compose_pipeline(project, "flowers", ["profile=stack"]).model_dump(mode="json"))
    for word in ("profile", "tracking_uri", "store_uri", "http://", "s3://", str(project.home)):
        assert word not in text


def test_the_embedded_profile_lies_below_the_home(project: Project) -> None:
    """Without a server, all that is written goes below one folder."""
    profile = compose_profile(project)
    assert profile.name == "embedded"
    assert profile.tracking_uri == f"sqlite:///{project.home}/mlflow.db"
    assert profile.store_uri == f"{project.home}/store"


def test_a_profile_is_chosen_by_an_override(project: Project) -> None:
    """`profile=stack` names the servers of the Compose stack."""
    profile = compose_profile(project, ["strategy=quick", "profile=stack"])
    assert profile.store_uri == "s3://waterflow"


def test_a_profile_is_chosen_by_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`WATERFLOW_PROFILE` stands for every command of a container."""
    monkeypatch.setenv("WATERFLOW_PROFILE", "stack")
    assert compose_profile(project).name == "stack"


def test_an_override_of_the_profile_beats_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed counts more than what the environment says."""
    monkeypatch.setenv("WATERFLOW_PROFILE", "stack")
    assert compose_profile(project, ["profile=embedded"]).name == "embedded"


def test_one_address_is_replaced_by_an_override(project: Project) -> None:
    """A person points a run to another MLflow for once."""
    profile = compose_profile(project, ["profile.tracking_uri=http://127.0.0.1:5055"])
    assert profile.tracking_uri == "http://127.0.0.1:5055"


def test_an_unknown_profile_is_refused_with_the_valid_ones(project: Project) -> None:
    """A profile without a file is named."""
    message = message_of(lambda: compose_profile(project, ["profile=cloud"]), ConfigError)
    assert "cloud" in message
    assert "embedded" in message


# Choices of a trigger form


def test_a_choice_of_strategy_and_candidates_becomes_overrides(project: Project) -> None:
    """Names that the pipeline lists select among its candidates."""
    config = compose_pipeline(project, "flowers")
    overrides = choose(config, project, "quick", ["gaussian_nb"])
    chosen = compose_pipeline(project, "flowers", overrides)
    assert (chosen.strategy.name, list(chosen.candidates)) == ("quick", ["gaussian_nb"])


def test_no_choice_changes_nothing(project: Project) -> None:
    """A run without form values is what the YAML says."""
    assert choose(compose_pipeline(project, "flowers"), project, None, None) == ()


@pytest.mark.parametrize("name", ["sklearn.svm.SVC", "os.system", "gaussian_nb.estimator=os.system", "", "forest"])
def test_a_choice_is_held_to_the_names_of_the_pipeline(project: Project, name: str) -> None:
    """A dotted path, or anything else that is no listed name, never reaches Hydra."""
    config = compose_pipeline(project, "flowers")
    message = message_of(lambda: choose(config, project, None, [name]), ConfigError)
    assert "valid: gaussian_nb, logistic_regression" in message


@pytest.mark.parametrize("name", ["../pipeline/flowers", "quick,seed=3", "os.system"])
def test_a_chosen_strategy_is_held_to_the_files(project: Project, name: str) -> None:
    """A strategy is a name with a file below conf/strategy, nothing else."""
    config = compose_pipeline(project, "flowers")
    message = message_of(lambda: choose(config, project, name, None), ConfigError)
    assert "valid: balanced, " in message


def test_an_empty_choice_of_candidates_is_refused(project: Project) -> None:
    """A run without a candidate trains nothing."""
    config = compose_pipeline(project, "flowers")
    assert "none chosen" in message_of(lambda: choose(config, project, None, []), ConfigError)


def test_a_choice_names_each_candidate_once(project: Project) -> None:
    """A name that stands twice in the form is an error, not two candidates."""
    config = compose_pipeline(project, "flowers")
    message = message_of(lambda: choose(config, project, None, ["gaussian_nb", "gaussian_nb"]), ConfigError)
    assert "stands twice" in message


# Bad input


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(project: Project) -> None:
    """A typing error at the top level comes with file, line and a suggestion."""
    message = refusal(project, targett="species")
    assert "conf/pipeline/flowers.yaml:" in message
    assert "'targett'" in message
    assert "did you mean 'target'?" in message


def test_an_unknown_nested_key_is_named_with_the_valid_ones(project: Project) -> None:
    """A key that nobody reads inside a section comes with the section's keys."""
    message = refusal(project, split={"kind": "hash", "fraction": 0.2})
    assert "split.fraction: unknown key" in message
    assert "kind, seed, test_fraction" in message


def test_an_unknown_key_of_a_schedule_is_named_with_the_valid_ones(project: Project) -> None:
    """By an override as well, which only the composed configuration sees."""
    write_pipeline(project, "flowers", schedule={"cron": "@daily", "start": date(2026, 1, 1)})
    message = message_of(lambda: compose_pipeline(project, "flowers", ["schedule.zone=UTC"]), ConfigError)
    assert "schedule.zone: unknown key; did you mean 'timezone'? valid: cron, end, start, timezone" in message


def test_an_unknown_key_of_a_source_is_named_with_the_valid_ones(project: Project) -> None:
    """A source refuses what its kind does not have."""
    message = refusal(project, dataset={"kind": "parquet", "path": "data/flowers.parquet", "encoding": "latin1"})
    assert "dataset.encoding: unknown key" in message
    assert "na_values" in message


@pytest.mark.parametrize(
    ("changes", "place", "found"),
    [
        ({"split": {"test_fraction": "a fifth"}}, "split.test_fraction", "'a fifth'"),
        ({"split": {"test_fraction": 1.5}}, "split.test_fraction", "1.5"),
        ({"seed": -1}, "seed", "-1"),
        ({"target": 5}, "target", "5"),
        ({"task": "clustering"}, "task", "'clustering'"),
        ({"drop": "colour"}, "drop", "'colour'"),
        ({"dataset": {"kind": "avro", "path": "a.avro"}}, "dataset.kind", "'avro'"),
        ({"metrics": {"main": "accuracy", "show": 3}}, "metrics.show", "3"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(project: Project, changes: dict[str, Any], place: str, found: str) -> None:
    """The message has the path in the YAML and the value found there."""
    message = refusal(project, **changes)
    assert message.startswith("conf/pipeline/flowers.yaml: " + place)
    assert found in message


def test_a_missing_key_is_named(project: Project) -> None:
    """Without a target there is nothing to predict."""
    assert "target: missing; add it" in refusal(project, target=None)


def test_an_unknown_pipeline_is_refused_with_the_valid_ones(project: Project) -> None:
    """The message lists what there is and says which file to add."""
    message = message_of(lambda: compose_pipeline(project, "roses"), ConfigError)
    assert "'roses' is unknown; valid: flowers" in message
    assert "add conf/pipeline/roses.yaml" in message


def test_an_unknown_strategy_in_the_yaml_is_refused_with_the_valid_ones(project: Project) -> None:
    """A strategy without a file comes with file and line."""
    message = refusal(project, defaults=[{"/strategy": "thorough"}, {"/model@candidates": ["svc"]}])
    assert "'thorough' is unknown; valid: balanced, " in message
    assert "flowers.yaml:1" in message


def test_an_unknown_strategy_on_the_command_line_is_refused_with_the_valid_ones(project: Project) -> None:
    """Hydra's refusal comes as one line that lists the options."""
    message = refusal(project, "strategy=thorough")
    assert "thorough" in message
    assert "balanced" in message
    assert "quick" in message


def test_an_unknown_model_is_refused_with_the_valid_ones(project: Project) -> None:
    """A model without a file is named before Hydra looks for it."""
    message = refusal(project, defaults=[{"/strategy": "balanced"}, {"/model@candidates": ["svm"]}])
    assert "model: 'svm' is unknown; did you mean 'svc'? valid: " in message


@pytest.mark.parametrize("changes", [{"metrics": {"main": "accurracy"}}, {"gate": {"metric": "f2", "at_least": 0.5}}])
def test_an_unknown_metric_is_refused_with_the_valid_ones(project: Project, changes: dict[str, Any]) -> None:
    """A metric is one of the task's, wherever it is named."""
    message = refusal(project, **changes)
    assert "is no metric for classification; " in message
    assert "valid: accuracy, balanced_accuracy" in message


def test_a_metric_of_the_other_task_is_refused(project: Project) -> None:
    """RMSE has no meaning for classes."""
    assert "'rmse' is no metric for classification" in refusal(project, metrics={"main": "rmse"})


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("sklearn.svm.SVCC", "does not exist in sklearn.svm"),
        ("no_such_package.Model", "cannot be imported"),
        ("SVC", "is no dotted path"),
        ("..SVC", "cannot be imported"),
        ("sklearn.metrics.accuracy_score", "is no estimator"),
        ("sklearn.preprocessing.StandardScaler", "is no estimator"),
        ("os.system", "is no estimator"),
        ("sklearn.linear_model.Ridge", "is a regressor; task is classification"),
    ],
)
def test_an_estimator_that_will_not_do_is_refused(project: Project, path: str, reason: str) -> None:
    """The message names the candidate, the path and why it will not do."""
    message = refusal(project, **candidates(mine=path))
    assert "candidates.mine.estimator" in message
    assert repr(path) in message
    assert reason in message


def test_a_classifier_is_refused_for_regression(project: Project) -> None:
    """The task decides which estimators pass."""
    message = refusal(
        project,
        **candidates(nb="sklearn.naive_bayes.GaussianNB"),
        task="regression",
        metrics={"main": "rmse"},
        gate=None,
        split=None,
    )
    assert "is a classifier; task is regression" in message


def test_a_parameter_that_the_estimator_does_not_have_is_named_with_the_valid_ones(project: Project) -> None:
    """A misspelt parameter is found when the configuration is read, not in the middle of a run."""
    message = refusal(project, "+candidates.gaussian_nb.params.smoothing=1")
    assert "candidates.gaussian_nb.params" in message
    assert "smoothing" in message
    assert "valid: priors, var_smoothing" in message


def test_two_models_of_one_name_are_refused(project: Project) -> None:
    """Hydra would merge them in silence."""
    message = refusal(project, defaults=[{"/strategy": "balanced"}, {"/model@candidates": ["svc", "svc"]}])
    assert "candidate 'svc' stands twice" in message


def test_two_models_of_one_name_in_an_override_are_refused(project: Project) -> None:
    """The same rule holds for what is typed."""
    assert "'svc' stands twice" in refusal(project, "model@candidates=[svc,gaussian_nb,svc]")


def test_two_inline_candidates_of_one_name_are_refused_with_their_lines(project: Project) -> None:
    """YAML itself would keep the last of the two in silence."""
    path = write_pipeline(project, "flowers", **candidates(nb="sklearn.naive_bayes.GaussianNB"))
    twin = "candidates:\n  nb:\n    estimator: sklearn.svm.SVC\n"
    path.write_text(path.read_text("utf-8").replace("candidates:\n", twin), "utf-8")
    message = message_of(lambda: compose_pipeline(project, "flowers"), ConfigError)
    assert "'nb' stands twice, first in line" in message


def test_a_model_file_that_names_another_candidate_is_refused(project: Project) -> None:
    """A copied model file whose key was forgotten would replace the candidate that it was copied from."""
    (project.conf / "model" / "svc_wide.yaml").write_text((project.conf / "model" / "svc.yaml").read_text())
    message = refusal(project, defaults=[{"/strategy": "balanced"}, {"/model@candidates": ["svc", "svc_wide"]}])
    assert "svc_wide" in message


def test_a_candidate_needs_a_plain_name(project: Project) -> None:
    """A candidate's name becomes part of tags, files and map labels."""
    assert "'my model' is no name for a candidate" in refusal(project, **candidates(**{"my model": "sklearn.svm.SVC"}))


def test_broken_yaml_is_named_with_its_line(project: Project) -> None:
    """The line is the one that an editor shows."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_text("defaults:\n  - /strategy: balanced\ntarget: [species\ntask: classification\n")
    message = message_of(lambda: compose_pipeline(project, "flowers"), ConfigError)
    assert message.startswith("conf/pipeline/flowers.yaml:4: this is no YAML")


def test_an_override_that_hydra_cannot_read_is_one_line(project: Project) -> None:
    """Hydra's own words arrive without its advice of several lines."""
    assert "nonsense" in refusal(project, "nonsense")


def test_an_override_of_a_key_that_does_not_exist_is_one_line(project: Project) -> None:
    """A misspelt key on the command line is named."""
    assert "metrics.mian" in refusal(project, "metrics.mian=accuracy")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split": {"kind": "time"}}, "needs time_column"),
        ({"group": "garden"}, "goes with split.kind: hash"),
        ({"gate": {"metric": "accuracy", "at_least": 0.5, "at_most": 0.9}}, "exactly one of at_least, at_most"),
        ({"gate": {"metric": "accuracy"}}, "exactly one of at_least, at_most"),
        ({"preprocessing": [{"select": {"type": "numeric", "pattern": "x"}}]}, "exactly one of names, type, pattern"),
        ({"decision": "costs"}, "decision: 'costs' needs costs"),
        ({"decision": "cheap"}, "decision: 'cheap' is not valid; valid: costs, f1, balanced, {recall_at_least: 0.9}"),
        ({"decision": {"recall_at_least": 2}}, "decision: {'recall_at_least': 2} is not valid"),
        ({"positive": "setosa", "costs": {"positive": "virginica"}}, "differs from costs.positive 'virginica'"),
        ({"task": "regression", "metrics": {"main": "mae"}, "gate": None, "calibration": "sigmoid"}, "calibration: "),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    project: Project, changes: dict[str, Any], reason: str
) -> None:
    """What cannot hold together is said when the configuration is read."""
    assert reason in refusal(project, **changes)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"task": "forecasting"}, ["task: 'forecasting' is not supported", "regression", "label_delay"]),
        ({"task": "clustering"}, ["task: 'clustering' is not supported", "transformer"]),
        ({"target": ["species", "petal_width"]}, ["target: 2 targets", "a pipeline for each"]),
    ],
)
def test_what_is_not_supported_is_refused_with_what_to_use_meanwhile(
    project: Project, changes: dict[str, Any], parts: list[str]
) -> None:
    """A clear no, and a way that works today."""
    message = refusal(project, **changes)
    assert all(part in message for part in parts), message
