"""BERT with the scikit-learn API. `torch` and `transformers` are imported on use."""

from waterflow.estimators.bert.estimator import BertClassifier

__all__ = ["BertClassifier"]
