"""The guarantee that minors are flagged: it holds as often as it says, and no known one is tighter."""

import json
import warnings

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.stats import beta, norm

from vec2uage.base.errors import UserError
from vec2uage.calibration.recall import Threshold, count, fit, minors_needed, rank
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Quantiles
from vec2uage.predictions.point import Point

BOUNDARY = 17.5


def scored(p_minor: np.ndarray) -> Normal:
    """Distributions of age that have these probabilities up to the boundary."""
    return Normal(BOUNDARY - norm.ppf(p_minor), np.ones(len(p_minor)))


def drawn(minors: int, adults: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """P(minor) and ages of faces; of minors, 5% have less than the 0.05 quantile of Beta(4, 1.5)."""
    p = np.concatenate([generator.beta(4, 1.5, minors), generator.beta(1.5, 4, adults)])
    return p, np.concatenate([np.full(minors, 10.0), np.full(adults, 30.0)])


@pytest.mark.parametrize("minors", [70, 100, 433])
def test_the_recall_is_reached_in_as_many_sets_as_the_confidence_says(minors: int) -> None:
    """In 1,000 drawn sets, of whose thresholds the true recall is known; and in hardly more of them."""
    generator = np.random.default_rng(minors)
    thresholds = []
    for _ in range(1000):
        p, ages = drawn(minors, 5, generator)
        thresholds.append(fit(scored(p), ages, BOUNDARY, 0.95, 0.95).p_minor)
    held = beta.sf(thresholds, 4, 1.5) >= 0.95
    # the share of minors below the k-th of n scores has this distribution, whatever that of the scores
    exact = beta.cdf(0.05, rank(minors, 0.95, 0.95), minors - rank(minors, 0.95, 0.95) + 1)
    assert held.mean() >= 0.95
    assert abs(held.mean() - exact) < 0.02
    assert 0.95 <= exact < 0.98


def test_the_threshold_is_at_least_as_tight_as_that_of_learn_then_test() -> None:
    """That of mapie: the thresholds themselves as a fixed sequence, from the one that flags everybody on."""
    from mapie.risk_control import BinaryClassificationController

    generator, differences = np.random.default_rng(5), []
    for minors in (59, 80, 200, 500):
        for _ in range(5):
            p, ages = drawn(minors, minors, generator)
            own = fit(scored(p), ages, BOUNDARY, 0.95, 0.95)
            grid = np.sort(scored(p).cdf(BOUNDARY)[ages <= BOUNDARY])
            controller = BinaryClassificationController(
                predict_function=lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
                risk="recall",
                target_level=0.95,
                confidence_level=0.95,
                list_predict_params=grid,
                fwer_method="fixed_sequence",
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                controller.calibrate(scored(p).cdf(BOUNDARY)[:, None], (ages <= BOUNDARY).astype(int))
            found = controller.valid_predict_params
            differences.append(own.p_minor - max(found) if len(found) else np.inf)
    assert min(differences) >= 0


def test_59_minors_are_needed_and_told() -> None:
    p, ages = drawn(59, 10, np.random.default_rng(0))
    assert minors_needed(0.95, 0.95) == 59
    threshold = fit(scored(p), ages, BOUNDARY, 0.95, 0.95)
    assert threshold.p_minor == pytest.approx(p[:59].min())
    assert threshold.fitted_to.minors == threshold.fitted_to.flagged_minors == 59
    assert threshold.fitted_to.adults == 10
    with pytest.raises(UserError, match=r"58 faces under 18 .* 59 are needed"):
        fit(scored(p[1:]), ages[1:], BOUNDARY, 0.95, 0.95)
    with pytest.raises(UserError, match=r"adults too.*split\.age_range"):
        fit(scored(p[:59]), ages[:59], BOUNDARY, 0.95, 0.95)


@pytest.mark.parametrize(("recall", "confidence"), [(0.9, 0.95), (0.99, 0.9), (0.5, 0.5), (0.95, 0.99)])
def test_a_minor_fewer_would_not_do(recall: float, confidence: float) -> None:
    needed = minors_needed(recall, confidence)
    assert rank(needed, recall, confidence) == 1
    assert rank(needed - 1, recall, confidence) == 0


def test_points_are_flagged_by_their_age() -> None:
    """A model without a spread: the k-th oldest that a minor is taken for is the limit."""
    generator = np.random.default_rng(0)
    ages = np.concatenate([generator.uniform(1, 17, 200), generator.uniform(18, 40, 200)])
    predicted = ages + generator.normal(0, 3, 400)
    threshold = fit(Point(predicted), ages, BOUNDARY, 0.95, 0.95)
    assert threshold.age == np.sort(predicted[:200])[-rank(200, 0.95, 0.95)]
    assert threshold.flagged(Point(predicted)).tolist() == (predicted <= threshold.age).tolist()
    assert f"{threshold.age:.2f} years" in threshold.text()
    assert f"{threshold.fitted_to.flagged_adults} of 200 adults" in threshold.text()


def test_of_faces_that_are_no_minors_for_sure_the_younger_are_flagged() -> None:
    """An error that no calibration face had leaves P(minor) at 0, of some minors too: that flags no adult of 40."""
    predicted = np.concatenate([np.linspace(5, 15, 90), np.linspace(20, 24, 10), np.linspace(22, 40, 100)])
    ages = np.array([12.0] * 100 + [30.0] * 100)
    bounded = Quantiles(np.array([0.0, 1.0]), np.stack([predicted - 1, predicted + 1], axis=1))
    threshold = fit(bounded, ages, BOUNDARY, 0.95, 0.95)
    assert threshold.p_minor == 0
    assert threshold.age == np.sort(predicted[:100])[-rank(100, 0.95, 0.95)]
    assert threshold.fitted_to.flagged_adults == (predicted[100:] <= threshold.age).sum() < 15


def test_ties_are_flagged() -> None:
    p, ages = np.array([0.5] * 100 + [0.5] * 20 + [0.1] * 20), np.array([10.0] * 100 + [20.0] * 40)
    threshold = fit(scored(p), ages, BOUNDARY, 0.95, 0.95)
    assert threshold.fitted_to == count(ages, threshold.flagged(scored(p)))
    assert threshold.fitted_to.text() == "100 of 100 minors (100.0%) and 20 of 40 adults (50.0%)"


def test_a_threshold_is_read_as_it_was_written() -> None:
    threshold = fit(scored(drawn(80, 8, np.random.default_rng(1))[0]), np.repeat([9.0, 30.0], [80, 8]), 17.5, 0.9, 0.9)
    adapter = TypeAdapter(Threshold)
    assert adapter.validate_python(json.loads(json.dumps(adapter.dump_python(threshold)))) == threshold
