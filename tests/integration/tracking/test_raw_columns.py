"""A logged model takes rows as people have them: text, times, booleans, categories, long integers and nulls."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.config.schema import DEFAULT_PREPROCESSING, Block
from waterflow.estimators.label_encoded import label_encoded
from waterflow.records.training import DecisionRule
from waterflow.training.decision import with_decision
from waterflow.training.preprocessing import build_preprocessor

FLIGHTS = pd.DataFrame(
    {
        "distance": [2475.0, np.nan, 733, 1089, 200, 2475, 1400, 301],
        "ticket": pd.array([2**53 + 1, None, 7, 2**53 + 3, 5, None, 1, 2], dtype="Int64"),
        "stops": [0, 1, 0, 0, 2, 0, 1, 0],
        "is_holiday": [True, False, False, True, False, True, False, False],
        "is_delayed_before": pd.Series([True, None, False, True, None, False, False, True], dtype=object),
        "carrier": pd.Series(["AA", None, "UA", "AA", "DL", "DL", "UA", "AA"], dtype="str"),
        "origin": pd.Categorical(["JFK", "LGA", "EWR", None, "JFK", "EWR", "LGA", "JFK"]),
        "departs": pd.to_datetime(["2013-01-01T05:00Z", None, *["2013-07-04T22:00Z", "2013-03-09T12:00Z"] * 3]),
        "remark": [None, "late crew", "", "crew change", "snow", "late snow", "late crew", "snow"],
    }
)
LATE = pd.Series([True, False, True, False, True, False, False, True])
REST: list[dict[str, Any]] = [
    {"select": {"type": "datetime"}, "encode": "dates", "impute": "median", "scale": "standard"},
    {"select": {"type": "numeric"}, "clip": {"iqr": 3}, "impute": "median", "indicator": True, "scale": "robust"},
]
CASES = {
    "terms": (
        [
            {"select": {"names": ["remark"]}, "encode": "tfidf"},
            {"select": {"names": ["origin"]}, "encode": "onehot", "impute": "missing"},
            {"select": {"type": "categorical"}, "encode": "ordinal", "impute": "most_frequent"},
            *REST,
        ],
        LogisticRegression(),
    ),
    "categories": (
        [
            {"select": {"names": ["remark"]}, "drop": True},
            {"select": {"type": "categorical"}, "encode": "category"},
            *REST,
        ],
        HistGradientBoostingClassifier(max_iter=3),
    ),
    "decision": (
        [
            {"select": {"type": "categorical"}, "encode": "onehot", "impute": "missing"},
            *REST,
        ],
        with_decision(
            label_encoded(XGBClassifier(n_estimators=3), LATE),
            DecisionRule(positive=True, threshold=0.3, positive_rate=0.5, slope=2.0, intercept=0.1),
        ),
    ),
}
# Loads models as a stranger would, with Waterflow out of reach, and asks them in each way that MLflow has.
PROGRAM = """
import json, sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "waterflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
import mlflow, pandas as pd
from mlflow.models import validate_serving_input
rows = pd.read_json(sys.argv[1], orient="records", dtype=False)
rows["departs"] = pd.to_datetime(rows["departs"])
answers = []
for path in sys.argv[2:]:
    model = mlflow.pyfunc.load_model(path)
    answers.append({
        "example": model.predict(model.input_example).tolist(),
        "json": validate_serving_input(path, open(path + "/serving_input_example.json").read()).tolist(),
        "new": model.predict(rows).tolist(),
        "chances": model.predict(rows, params={"probabilities": True}).to_dict("list"),
    })
print(json.dumps(answers))
"""


def test_models_predict_raw_columns_where_waterflow_is_not_installed(tracked: Project, tmp_path: Path) -> None:
    """Their own example, that as JSON, and rows with unseen categories and nulls: one signature takes them all."""
    resources = workflow.open_resources(tracked)
    experiment = resources.runs.ensure_experiment("raw columns")
    run_id = resources.runs.client.create_run(experiment).info.run_id
    folders, expected = [], []
    for name, (blocks, estimator) in CASES.items():
        parsed = [Block.model_validate(entry) for entry in blocks]
        preprocessor = build_preprocessor(FLIGHTS, parsed, 0, "classification")
        pipeline = Pipeline([("preprocess", preprocessor), ("model", estimator)]).fit(FLIGHTS, LATE)
        logged = resources.models.log_model(
            pipeline,
            experiment_id=experiment,
            run_id=run_id,
            name=name,
            example=FLIGHTS.head(5),
            requirements=["mlflow"],
            pipeline_name="raw columns",
            tags={},
        )
        location = resources.runs.client.get_logged_model(logged.model_id).artifact_location
        folders.append(location.removeprefix("file://"))
        expected.append(pipeline.predict(FLIGHTS.head(5)).tolist())
    new = FLIGHTS.tail(3).assign(carrier=["never seen", None, "AA"], origin=["SFO", None, "JFK"], remark=None)
    new = new.assign(departs=["2013-05-01 07:00", None, "2014-01-01 00:00"], is_delayed_before=[True, None, False])
    new.to_json(tmp_path / "rows.json", orient="records")
    command = [sys.executable, "-I", "-W", "ignore", "-c", PROGRAM, str(tmp_path / "rows.json"), *folders]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["example"] for answer in answers] == expected
    assert [answer["json"] for answer in answers] == expected
    assert [len(answer["new"]) for answer in answers] == [3, 3, 3]
    for answer in answers:  # one column per class; together they are certain
        assert list(answer["chances"]) == ["False", "True"]
        assert np.add(*answer["chances"].values()) == pytest.approx([1, 1, 1])


def test_a_model_takes_what_its_example_did_not_show(tracked: Project, tmp_path: Path) -> None:
    """Nulls and fractions beside integers, 0 and 1 for booleans, empty texts, whole numbers: as training took them."""
    resources = workflow.open_resources(tracked)
    experiment = resources.runs.ensure_experiment("unshown")
    run_id = resources.runs.client.create_run(experiment).info.run_id
    rows = pd.DataFrame(
        {"age": [30, 40, 50, 60], "member": [True, False, True, False], "note": ["a", "b", None, "a"], "paid": 2.5}
    )
    preprocessor = build_preprocessor(rows, DEFAULT_PREPROCESSING, 0, "classification")
    pipeline = Pipeline([("preprocess", preprocessor), ("model", LogisticRegression())]).fit(rows, [0, 1, 0, 1])
    logged = resources.models.log_model(
        pipeline,
        experiment_id=experiment,
        run_id=run_id,
        name="unshown",
        example=rows,
        requirements=["mlflow"],
        pipeline_name="unshown",
        tags={},
        whole=["paid", "age"],
    )
    (tmp_path / "model").mkdir()
    path = resources.models.fetch_model(logged.model_id, "unshown", tmp_path / "model")
    model = mlflow.pyfunc.load_model(str(path))
    assert str(model.metadata.signature.inputs.input_dict()["age"].type) == "DataType.long"  # the contract's word
    for changed in (
        {"member": [1, 0, 1, 1]},
        {"member": [True, None, False, True]},
        {"note": np.nan},
        {"paid": [1, 2, 3, 4]},
        {"paid": [1.5, None, 2, 3]},
    ):
        assert len(model.predict(rows.assign(**changed))) == 4
    with pytest.raises(MlflowException, match="age"):
        model.predict(rows.assign(age=[30, None, 20, 10]))
