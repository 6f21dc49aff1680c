"""What a plain scikit-learn script gets from the data of the shipped pipelines, for the README's table.

    waterflow data fetch reviews
    python benchmarks/baselines.py

It uses the same columns as the pipeline and nothing else of Waterflow: no tuning, scikit-learn's default
preprocessing, one fixed seed.
"""

from pathlib import Path

import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from waterflow.config.compose import compose_pipeline
from waterflow.config.project import find_project
from waterflow.data.columns import feature_columns
from waterflow.data.sources.reading import load_source
from waterflow.stores.open import copy_object

MOST_CATEGORIES = 255  # that the boosting accepts


def main() -> None:
    """Print one line for each baseline."""
    flights, columns = load("flights")
    early = flights["scheduled_departure"] < pd.Timestamp("2013-04-01", tz="UTC")
    month = ~early & (flights["scheduled_departure"] < pd.Timestamp("2013-05-01", tz="UTC"))
    rows = as_features(flights, columns)
    model = boosting().fit(rows[early], flights.loc[early, "late"])
    score = roc_auc_score(flights.loc[month, "late"], model.predict_proba(rows[month])[:, 1])
    print(f"flights, January to March asked about April: ROC AUC {score:.3f}")

    water, columns = load("water")
    for group, words in (("service_area", "over service areas"), ("pwsid", "over main water systems, which leaks")):
        splits = GroupKFold(5, shuffle=True, random_state=0).split(water, groups=water[group])
        scores = cross_val_score(
            boosting(),
            as_features(water, columns),
            water["has_health_violations"],
            cv=list(splits),
            scoring="roc_auc",
        )
        print(f"water, cross-validated {words}: ROC AUC {scores.mean():.3f} ± {scores.std():.3f}")

    reviews, (text,) = load("reviews")
    train, test = train_test_split(reviews, test_size=0.2, random_state=0)
    for name, model in (
        ("TF-IDF and logistic regression", LogisticRegression(max_iter=1000)),
        ("the majority", DummyClassifier()),
    ):
        fitted = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), model).fit(train[text], train["sentiment"])
        print(f"reviews, {name}: accuracy {fitted.score(test[text], test['sentiment']):.3f}")


def load(pipeline: str) -> tuple[pd.DataFrame, list[str]]:
    """Read a pipeline's rows, and return its feature columns."""
    project = find_project(start=Path(__file__).parent)
    config = compose_pipeline(project, pipeline, ())
    frame = load_source(config, project, copy_object).frame
    return frame, list(feature_columns(frame, config))


def as_features(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Convert texts to categories, or to codes with too many values."""
    rows = frame[columns].copy()
    for name in rows.select_dtypes(exclude=["number", "bool"]):
        codes = rows[name].astype("category")
        rows[name] = codes if codes.cat.categories.size <= MOST_CATEGORIES else codes.cat.codes
    return rows


def boosting() -> HistGradientBoostingClassifier:
    """Return scikit-learn's boosting with its defaults."""
    return HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)


if __name__ == "__main__":
    main()
