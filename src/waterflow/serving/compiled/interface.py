"""What every compiled part has in common."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
MatrixStep = Callable[[Matrix], Matrix]
Categories = Sequence[tuple[str, ...] | None]  # of each feature; None for numbers


class NotCompilableError(Exception):
    """A pipeline without a fast path. The message is a clause that says why, and is shown to people."""


class CompiledModel(Protocol):
    """The last step of a pipeline. A function of the transformed columns.

    `classes` is empty for a regression. `predict` takes shape (rows, features) and returns the position of each row's
    class, or its number, and the probabilities, shape (rows, classes), where the model has some.
    """

    @property
    def classes(self) -> tuple[Any, ...]:
        """Return the names of the classes."""
        ...

    def predict(self, features: Matrix) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return positions of classes or numbers, and probabilities."""
        ...


def path_of(value: Any) -> str:
    """Return the dotted path of a value's exact type.

    Not the type itself: a model brings its own copy of our classes, which are pickled by value.
    """
    return f"{type(value).__module__}.{type(value).__qualname__}"
