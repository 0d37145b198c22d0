"""Temperature scaling: it finds by how much a model is too sure, and refuses what has no probabilities."""

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.calibration.fitted import from_json
from vec2uage.calibration.temperature import Temperature
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_of_normal_distributions_it_is_the_mean_squared_error_in_units_of_their_variance(factor: float) -> None:
    generator = np.random.default_rng(0)
    scale = generator.uniform(1, 2, 400)
    location = generator.uniform(5, 30, 400)
    ages = location + factor * scale * generator.standard_normal(400)
    fitted = Temperature().fit(Normal(location, scale), ages, {})
    assert fitted.temperature == pytest.approx(np.mean(((ages - location) / scale) ** 2), rel=1e-3)
    assert fitted.after <= fitted.before
    assert from_json(fitted.to_json()) == fitted
    calibrated = fitted(Normal(location, scale), {})
    assert -calibrated.log_density(ages).mean() == pytest.approx(fitted.after)


def test_points_have_no_probabilities() -> None:
    with pytest.raises(UserError, match="no probabilities"):
        Temperature().fit(Point(np.arange(3.0)), np.arange(3.0), {})
