"""What is fitted again and what is not, told by counting calls of `fit`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from support.planted import make_champion
from support.projects import candidates, config_of, request_of, write_rows

from waterflow.caching import lookup
from waterflow.caching.keys import evaluation, fitting, key_of
from waterflow.datasets.loaders import iris
from waterflow.promotion import champion_comparison as evaluation_step
from waterflow.provenance.code import list_modules
from waterflow.records.data import Blob, Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.training import Trained
from waterflow.resources import Resources, load_config
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.train import train
from waterflow.stores.base import find_problem
from waterflow.tracking.tags import RECORD_FILE

Writer = Callable[..., str]

GAUSS, BERNOULLI = "sklearn.naive_bayes.GaussianNB", "sklearn.naive_bayes.BernoulliNB"


def gone(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def truncated(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def altered(path: Path) -> None:
    """Change one byte in the middle of a file, in the way that a digit becomes another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = pytest.mark.parametrize("damage", [gone, truncated, altered])


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List each call of `fit`, by the estimator's class."""
    called: list[str] = []

    def counted(kind: type[Any], fit: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, *given: Any, **named: Any) -> Any:
            called.append(kind.__name__)
            return fit(self, *given, **named)

        return wrapper

    for kind in (GaussianNB, BernoulliNB):
        monkeypatch.setattr(kind, "fit", counted(kind, kind.fit))
    return called


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List each comparison by its opponent; no pictures are drawn."""
    called: list[str] = []
    real = evaluation_step.compare_on_holdout

    def counted(*given: Any) -> Any:
        found = real(*given)
        called.append(found.verdict.against)
        return found

    monkeypatch.setattr(evaluation_step, "compare_on_holdout", counted)
    monkeypatch.setattr("waterflow.reporting.plots.plot_winner", lambda predicted, task: {})
    monkeypatch.setattr("waterflow.reporting.plots.plot_candidates", lambda *given: _Nothing())
    return called


class _Nothing:
    def savefig(self, path: Path, dpi: int) -> None:
        """Write an empty file."""
        path.touch()


def trained(name: str, resources: Resources, run_id: str, **request: Any) -> tuple[Prepared, list[Trained]]:
    """Run the first two steps."""
    prepared = prepare(request_of(name, run_id, **request), resources)
    return prepared, [train(prepared, candidate, prepared.origin, resources) for candidate in prepared.candidates]


def evaluated(name: str, resources: Resources, run_id: str, **request: Any) -> tuple[Prepared, Evaluated]:
    """Run the first three steps."""
    prepared, fitted = trained(name, resources, run_id, **request)
    return prepared, evaluate(prepared, fitted, resources)


def artifact(run_id: str, path: str, resources: Resources) -> Path:
    """Find a run's artifact on the disk."""
    return Path(urlsplit(resources.runs.client.get_run(run_id).info.artifact_uri).path) / path


def model_file(model_id: str, name: str, resources: Resources) -> Path:
    """Find a file of a logged model on the disk."""
    return Path(urlsplit(resources.runs.client.get_logged_model(model_id).artifact_location).path) / name


def stored(blob: Blob, resources: Resources) -> Path:
    """Find a blob on the disk."""
    return Path(urlsplit(resources.store.uri).path) / blob.key


# Fitted or not


def test_an_unchanged_pipeline_fits_nothing(resources: Resources, pipeline: Writer, fits: list[str]) -> None:
    """Another run has its own nested run, with the same scores and the first run's model."""
    name = pipeline()
    _, (first,) = trained(name, resources, "one")
    _, (second,) = trained(name, resources, "two")
    assert fits == ["GaussianNB"]
    assert second.run_id != first.run_id
    assert (second.model_id, second.metrics, second.cached_from) == (first.model_id, first.metrics, first.run_id)
    _, (third,) = trained(name, resources, "three")
    assert third.cached_from == first.run_id, "a copy is no source of copies"


def test_a_cached_run_can_be_compared_in_mlflow(resources: Resources, pipeline: Writer) -> None:
    """It has the metrics and parameters of the fit, says whose they are, and is FINISHED."""
    name = pipeline()
    _, (first,) = trained(name, resources, "one")
    _, (second,) = trained(name, resources, "two")
    before, after = (resources.runs.client.get_run(entry.run_id) for entry in (first, second))
    assert after.data.metrics == before.data.metrics
    assert after.data.params == before.data.params
    assert after.data.tags["waterflow.cached"] == "true"
    assert after.data.tags["waterflow.cached_from"] == first.run_id
    assert after.data.tags["waterflow.model_id"] == first.model_id
    assert after.data.tags["mlflow.note.content"].startswith("Cached: it was fitted by ")
    assert after.info.status == "FINISHED"
    assert [entry.model_id for entry in after.inputs.model_inputs] == [first.model_id]


def test_a_retry_of_a_cached_candidate_changes_nothing(resources: Resources, pipeline: Writer) -> None:
    """And never takes the model away from the run that fitted it."""
    name = pipeline()
    trained(name, resources, "one")
    _, (second,) = trained(name, resources, "two")
    resources.runs.client.update_run(second.run_id, status="RUNNING")
    gone(artifact(second.run_id, RECORD_FILE, resources))
    _, (again,) = trained(name, resources, "two")
    assert again == second
    resources.models.verify(again.model_id, name)


def test_a_new_candidate_is_fitted_alone(resources: Resources, pipeline: Writer, fits: list[str]) -> None:
    """The one that was there is not fitted again."""
    trained(pipeline(**candidates(nb=GAUSS)), resources, "one")
    trained(pipeline(**candidates(nb=GAUSS, flags=BERNOULLI)), resources, "two")
    assert fits == ["GaussianNB", "BernoulliNB"]


@pytest.mark.parametrize(
    "changes",
    [
        {"gate": {"metric": "accuracy", "at_least": 0.1}},
        {"metrics": {"main": "accuracy"}},
        {"promotion": {"alpha": 0.01}},
        {"description": "Other words"},
    ],
    ids=["gate", "metric", "evidence", "words"],
)
def test_what_decides_no_fit_fits_nothing(
    resources: Resources, pipeline: Writer, fits: list[str], changes: dict[str, Any]
) -> None:
    """How models are evaluated and described is no part of a fit."""
    trained(pipeline(), resources, "one")
    trained(pipeline(**changes), resources, "two")
    assert fits == ["GaussianNB"]


def test_other_rows_are_fitted(resources: Resources, pipeline: Writer, fits: list[str]) -> None:
    """And back on the first rows nothing is."""
    name = pipeline(dataset={"kind": "csv", "path": f"data/{id(fits)}.csv"})
    for run_id, rows in (("one", iris()), ("two", iris().iloc[:-1]), ("three", iris())):
        write_rows(resources.project, rows, f"{id(fits)}.csv")
        trained(name, resources, run_id)
    assert fits == ["GaussianNB", "GaussianNB"]


def test_a_forced_run_fits_everything(resources: Resources, pipeline: Writer, fits: list[str]) -> None:
    """A retry of it still finds what it has made itself, and later runs use the newest fit."""
    name = pipeline()
    trained(name, resources, "one")
    _, (second,) = trained(name, resources, "two", force=True)
    assert trained(name, resources, "two", force=True)[1] == [second]
    _, (third,) = trained(name, resources, "three")
    assert len(fits) == 2
    assert third.cached_from == second.run_id


def test_a_metric_that_a_cached_fit_lacks_is_found_out(resources: Resources, pipeline: Writer) -> None:
    """As main metric it makes the candidate fail, whether or not it was fitted before."""
    from support.projects import message_of

    from waterflow.errors import FitError

    svc = candidates(svc="sklearn.svm.SVC", nb=GAUSS)
    trained(pipeline(**svc), resources, "one")
    prepared = prepare(request_of(pipeline(**svc, metrics={"main": "log_loss"}), "two"), resources)
    assert "log_loss" in message_of(lambda: train(prepared, "svc", prepared.origin, resources), FitError)
    assert train(prepared, "nb", prepared.origin, resources).cached_from is not None


# The user's own code


def test_an_edited_helper_of_an_own_estimator_refits(
    resources: Resources, pipeline: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit of a module that its module imports is an edit of the estimator; one beside it is none."""
    import importlib

    helper, stranger = tmp_path / "cache_helper.py", tmp_path / "cache_stranger.py"
    helper.write_text("FITS = []\n")
    stranger.write_text("")
    (tmp_path / "cache_own.py").write_text(
        "from sklearn.naive_bayes import GaussianNB\n\nfrom cache_helper import FITS\n\n\n"
        "class Counting(GaussianNB):\n"
        "    def fit(self, X, y=None, sample_weight=None):\n"
        "        FITS.append(1)\n"
        "        return super().fit(X, y, sample_weight)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    counts = importlib.import_module("cache_helper").FITS
    name = pipeline(**candidates(own="cache_own.Counting"))
    trained(name, resources, "one")
    stranger.write_text("VALUE = 1\n")
    trained(name, resources, "two")
    assert len(counts) == 1
    helper.write_text("FITS = []\nVALUE = 2\n")
    trained(name, resources, "three")
    assert len(counts) == 2


def test_judging_is_no_part_of_a_fit(resources: Resources, pipeline: Writer) -> None:
    """No module that only evaluates, draws or tracks enters the key of a fit; what loads the rows does."""
    prepared = prepare(request_of(pipeline()), resources)
    config = load_config(prepared, resources)
    code = fitting(prepared, config, "gaussian_nb", resources).code
    for word in ("evaluate", "judge", "verdict", "report", "plots", "comparison", "tracking", "ledger"):
        assert not [name for name in code if word in name]
    assert {"waterflow.training.fitting", "waterflow.training.candidate", "waterflow.data.canonical"} <= set(code)


@pytest.mark.parametrize("search", [None, {"space": {"alpha": {"choices": [0.5, 1.0]}}}])
def test_all_of_training_is_part_of_a_fit(resources: Resources, pipeline: Writer, search: Any) -> None:
    """Whether a candidate is tuned or not: no list of modules can forget one."""
    listed = candidates(nb={"estimator": BERNOULLI, "search": search}) | {"tuning": None}
    prepared = prepare(request_of(pipeline(**listed)), resources)
    code = fitting(prepared, load_config(prepared, resources), "nb", resources).code
    assert set(list_modules("waterflow.training")) <= set(code)


def test_a_comparison_is_keyed_by_what_compares(resources: Resources, pipeline: Writer) -> None:
    """An edit to a report, a picture or a client of MLflow compares nothing again; one to the rules does."""
    prepared, (fitted,) = trained(pipeline(), resources, "one")
    code = evaluation(prepared, load_config(prepared, resources), (fitted,), None).code
    rooms = ("promotion.holdout", "promotion.looks", "evaluation.comparison", "data.overlap")
    assert {f"waterflow.{room}" for room in rooms} <= set(code)
    for room in ("reporting", "tracking", "stores", "lineage"):
        assert not [name for name in code if name.startswith(f"waterflow.{room}")]


def test_what_an_estimator_declares_to_read_is_part_of_its_fit(
    resources: Resources, pipeline: Writer, fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, a file in a folder, a variable: each edit fits the candidate again."""
    folder = resources.project.root / "lists"
    folder.mkdir()
    (folder / "stop.txt").write_text("a")
    name = pipeline(**candidates(nb={"estimator": GAUSS, "reads": ["lists", "$STOP_WORDS"]}))
    trained(name, resources, "one")
    trained(name, resources, "two")
    assert len(fits) == 1
    (folder / "stop.txt").write_text("b")
    trained(name, resources, "three")
    assert len(fits) == 2
    monkeypatch.setenv("STOP_WORDS", "secret")
    prepared, _ = trained(name, resources, "four")
    assert len(fits) == 3
    inputs = fitting(prepared, load_config(prepared, resources), "nb", resources).inputs
    assert "secret" not in "".join(inputs.values())


def test_the_same_rows_are_split_once(resources: Resources, pipeline: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The split is taken from an earlier run, its warning of a leak too, unless the rules of the split changed."""
    real, called = lookup.divide_rows, []

    def counted(*given: Any) -> Any:
        called.append(1)
        return real(*given)

    monkeypatch.setattr(lookup, "divide_rows", counted)
    first = prepare(request_of(pipeline(), "one"), resources)
    second = prepare(request_of(pipeline(gate=None), "two"), resources)
    assert (second.split, second.shares, len(called)) == (first.split, first.shares, 1)
    prepare(request_of(pipeline(split={"kind": "stratified", "seed": 5}), "three"), resources)
    prepare(request_of(pipeline(), "four", force=True), resources)
    assert len(called) == 3


@pytest.mark.parametrize("threads", ["1", "8"])
def test_threads_count_where_they_decide(
    resources: Resources, pipeline: Writer, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    """For a search and for estimators that are not scikit-learn's."""
    monkeypatch.setenv("WATERFLOW_THREADS", threads)
    prepared = prepare(request_of(pipeline()), resources).model_copy(update={"rows": 100_000})
    listed = {"nb": {"estimator": GAUSS}, "boosted": {"estimator": "xgboost.XGBClassifier"}}
    config = config_of(candidates=listed)
    assert "threads" not in fitting(prepared, config, "nb", resources).inputs
    assert fitting(prepared, config, "boosted", resources).inputs["threads"] == threads


# Objects that are not what they were


@DAMAGES
def test_a_damaged_record_is_a_miss(
    resources: Resources,
    pipeline: Writer,
    fits: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    """It is fitted again, with a warning that says why, to the same result."""
    name = pipeline()
    _, (first,) = trained(name, resources, "one")
    damage(artifact(first.run_id, RECORD_FILE, resources))
    _, (second,) = trained(name, resources, "two")
    assert len(fits) == 2
    assert (second.metrics, second.cached_from) == (first.metrics, None)
    assert second.model_id != first.model_id
    assert f"run {first.run_id[:8]}" in caplog.text
    assert "cannot be used again: its waterflow/record.json" in caplog.text


@pytest.mark.parametrize(
    ("damage", "file"), [(gone, "model.pkl"), (truncated, "model.pkl"), (altered, "model.pkl"), (altered, "MLmodel")]
)
def test_a_damaged_model_is_a_miss(
    resources: Resources,
    pipeline: Writer,
    fits: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    file: str,
) -> None:
    """Whichever of its files it is."""
    name = pipeline()
    _, (first,) = trained(name, resources, "one")
    damage(model_file(first.model_id, file, resources))
    _, (second,) = trained(name, resources, "two")
    assert len(fits) == 2
    assert (second.metrics, second.cached_from) == (first.metrics, None)
    assert f"model {first.model_id}" in caplog.text
    resources.models.verify(second.model_id, name)


def test_a_deleted_model_or_run_is_a_miss(resources: Resources, pipeline: Writer, fits: list[str]) -> None:
    """As somebody may do in MLflow's UI."""
    name = pipeline()
    _, (first,) = trained(name, resources, "one")
    resources.runs.client.delete_logged_model(first.model_id)
    _, (second,) = trained(name, resources, "two")
    assert second.cached_from is None
    resources.runs.client.delete_run(second.run_id)
    _, (third,) = trained(name, resources, "three")
    assert third.cached_from is None
    assert len(fits) == 3


@DAMAGES
@pytest.mark.parametrize("part", ["data", "split"])
def test_damaged_rows_are_made_good(
    resources: Resources,
    pipeline: Writer,
    fits: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    part: str,
) -> None:
    """They are written again, with a warning, and what was fitted on them still counts."""
    name = pipeline(split={"kind": "stratified", "seed": 11})
    first, _ = trained(name, resources, "one")
    blob = getattr(first, part)
    damage(stored(blob, resources))
    second, _ = trained(name, resources, "two")
    assert getattr(second, part) == blob
    assert find_problem(resources.store, blob) is None
    assert fits == ["GaussianNB"]
    assert [entry for entry in caplog.records if entry.levelname == "WARNING"]


# Judged or not


def test_an_unchanged_pipeline_is_not_evaluated_again(
    resources: Resources, pipeline: Writer, comparisons: list[str]
) -> None:
    """The second run says what the first one said, numbers and all."""
    name = pipeline()
    one, first = evaluated(name, resources, "one")
    two, second = evaluated(name, resources, "two")
    assert comparisons == ["baseline stratified"]
    assert second.cached_from == one.parent_run_id
    assert (second.verdict, second.holdout_metrics, second.gate) == (first.verdict, first.holdout_metrics, first.gate)
    assert second.winner.cached_from == first.winner.run_id
    before, after = (resources.runs.client.get_run(entry.parent_run_id).data for entry in (one, two))
    assert after.metrics == before.metrics
    assert after.tags["waterflow.verdict"] == before.tags["waterflow.verdict"]
    assert after.tags["waterflow.evaluated_from"] == one.parent_run_id
    assert evaluate(two, list(second.ranked), resources) == second, "a retry finds its own"


def test_another_rule_is_evaluated_and_nothing_is_fitted(
    resources: Resources, pipeline: Writer, fits: list[str], comparisons: list[str]
) -> None:
    """A gate, an error rate, a metric."""
    evaluated(pipeline(), resources, "one")
    evaluated(pipeline(gate={"metric": "accuracy", "at_least": 0.1}), resources, "two")
    evaluated(pipeline(promotion={"alpha": 0.01}), resources, "three")
    assert (len(fits), len(comparisons)) == (2, 3), "the candidate, and the winner once more on more rows"


def test_another_champion_is_compared_and_and_nothing_is_fitted(
    resources: Resources, pipeline: Writer, fits: list[str], comparisons: list[str]
) -> None:
    """The same model has another opponent; back against the first one, the first verdict holds."""
    name = pipeline()
    evaluated(name, resources, "one")
    other, (flags,) = trained(pipeline(**candidates(flags=BERNOULLI)), resources, "other")
    make_champion(flags, other, resources)
    pipeline()
    _, against = evaluated(name, resources, "two")
    _, again = evaluated(name, resources, "three")
    assert comparisons == ["baseline stratified", "champion version 1"]
    assert (again.verdict, fits) == (against.verdict, ["GaussianNB", "GaussianNB", "BernoulliNB"])


def test_the_champions_own_model_meets_whom_it_met_before(
    resources: Resources, pipeline: Writer, comparisons: list[str]
) -> None:
    """An unchanged pipeline whose model became champion is not compared with itself."""
    name = pipeline()
    prepared, first = evaluated(name, resources, "one")
    make_champion(first.winner, prepared, resources)
    assert evaluated(name, resources, "two")[1].verdict == first.verdict
    assert comparisons == ["baseline stratified"]


def test_a_forced_run_is_evaluated(resources: Resources, pipeline: Writer, comparisons: list[str]) -> None:
    """Its models are new ones."""
    name = pipeline()
    evaluated(name, resources, "one")
    assert evaluated(name, resources, "two", force=True)[1].cached_from is None
    assert len(comparisons) == 2


@DAMAGES
@pytest.mark.parametrize("what", ["record", "predictions"])
def test_a_damaged_verdict_is_a_miss(
    resources: Resources,
    pipeline: Writer,
    comparisons: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    what: str,
) -> None:
    """It is reached again, with a warning, and is the same."""
    name = pipeline(promotion={"resamples": 200 + len(damage.__name__)})  # predictions of its own digest decide nothing
    prepared, first = evaluated(name, resources, "one")
    assert first.verdict is not None
    assert first.verdict.predictions is not None
    if what == "record":
        damage(artifact(prepared.parent_run_id, "waterflow/evaluated.json", resources))
    else:
        damage(stored(first.verdict.predictions, resources))
    _, second = evaluated(name, resources, "two")
    assert len(comparisons) == 2
    assert (second.verdict, second.cached_from) == (first.verdict, None)
    assert "cannot be used again" in caplog.text
    assert find_problem(resources.store, first.verdict.predictions) is None


def test_the_key_of_a_judgement_counts_models_opponent_and_rules(resources: Resources, pipeline: Writer) -> None:
    """Each of them is another judgement."""
    prepared, (fitted,) = trained(pipeline(), resources, "one")
    config = load_config(prepared, resources)
    other = fitted.model_copy(update={"model_id": "m-other"})
    gated = config.model_copy(update={"gate": None})
    given = [(config, fitted), (config, other), (gated, fitted)]
    keys = {key_of(evaluation(prepared, rules, (entry,), None)) for rules, entry in given}
    assert len(keys) == 3
