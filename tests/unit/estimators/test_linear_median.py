import numpy as np
import pytest

from waterflow.estimators.linear_median import LinearMedianRegressor


@pytest.mark.parametrize("unit", [0.001, 1.0, 100_000.0])
def test_the_median_is_found_whatever_the_unit_of_the_target(unit: float) -> None:
    """Prices of 300,000 as well as thousandths; errors lean to one side, so the mean would lie above."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(2000, 3))
    median = 3 + features @ [1.0, -0.5, 0.0]
    target = unit * (median + generator.exponential(1.0, 2000) - np.log(2))
    fitted = LinearMedianRegressor(random_state=0).fit(features, target)
    assert np.abs(fitted.predict(features) / unit - median).mean() < 0.15
