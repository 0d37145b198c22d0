"""Losses against those of torch, and in training."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from vec2uage.config.settings import settings
from vec2uage.training.losses import L1, MSE, Huber, Loss

PREDICTED = torch.tensor([[1.0, 8.0, 30.0], [2.5, 17.0, 4.0]])
AGE = torch.tensor([[1.5, 3.0, 10.0], [2.5, 18.0, 4.5]])


@settings
class Quartic(Loss):
    """A user's own."""

    def __call__(self, predicted, age):
        return (predicted - age) ** 4


@settings
class Relative(MSE):
    """A user's own that changes one of ours."""

    def __call__(self, predicted, age):
        return super().__call__(predicted, age) / (1 + age)


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (MSE(), functional.mse_loss),
        (L1(), functional.l1_loss),
        (Huber(delta=1.0), functional.huber_loss),
        (Huber(delta=3.0), lambda p, a, reduction: functional.huber_loss(p, a, reduction=reduction, delta=3.0)),
    ],
)
def test_a_loss_is_that_of_torch_element_by_element(loss, reference):
    torch.testing.assert_close(loss(PREDICTED, AGE), reference(PREDICTED, AGE, reduction="none"))


@pytest.mark.parametrize(
    "loss", [MSE(), L1(), Huber(delta=2.0), Quartic(), Relative()], ids=lambda loss: type(loss).__name__
)
def test_the_gradient_of_a_loss_is_that_of_autograd(loss):
    predicted = PREDICTED.clone().requires_grad_()
    expected = loss(predicted, AGE)
    expected.sum().backward()
    with torch.no_grad():
        losses, gradient = loss.with_gradient(PREDICTED, AGE)
    assert torch.equal(losses, expected.detach())
    assert torch.equal(gradient, predicted.grad)
    assert not losses.requires_grad


def test_huber_bounds_the_gradient_at_delta_years():
    _, gradient = Huber(delta=2.0).with_gradient(PREDICTED, AGE)
    torch.testing.assert_close(gradient, (PREDICTED - AGE).clamp(-2, 2))


def test_huber_refuses_a_delta_that_is_not_positive():
    with pytest.raises(ValidationError, match="greater than 0"):
        Huber(delta=0.0)


def test_the_chosen_loss_is_the_one_that_is_trained_and_reported(make_run, make_data, train):
    data = make_data()
    references = {
        ("loss=mse",): functional.mse_loss,
        ("loss=l1",): functional.l1_loss,
        ("loss=huber", "loss.delta=5"): lambda p, a: functional.huber_loss(p, a, delta=5.0),
    }
    figures = set()
    for overrides, reference in references.items():
        outcome = train([make_run(*overrides, "optimizer=sgd", optimizer={"lr": 1e-3})], data).outcomes[0]
        expected = reference(torch.from_numpy(outcome.predictions), data.test.age)
        assert outcome.test_loss == pytest.approx(float(expected), rel=1e-5)
        figures.add(outcome.test_mae)
    assert len(figures) == 3
