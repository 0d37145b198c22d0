"""Heads: what a network's outputs mean, what they cost, and the prediction they stand for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vec2uage.base import seeds
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.predictions.point import Point
from vec2uage.training import models
from vec2uage.training.heads.base import Head
from vec2uage.training.heads.scalar import Scalar
from vec2uage.training.losses import L1, MSE, Huber
from vec2uage.training.stack_check import check_stackable

CPU = torch.device("cpu")
RAW = torch.tensor([[[1.0], [8.0], [30.0]], [[2.5], [17.0], [4.0]]])
AGE = torch.tensor([[1.5, 3.0, 10.0], [2.5, 18.0, 4.5]])
THIRDS = ("head._target_=test_heads.Thirds", "~head.loss")


@settings
class Thirds(Head):
    """A user's own: three numbers, each punished for itself, whose mean is the age."""

    weight: float = 1.0

    @property
    def outputs(self):
        return 3

    def loss_of(self, raw, age):
        return self.weight * (raw - age[..., None]).square().sum(-1)

    def point(self, raw):
        return raw.mean(-1)

    def prediction(self, raw):
        return Point(raw.mean(axis=1))

    def to_predict(self):
        return {"weight": self.weight}


@pytest.mark.parametrize("head", [Scalar(loss=MSE()), Scalar(loss=L1()), Scalar(loss=Huber(delta=2.0)), Thirds()])
def test_the_gradient_of_a_head_is_that_of_autograd(head):
    raw = RAW.repeat(1, 1, head.outputs) + torch.arange(head.outputs)
    leaf = raw.clone().requires_grad_()
    expected = head.loss_of(leaf, AGE)
    expected.sum().backward()
    with torch.no_grad():
        losses, gradient = head.loss_with_gradient(raw, AGE)
    assert torch.equal(losses, expected.detach())
    assert torch.equal(gradient, leaf.grad)
    assert (losses.shape, losses.requires_grad) == (AGE.shape, False)


def test_the_one_output_of_the_scalar_head_is_the_age():
    assert torch.equal(Scalar().point(RAW), RAW[..., 0])
    assert Scalar().prediction(RAW[0].numpy()).median.tolist() == [1.0, 8.0, 30.0]
    assert Scalar().outputs == 1


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_head_of_several_outputs_trains_alike_alone_and_stacked(optimizer, make_run, make_data, train):
    data = make_data(512)
    runs = [
        make_run(*THIRDS, "model.hidden=[512,256,128]", f"optimizer={optimizer}", optimizer={"lr": lr}, seed=seed)
        for seed, lr in enumerate((1e-3, 1e30, 1e-2, 3e-3))
    ]
    assert check_stackable(runs[0], 512, 100, CPU).stackable
    together = train(runs, data)
    assert together.outcomes[1].status == "diverged"
    for position in (0, 2, 3):
        assert together.everything(position) == train([runs[position]], data).everything(0)
    outcome = together.outcomes[0]
    assert outcome.weights["layers.3.weight"].shape == (3, 128)
    raw = outcome.model.network(data.parts["test"].x).detach()
    expected = (raw - data.parts["test"].age[:, None]).square().sum(1).mean()
    assert outcome.scores["test/loss"] == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(outcome.prediction.median, raw.mean(1), rtol=1e-5)


def test_a_head_of_several_outputs_trains_as_a_plain_loop_of_torch(make_run, make_data, train):
    data = make_data()
    run = make_run(*THIRDS, "optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.01}, trainer={"max_epochs": 1})
    seen = train([run], data)
    network = models.build(run.model, data.dimension, 3, run.seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for index in torch.randperm(100, generator=seeds.torch_generator(run.seed, "batches")).split(32):
        optimizer.zero_grad()
        (network(data.train.x[index]) - data.train.age[index, None]).square().sum(1).mean().backward()
        optimizer.step()
    for name, weight in seen.outcomes[0].weights.items():
        torch.testing.assert_close(weight, network.get_parameter(name).detach(), rtol=1e-4, atol=1e-5)


def test_another_option_of_a_head_is_another_stack_and_another_run(make_run, make_data, train):
    one, other = (make_run(*THIRDS, "optimizer=sgd", f"+head.weight={weight}") for weight in (1, 2))
    assert one.identity() != other.identity()
    with pytest.raises(AssertionError):
        train([one, other], make_data())


def test_what_the_head_and_the_model_cannot_do_together_is_said(make_run, make_data, train):
    single = ("model._target_=test_models.Foreign", "~model.hidden")
    with pytest.raises(UserError, match=r"Foreign: takes no out_features.*needs 3: take head=scalar"):
        train([make_run(*single, *THIRDS)], make_data())
    with pytest.raises(UserError, match=r"^loss: test_heads\.Thirds has a loss of its own"):
        make_run(*THIRDS, "loss=l1")
    with pytest.raises(UserError, match=r"^head\._target_ = .*MSE: must be a subclass of Head"):
        make_run("head._target_=vec2uage.training.losses.MSE", "~head.loss")
    pair = make_run("model._target_=test_models.Pair", "~model.hidden")
    with pytest.raises(
        UserError, match=r"test_models\.Pair gives numbers of shape \(32, 2\).*the head needs 1 for each"
    ):
        train([pair, replace(pair, seed=2)], make_data())
