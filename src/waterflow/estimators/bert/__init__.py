"""BERT as an estimator with the scikit-learn API; torch and transformers are imported when it is used."""

from waterflow.estimators.bert.estimator import BertClassifier

__all__ = ["BertClassifier"]
