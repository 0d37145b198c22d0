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
        (MSE(), lambda p, a: functional.mse_loss(p, a, reduction="none")),
        (L1(), lambda p, a: functional.l1_loss(p, a, reduction="none")),
        (Huber(delta=3.0), lambda p, a: functional.huber_loss(p, a, reduction="none", delta=3.0)),
        (Quartic(), lambda p, a: (p - a) ** 4),
        (Relative(), lambda p, a: (p - a) ** 2 / (1 + a)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_loss_and_its_gradient_are_those_of_torch_element_by_element(loss, reference):
    predicted = PREDICTED.clone().requires_grad_()
    expected = reference(predicted, AGE)
    expected.sum().backward()
    with torch.no_grad():
        losses, gradient = loss.with_gradient(PREDICTED, AGE)
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(gradient, predicted.grad)
    assert torch.equal(losses, loss(PREDICTED, AGE))
    assert not losses.requires_grad


def test_huber_refuses_a_delta_that_is_not_positive():
    with pytest.raises(ValidationError, match="greater than 0"):
        Huber(delta=0.0)


def test_the_chosen_loss_is_the_one_that_is_trained_and_reported(make_run, make_data, train):
    test = make_data().parts["test"]
    references = {
        ("loss=mse",): functional.mse_loss,
        ("loss=l1",): functional.l1_loss,
        ("loss=huber", "loss.delta=5"): lambda p, a: functional.huber_loss(p, a, delta=5.0),
    }
    errors = set()
    for overrides, reference in references.items():
        outcome = train([make_run(*overrides, "optimizer=sgd", optimizer={"lr": 1e-3})], make_data()).outcomes[0]
        expected = reference(torch.from_numpy(outcome.prediction.median), test.age)
        assert outcome.scores["test/loss"] == pytest.approx(float(expected), rel=1e-5)
        errors.add(outcome.scores["test/mae"])
    assert len(errors) == 3
