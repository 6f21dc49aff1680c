"""Linear models and Gaussian naive Bayes, by NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from waterflow.serving.compiled.interface import Matrix, NotCompilableError, path_of


@dataclass(frozen=True)
class Line:
    """A linear regression. `factor` and `offset` undo the scaling of the target."""

    coefficients: Matrix
    intercept: float
    factor: float = 1.0
    offset: float = 0.0
    classes: tuple[Any, ...] = ()

    def predict(self, features: Matrix) -> tuple[Matrix, None]:
        """Return the numbers."""
        return (features @ self.coefficients + self.intercept) * self.factor + self.offset, None


@dataclass(frozen=True)
class LogOdds:
    """A logistic regression. Several classes are by softmax."""

    coefficients: Matrix  # (features, 1 or classes)
    intercepts: Matrix
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[np.intp], Matrix]:
        """Return positions of classes, and probabilities."""
        return decide_by_scores(features @ self.coefficients + self.intercepts)


@dataclass(frozen=True)
class GaussianBayes:
    """Gaussian naive Bayes: a normal distribution per class and column."""

    means: Matrix  # (classes, features)
    variances: Matrix
    constants: Matrix  # (classes,): the log of the prior, and of the densities' factors
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[np.intp], Matrix]:
        """Return positions of classes, and probabilities."""
        distances = (features[:, None, :] - self.means) ** 2 / self.variances
        likelihoods = self.constants - 0.5 * distances.sum(axis=2)
        return likelihoods.argmax(axis=1), np.exp(likelihoods - logsumexp(likelihoods, axis=1, keepdims=True))


def decide_by_scores(scores: Matrix) -> tuple[NDArray[np.intp], Matrix]:
    """Return positions of classes and probabilities. `scores` are log-odds, or one per class."""
    if scores.shape[1] == 1:
        positive = expit(scores[:, 0])
        return (scores[:, 0] > 0).astype(np.intp), np.column_stack((1 - positive, positive))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores.argmax(axis=1), powers / powers.sum(axis=1, keepdims=True)


def compile_line(model: Any) -> Line:
    """Compile `Ridge` or `HuberRegressor`."""
    return Line(np.ravel(model.coef_), float(np.ravel(model.intercept_)[0]))


def compile_linear_median(model: Any) -> Line:
    """Compile `LinearMedianRegressor`, which scales its target."""
    inner, scaler = model.regressor_.regressor_, model.regressor_.transformer_
    if path_of(scaler) != "sklearn.preprocessing._data.StandardScaler":
        raise NotCompilableError(f"the target is transformed by {scaler!r}")
    return Line(inner.coef_, float(inner.intercept_[0]), float(scaler.scale_[0]), float(scaler.mean_[0]))


def compile_logistic(model: Any) -> LogOdds:
    """Compile `LogisticRegression`."""
    coefficients = np.ascontiguousarray(model.coef_.T)
    return LogOdds(coefficients, np.asarray(model.intercept_), tuple(model.classes_.tolist()))


def compile_gaussian_bayes(model: Any) -> GaussianBayes:
    """Compile `GaussianNB`."""
    constants = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * model.var_).sum(axis=1)
    return GaussianBayes(model.theta_, model.var_, constants, tuple(model.classes_.tolist()))
