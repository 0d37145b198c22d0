"""Training rows that count by weights: the same mean as with rows that are repeated, for networks and regressors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from vec2uage.base.errors import UserError
from vec2uage.training.data import load
from vec2uage.training.inputs import VectorInputs

WEIGHTS = ("dataset.size=small", "split.heldout_per_age=20", "augmentation=weights")


@pytest.fixture
def two_ways(make_data):
    """The same faces, a quarter of which count three times: by weights, and repeated."""
    data = make_data(rows=80)
    x, age = data.train.x, data.train.age
    weighted = VectorInputs(x, age, torch.tensor([3.0] * 20 + [1.0] * 60) / 1.5)
    rows = torch.cat([torch.arange(20).repeat(3), torch.arange(20, 80)])
    repeated = VectorInputs(x[rows], age[rows])
    return [replace(data, parts={**data.parts, "train": train}) for train in (weighted, repeated)]


@pytest.mark.parametrize("head", ["scalar", "gaussian", "classes"])
def test_a_step_with_weights_is_one_with_repeated_rows(head, two_ways, make_run, train):
    run = make_run(
        "optimizer=sgd", f"head={head}", optimizer={"lr": 0.05}, trainer={"batch_size": 120, "max_epochs": 1}
    )
    one, other = (train([run], data) for data in two_ways)
    for name, weight in one.outcomes[0].weights.items():
        torch.testing.assert_close(weight, other.outcomes[0].weights[name], rtol=1e-4, atol=1e-6)
    for score in ("train/loss", "train/mae"):
        assert one.epochs[0][0].scores[score] == pytest.approx(other.epochs[0][0].scores[score], rel=1e-5)
    scores, of_repeated = ({n: s for n, s in seen.outcomes[0].scores.items() if "train/" in n} for seen in (one, other))
    assert {"train/loss", "train/mae", "train/rmse", "train/bias", "train/crps"} <= set(scores)
    assert scores == pytest.approx({name: of_repeated[name] for name in scores}, rel=1e-4)


def test_the_training_part_has_its_rows_once_and_those_of_every_age_count_the_same(make_run):
    data = load(make_run(*WEIGHTS), torch.device("cpu"))
    ages, counts = np.unique(np.floor(data.train.age.numpy()), return_counts=True)
    assert len(set(counts.tolist())) > 1
    totals = [float(data.train.weight[data.train.age.floor() == age].sum()) for age in ages]
    assert totals == pytest.approx([len(data.train) / len(ages)] * len(ages), rel=1e-4)
    assert data.parts["validation"].weight is None


def test_a_regressor_is_fitted_with_the_weights_or_refused(make_run, train):
    run = make_run(*WEIGHTS, "model=ridge")
    data = load(run, torch.device("cpu"))
    x, age, weight = (column.double().numpy() for column in (data.train.x, data.train.age, data.train.weight))
    expected = Ridge(alpha=1.0).fit(x, age, sample_weight=weight).predict(data.parts["test"].x.double().numpy())
    outcome = train([run], data).outcomes[0]
    np.testing.assert_allclose(outcome.prediction.median, expected, rtol=1e-4)
    errors = np.abs(Ridge(alpha=1.0).fit(x, age, sample_weight=weight).predict(x) - age)
    assert outcome.scores["train/mae"] == pytest.approx(np.average(errors, weights=weight), rel=1e-4)
    with pytest.raises(UserError, match=r"augmentation: .*sample_weight.*balance"):
        make_run(*WEIGHTS, "model=ridge", "model._target_=sklearn.neighbors.KNeighborsRegressor", "~model.alpha")
