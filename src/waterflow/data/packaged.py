"""Data sets that arrive with a Python package: one loader each, named by `dataset.loader`."""

from collections.abc import Callable

import pandas as pd


def iris() -> pd.DataFrame:
    """Load the 150 irises of scikit-learn (BSD; Fisher 1936).

    Columns: sepal_length_cm, sepal_width_cm, petal_length_cm, petal_width_cm (float) and species (str),
    50 rows each of setosa, versicolor and virginica.
    """
    from sklearn.datasets import load_iris  # the package loads a dozen others

    bunch = load_iris()
    columns = [name.replace(" (cm)", "_cm").replace(" ", "_") for name in bunch.feature_names]
    frame = pd.DataFrame(bunch.data, columns=columns)
    return frame.assign(species=pd.Series(bunch.target_names[bunch.target], dtype="str"))


LOADERS: dict[str, Callable[[], pd.DataFrame]] = {"iris": iris}
