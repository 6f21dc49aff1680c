"""`waterflow init` writes a pipeline that runs as it is, for data that it has never seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy
import statsmodels.api
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.commands import Command
from support.projects import request_of, write_rows

from waterflow import workflow
from waterflow.config.compose import compose_pipeline
from waterflow.config.project import Project
from waterflow.resources import load_config
from waterflow.snapshots import load_rows
from waterflow.steps.prepare import prepare

CO2 = """
select month, co2 - co2_before as rise, lag(co2, 2) over (order by month) - lag(co2, 11) over (order by month) as half,
       co2_before - lag(co2_before, 1) over (order by month) as rise_before, extract(month from month) as season
from (select *, lag(co2) over (order by month) as co2_before from 'data/co2.csv')
"""


def write_public_data(project: Project) -> None:
    """Write three data sets that come with packages, as CSV."""
    wine, patients = load_wine(as_frame=True), load_diabetes(as_frame=True, scaled=False)
    cultivars = wine.target.map({0: "barolo", 1: "grignolino", 2: "barbera"})
    write_rows(project, wine.data.assign(cultivar=cultivars), "wine.csv")
    write_rows(project, patients.data.assign(progression=patients.target), "diabetes.csv")
    co2 = statsmodels.api.datasets.co2.load_pandas().data["co2"].resample("MS").mean()
    write_rows(project, co2.rename_axis("month").reset_index(), "co2.csv")


@pytest.mark.parametrize(
    ("data", "target", "linear", "by_hand"),
    [
        ("data/wine.csv", "cultivar", "logistic_regression", LogisticRegression(C=1.0, max_iter=1000)),
        ("data/diabetes.csv", "progression", "ridge", Ridge(alpha=1.0)),
        (CO2, "rise", "ridge", Ridge(alpha=1.0)),
    ],
    ids=["wine", "diabetes", "co2 by month"],
)
def test_public_data_train_from_what_init_wrote(
    waterflow: Command, tracked: Project, data: str, target: str, linear: str, by_hand: Any
) -> None:
    """Scikit-learn by hand, on the same rows, predicts what the registered candidate predicts."""
    write_public_data(tracked)
    answer = waterflow("init", data, "--target", target, "--name", "unseen")
    assert answer.code == 0, answer.err
    resources = workflow.open_resources(tracked)
    request = request_of("unseen")
    registered = workflow.run_all(request, resources)
    prepared = prepare(request, resources)
    config = load_config(prepared, resources)
    rows = load_rows(prepared, config, resources, ("train", "test"))
    train, test = rows["train"], rows["test"]
    has_gaps = bool(config.preprocessing[0].indicator)
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=has_gaps), StandardScaler())
    model = make_pipeline(make_column_transformer((numbers, list(train.features.columns))), by_hand)
    expected = model.fit(train.features.astype(float), train.target).predict(test.features.astype(float))
    fitted = next(entry for entry in registered.evaluated.ranked if entry.candidate == linear)
    predicted = resources.models.load_model(fitted.model_id, "unseen").predict(test.features)
    if config.task == "regression":
        assert predicted == pytest.approx(expected)
        assert np.abs(predicted - test.target).mean() < np.abs(train.target.median() - test.target).mean()
    else:
        assert predicted.tolist() == expected.tolist()
        assert (predicted == test.target).mean() > 0.9


def test_a_messy_file_becomes_a_pipeline_with_comments(waterflow: Command, tracked: Project) -> None:
    """Each trap is named; words that YAML or Hydra would read otherwise are quoted; the page draws the rows."""
    chance, n = np.random.default_rng(0), 300
    rows = pd.DataFrame(
        {
            "row": range(n),
            "plan": chance.choice(["NO", "on", "${x}"], n),
            "price [EUR]": chance.normal(50, 9, n).round(2),
            "note: #1": [f"left {number} parcels at door" for number in range(n)],
            "web": "yes",
            "born": pd.date_range("1990-01-01", periods=n).strftime("%Y-%m-%d"),
        }
    )
    rows["churned"] = np.where(rows["price [EUR]"] + chance.normal(0, 9, n) > 50, "yes", "no")
    rows["refund"] = (rows["churned"] == "yes") * 5
    rows.loc[3, "churned"] = None
    write_rows(tracked, rows, "my messy file.csv")
    answer = waterflow("init", "data/my messy file.csv", "--target", "churned")
    assert answer.code == 0, answer.err
    written = (tracked.conf / "pipeline" / "my_messy_file.yaml").read_text("utf-8")
    assert "target_nulls: drop  # 1 rows have no churned" in written
    assert "'refund' tells the target by itself" in answer.err
    config = compose_pipeline(tracked, "my_messy_file")
    assert config.known_after == ("refund",)
    assert config.drop == ("web",)
    assert config.key == ("row",)
    assert config.contract is not None
    assert config.contract.columns["plan"].values == ("${x}", "NO", "on")
    assert list(config.candidates) == ["logistic_regression", "xgboost"]  # both take the sparse terms of the note
    assert config.candidates["xgboost"].preprocessing is None
    again = waterflow("init", "data/my messy file.csv", "--target", "churned")
    assert "conf/pipeline/my_messy_file.yaml exists" in again.err
    shown = waterflow("data", "profile", "my_messy_file", "--html", str(tracked.home / "page.html"))
    assert shown.code == 0, shown.err
    page = (tracked.home / "page.html").read_text("utf-8")
    assert page.count("<svg") == 7  # not of the note, whose texts are all different
    assert "price [EUR]" in page
    assert "is free text" in page


def test_nothing_is_written_where_nobody_can_say_what_to_predict(waterflow: Command, tracked: Project) -> None:
    """A script has to name the target; the likely ones are listed."""
    answer = waterflow("init", "data/flowers.csv", "--name", "nobody")
    assert answer.code == 1
    assert "--target: name the column to predict; likely: species" in answer.err
    assert not (tracked.conf / "pipeline" / "nobody.yaml").exists()


def test_tables_of_databases_are_looked_at(waterflow: Command, tracked: Project, tmp_path: Path) -> None:
    """By SQL and by DuckDB; tables are listed, and a column that rows cannot have is left out by name."""
    import duckdb

    flowers = pd.read_csv(tracked.root / "data" / "flowers.csv")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db")
    flowers.to_sql("flowers", engine, index=False)
    engine.dispose()
    with duckdb.connect(str(tracked.root / "data" / "shop.duckdb")) as connection:
        connection.sql(f"create table flowers as select *, [1, 2] as parts from '{tracked.root}/data/flowers.csv'")
    for name, data in (("by_sql", f"sqlite:///{tmp_path}/shop.db"), ("by_duckdb", "data/shop.duckdb")):
        unnamed, wrong = waterflow("init", data), waterflow("init", data, "--table", "flower")
        assert unnamed.err.rstrip().endswith("is a database; name one of its tables, such as --table NAME: flowers")
        assert "did you mean 'flowers'? valid: flowers" in wrong.err
        answer = waterflow("init", data, "--table", "flowers", "--target", "species", "--name", name)
        assert answer.code == 0, answer.err
    assert compose_pipeline(tracked, "by_duckdb").drop == ("parts",)
