import numpy as np

from waterflow.reporting.confusion import MOST_IN_FILE, count_classes
from waterflow.scoring.metrics import Predicted


def test_the_confusion_matrix_counts_truth_by_row() -> None:
    """`matrix[i][j]` rows of class i were predicted as class j."""
    predicted = Predicted(np.array(["a", "a", "b"]), np.array(["a", "b", "b"]), classes=("a", "b"))
    assert count_classes(predicted).to_json() == {"classes": ["a", "b"], "matrix": [[1, 1], [0, 1]]}


def test_numbered_classes_stand_in_order_of_their_numbers() -> None:
    """Class 10 comes after class 9."""
    predicted = Predicted(np.array([9, 10, 9]), np.array([9, 10, 10]))
    assert count_classes(predicted).to_json() == {"classes": ["9", "10"], "matrix": [[1, 1], [0, 1]]}


def test_the_file_holds_so_many_classes_however_many_there_are() -> None:
    """The rarest are counted together, and the file says so."""
    labels = np.repeat(np.arange(1000), 2)
    counted = count_classes(Predicted(labels, labels)).to_json()
    assert len(counted["classes"]) == len(counted["matrix"]) == MOST_IN_FILE
    assert sum(map(sum, counted["matrix"])) == 2000
    assert counted["note"] == "the 99 most frequent of 1000 classes"
