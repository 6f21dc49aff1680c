"""What a good practitioner would type by hand: the work of `waterflow run iris`, with no platform around it.

    python benchmarks/bare_script.py HOME

Below HOME go an MLflow database, its artifacts and the Parquet files. It logs what the product logs (one
parent run, a nested run per candidate with its parameters, metrics, confusion matrix, data set and model,
the pictures once, a registered version with its alias), written plainly against MLflow's own API. It does
what makes such a script fast: requirements are given and not inferred, and the model is pickled.
"""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import sklearn
from mlflow.models import infer_signature
from sklearn import metrics
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

matplotlib.use("Agg")

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("home", type=Path, metavar="HOME", help="folder for all that it writes")
HOME = parser.parse_args().home.resolve()
TARGET = "species"
CANDIDATES = {
    "logistic_regression": LogisticRegression(max_iter=1000, random_state=0),
    "k_neighbors": KNeighborsClassifier(n_neighbors=5),
    "svc": SVC(C=1.0, random_state=0),
    "random_forest": RandomForestClassifier(n_estimators=200, random_state=0),
    "hist_gradient_boosting": HistGradientBoostingClassifier(random_state=0),
}
REQUIREMENTS = [
    f"mlflow=={mlflow.__version__}",
    f"scikit-learn=={sklearn.__version__}",
    f"pandas=={pd.__version__}",
    f"numpy=={np.__version__}",
]


def load_parts():
    """Load Iris, split it 60:20:20 by class, and write each part to Parquet."""
    frame = load_iris(as_frame=True).frame.rename(columns=lambda name: name.replace(" (cm)", "_cm").replace(" ", "_"))
    frame[TARGET] = pd.Series(load_iris().target_names[frame.pop("target")], dtype="str")
    rest, test = train_test_split(frame, test_size=30, stratify=frame[TARGET], random_state=3)
    train, validation = train_test_split(rest, test_size=30, stratify=rest[TARGET], random_state=3)
    parts = {"train": train, "validation": validation, "test": test}
    (HOME / "data").mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        part.to_parquet(HOME / "data" / f"{name}.parquet", index=False)
    return {name: (part.drop(columns=TARGET), part[TARGET]) for name, part in parts.items()}


def score(model, features, truth, prefix):
    """Compute the metrics of one part: accuracy and the like, macro averages, each class, and by probability."""
    prediction, classes = model.predict(features), model.classes_
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, prediction, labels=classes, zero_division=0.0
    )
    scores = {
        "accuracy": metrics.accuracy_score(truth, prediction),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, prediction),
        "precision_macro": precision.mean(),
        "recall_macro": recall.mean(),
        "f1_macro": f1.mean(),
    }
    for position, name in enumerate(classes):
        scores |= {f"precision.{name}": precision[position], f"recall.{name}": recall[position]}
        scores |= {f"f1.{name}": f1[position]}
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(features)
        scores["log_loss"] = metrics.log_loss(truth, probabilities, labels=classes)
        scores["roc_auc"] = metrics.roc_auc_score(truth, probabilities, labels=classes, multi_class="ovr")
    matrix = {
        "classes": list(classes),
        "matrix": metrics.confusion_matrix(truth, prediction, labels=classes).tolist(),
    }
    return {f"{prefix}_{name}": float(value) for name, value in scores.items()}, matrix


def train(name, estimator, parts, dataset):
    """Fit one candidate and log it in a nested run; returns the model, its id and its scores."""
    with mlflow.start_run(run_name=name, nested=True):
        model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), estimator)
        model.fit(*parts["train"])
        scores, matrix = score(model, *parts["validation"], "validation")
        mlflow.log_params({"estimator": type(estimator).__name__, **estimator.get_params()})
        mlflow.log_metrics(scores)
        mlflow.log_dict(matrix, "confusion_matrix_validation.json")
        mlflow.log_input(dataset, context="train")
        example = parts["train"][0].head(5)
        info = mlflow.sklearn.log_model(
            model,
            name=name,
            signature=infer_signature(example, model.predict(example)),
            input_example=example,
            pip_requirements=REQUIREMENTS,
            serialization_format="cloudpickle",
        )
    return model, info.model_id, scores


def draw(model, features, truth, scores, winner):
    """Draw and log the candidates side by side, and the winner's confusion matrix, ROC and precision-recall curves."""
    probabilities = model.predict_proba(features)
    shown = ["f1_macro", "accuracy", "log_loss"]
    figures = {name: plt.figure(layout="constrained") for name in ("roc_curve", "precision_recall_curve")}
    for position, name in enumerate(model.classes_):
        positive = truth == name
        x, y, _ = metrics.roc_curve(positive, probabilities[:, position])
        figures["roc_curve"].gca().plot(x, y, label=name)
        y, x, _ = metrics.precision_recall_curve(positive, probabilities[:, position])
        figures["precision_recall_curve"].gca().plot(x, y, label=name)
    for figure in figures.values():
        figure.gca().legend()
    figures["confusion_matrix"] = plt.figure(layout="constrained")
    metrics.ConfusionMatrixDisplay.from_predictions(
        truth, model.predict(features), ax=figures["confusion_matrix"].gca(), cmap="Blues", colorbar=False
    )
    figures["candidates"], axes = plt.subplots(1, len(shown), sharey=True, figsize=(9.9, 3.4), layout="constrained")
    for axis, metric in zip(axes, shown, strict=True):
        bars = axis.barh(list(scores), [entry.get(f"validation_{metric}", 0.0) for entry in scores.values()])
        axis.bar_label(bars, fmt="%.3f")
        axis.set_title(metric)
    figures["candidates"].suptitle(f"winner: {winner}")
    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}.png", save_kwargs={"dpi": 110})


def main():
    """Train the candidates, evaluate the best of them on the test rows, register it and set the alias."""
    mlflow.set_tracking_uri(f"sqlite:///{HOME}/mlflow.db")
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name("bare/iris")
    mlflow.set_experiment(
        experiment_id=found.experiment_id
        if found
        else client.create_experiment("bare/iris", artifact_location=f"{HOME}/mlartifacts/iris")
    )
    parts = load_parts()
    dataset = mlflow.data.from_pandas(
        pd.concat(parts["train"], axis=1), source=str(HOME / "data" / "train.parquet"), targets=TARGET, name="iris"
    )
    with mlflow.start_run(run_name="iris"):
        mlflow.log_params({"target": TARGET, "candidates": ", ".join(CANDIDATES), "rows": 150})
        mlflow.log_input(dataset, context="train")
        trained = {name: train(name, estimator, parts, dataset) for name, estimator in CANDIDATES.items()}
        scores = {name: entry[2] for name, entry in trained.items()}
        winner = max(scores, key=lambda name: scores[name]["validation_f1_macro"])
        model, model_id, _ = trained[winner]
        holdout, matrix = score(model, *parts["test"], "test")
        mlflow.log_metrics(holdout)
        mlflow.log_dict(matrix, "confusion_matrix_test.json")
        draw(model, *parts["test"], scores, winner)
        version = mlflow.register_model(f"models:/{model_id}", "iris").version
        client.set_registered_model_alias("iris", "challenger", version)
        client.set_registered_model_alias("iris", "champion", version)
    for name, entry in scores.items():
        print(f"{name:>24}  f1_macro {entry['validation_f1_macro']:.4f}")
    print(f"winner {winner}: f1_macro {holdout['test_f1_macro']:.4f} on the holdout; registered iris version {version}")


if __name__ == "__main__":
    main()
