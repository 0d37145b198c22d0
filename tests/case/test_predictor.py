"""What a case gets from a model: the same numbers as an evaluation, whoever else is asked for at the same time."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVR

from vec2uage.base.errors import UserError
from vec2uage.calibration.conformal import Conformal
from vec2uage.calibration.recall import fit
from vec2uage.calibration.saved import SavedCalibration
from vec2uage.case.predictor import ROWS, Predictor
from vec2uage.config.component import Component
from vec2uage.training.calibrated import Calibrated
from vec2uage.training.heads.gaussian import Gaussian
from vec2uage.training.learners.sklearn import SklearnModel
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization
from vec2uage.training.outcome import Model

X = np.random.default_rng(0).normal(size=(77, 512)).astype(np.float32)


def network(outputs: int = 1, **options: object) -> NetworkModel:
    torch.manual_seed(0)
    made = MLP(512, (64, 16), outputs)
    weights = {name: tensor[None] for name, tensor in made.state_dict().items()}
    component = Component("vec2uage.training.models.MLP", (("hidden", (64, 16)),))
    return NetworkModel(component, weights, 512, Normalization("l2"), "facenet", **options)


def regressor() -> SklearnModel:
    ages = np.random.default_rng(1).uniform(1, 40, len(X))
    return SklearnModel(SVR().fit(X.astype(np.float64), ages), 512, Normalization("none"), "facenet")


def calibrated(model: Model, boundary: float = 17.5) -> Calibrated:
    """Fit a calibration and a threshold to faces of other ages than the model says."""
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(400, 512)).astype(np.float32)
    ages = np.floor(generator.uniform(1, 40, 400)).astype(np.float32)
    prediction = model.predict(vectors)
    fitted = Conformal().fit(prediction, ages, {})
    return Calibrated(
        model,
        SavedCalibration(
            model=model.digest, encoder="facenet", tta=0, rows="others", faces=400, data_fingerprint="0",
            vectors="0" * 16, boundary=boundary, fitted=fitted,
            threshold=fit(prediction, ages, boundary, 0.9, 0.9),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("make", [network, regressor])
def test_numbers_are_those_of_the_calibrated_model(make: Callable[[], Model]) -> None:
    both = calibrated(make())
    own = both.model.predict(X)
    wanted = both(own, {})
    found = Predictor(both, "digest", 17.5)(X)
    low, high = wanted.interval(0.9)
    for numbers, expected in ((found.age, wanted.median), (found.low, low), (found.high, high)):
        np.testing.assert_allclose(numbers, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.p_minor, wanted.cdf(17.5), atol=1e-5)
    assert found.flagged is not None
    assert (found.flagged == both.flagged(own)).mean() > 0.98  # one at the threshold may fall on either side
    assert 0 < found.flagged.sum() < len(X)
    assert found.distance is None


@settings(max_examples=8)
@given(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=2 * ROWS + 3))
def test_a_faces_numbers_do_not_depend_on_the_others(rows: list[int]) -> None:
    for predictor, alone in PREDICTORS:
        found = predictor(X[rows])
        for name in ("age", "low", "high", "p_minor", "flagged"):
            assert getattr(found, name).tolist() == getattr(alone, name)[rows].tolist()


PREDICTORS = [
    (predictor, predictor(X))
    for predictor in (
        Predictor(calibrated(network()), "digest", 17.5),
        Predictor(calibrated(network(2, head=Gaussian())), "digest", 17.5),
        Predictor(calibrated(regressor()), "digest", 17.5),
    )
]


def test_points_have_neither_interval_nor_probability() -> None:
    found = Predictor(Calibrated(network()), "digest", 17.5)(X)
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert found.p_minor is None
    assert found.flagged is None


def test_a_model_that_gives_no_number_is_refused() -> None:
    diverged = network()
    next(iter(diverged.weights.values()))[:] = float("nan")
    with pytest.raises(UserError, match="diverged"):
        Predictor(Calibrated(diverged), "digest", 17.5)(X)
