"""What a first model must beat: a rule that looks at no feature."""

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor

from waterflow.config.metrics import Task
from waterflow.scoring.metrics import Predicted, predict_rows


def predict_baseline(rule: str, train_target: pd.Series, target: pd.Series, task: Task) -> Predicted:
    """Predict `target`'s rows by a rule learnt from the training rows: `most_frequent`, `mean` or `median`.

    Classes get the shares that they have in training as probabilities.
    """
    model = DummyClassifier(strategy="prior") if task == "classification" else DummyRegressor(strategy=rule)
    model.fit(np.zeros((len(train_target), 1)), train_target.to_numpy())
    return predict_rows(model, pd.DataFrame(np.zeros((len(target), 1))), target, task)
