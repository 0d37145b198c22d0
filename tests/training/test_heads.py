"""Heads: what a network's outputs mean, what they cost, and the prediction they stand for."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from torch import distributions, nn

from vec2uage.base import seeds
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.predictions.point import Point
from vec2uage.training import models
from vec2uage.training.heads.base import Head
from vec2uage.training.heads.gaussian import Gaussian
from vec2uage.training.heads.quantile import Quantile
from vec2uage.training.heads.scalar import Scalar
from vec2uage.training.losses import L1, MSE, Huber
from vec2uage.training.model_file import load
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


def scale(raw):
    """The scale of an output as torch has it: 5 years at 0, never under 0.1."""
    return 0.1 + 5 * nn.functional.softplus(raw + math.log(math.expm1(0.98)))


def normal(raw, age):
    return -distributions.Normal(5 * raw[..., 0], scale(raw[..., 1])).log_prob(age)


def laplace(raw, age):
    return -distributions.Laplace(5 * raw[..., 0], scale(raw[..., 1])).log_prob(age)


def weighted(likelihood, beta):
    return lambda raw, age: likelihood(raw, age) * scale(raw[..., 1]).detach() ** (2 * beta)


def pinball(*levels):
    """The pinball loss of each level in turn, of quantiles that are added up from the median outwards."""
    deviations = [float(distributions.Normal(0, 1).icdf(torch.tensor(level))) for level in levels]
    median = levels.index(0.5)

    def loss(raw, age):
        found = {median: 5 * raw[..., median]}
        for j in range(median + 1, len(levels)):
            found[j] = found[j - 1] + (deviations[j] - deviations[j - 1]) * scale(raw[..., j])
        for j in reversed(range(median)):
            found[j] = found[j + 1] - (deviations[j + 1] - deviations[j]) * scale(raw[..., j])
        errors = [(level, age - found[j]) for j, level in enumerate(levels)]
        return 2 * sum(torch.maximum(level * e, (level - 1) * e) for level, e in errors) / len(levels)

    return loss


DEFAULT_LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
# Every head in plain torch: the options, the loss that is reported, and the one that autograd trains if it is another.
PLAIN = {
    "scalar": ((), lambda raw, age: (raw[..., 0] - age) ** 2),
    "gaussian": ((), normal, weighted(normal, 0.5)),
    "gaussian of the likelihood": (("head.beta=0",), normal),
    "gaussian of squared errors": (("head.beta=1",), normal, weighted(normal, 1)),
    "laplace": ((), laplace, weighted(laplace, 0.5)),
    "laplace of the likelihood": (("head.beta=0",), laplace),
    "quantile": ((), pinball(*DEFAULT_LEVELS)),
    "quantile of two": (("head.levels=[0.5,0.9]",), pinball(0.5, 0.9)),
}
every_option = pytest.mark.parametrize("name", PLAIN)
every_head = pytest.mark.parametrize("name", [name for name in PLAIN if " " not in name])


def overrides(name):
    """What a user types for a head of `PLAIN`."""
    return (f"head={name.partition(' ')[0]}", *PLAIN[name][0], "optimizer=sgd", "lr_schedule=constant")


@every_option
def test_loss_and_gradient_are_those_of_plain_torch(name, make_run):
    head, (_, reported, *trained) = make_run(*overrides(name)).head, PLAIN[name]
    generator = torch.Generator().manual_seed(1)
    raw = 6 * torch.randn(3, 40, head.outputs, generator=generator)
    raw[0, 0] = 200.0
    raw[0, 1] = -200.0  # the least scale
    age = 18 * torch.rand(3, 40, generator=generator)
    leaf = raw.clone().requires_grad_()
    (trained[0] if trained else reported)(leaf, age).sum().backward()
    with torch.no_grad():
        losses, gradient = head.loss_with_gradient(raw, age)
    torch.testing.assert_close(losses, reported(raw, age), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient, leaf.grad, rtol=1e-4, atol=1e-4)
    assert torch.equal(losses, head.loss_of(raw, age))
    assert gradient.isfinite().all()


@every_option
def test_a_head_gives_a_face_the_same_bits_wherever_it_stands(name, make_run):
    head = make_run(*overrides(name)).head
    generator = torch.Generator().manual_seed(2)
    raw = 4 * torch.randn(5, head.outputs, 37, generator=generator).mT  # as the network gives them
    age = 18 * torch.rand(5, 37, generator=generator)
    for batch in (37, 32, 5):
        together = head.loss_with_gradient(raw[:, :batch], age[:, :batch])
        for k in range(5):
            alone = head.loss_with_gradient(raw[k : k + 1, :batch].clone(), age[k : k + 1, :batch].clone())
            assert all(torch.equal(one[0], stacked[k]) for one, stacked in zip(alone, together, strict=True))


@every_head
def test_a_head_trains_as_a_plain_loop_of_torch(name, make_run, make_data, train):
    data, (_, reported, *trained) = make_data(), PLAIN[name]
    run = make_run(*overrides(name), optimizer={"lr": 3e-3}, trainer={"max_epochs": 2})
    seen = train([run], data)
    sizes = (data.dimension, 32, 16, run.head.outputs)
    network = nn.Sequential(*(part for i, o in pairwise(sizes) for part in (nn.Linear(i, o), nn.ReLU())))[:-1]
    drawn = models.build(run.model, data.dimension, run.head.outputs, run.seed)
    for own, first in zip(network.parameters(), drawn.parameters(), strict=True):
        own.data.copy_(first)
    optimizer = torch.optim.SGD(network.parameters(), lr=3e-3)
    generator = seeds.torch_generator(run.seed, "batches")
    for epoch in range(2):
        total = 0.0
        for index in torch.randperm(100, generator=generator).split(32):
            raw, age = network(data.train.x[index]), data.train.age[index]
            total += float(reported(raw, age).detach().sum())
            optimizer.zero_grad()
            (trained[0] if trained else reported)(raw, age).mean().backward()
            optimizer.step()
        assert seen.epochs[0][epoch].scores["train/loss"] == pytest.approx(total / 100, rel=1e-4)
    weights = seen.outcomes[0].weights
    assert seen.outcomes[0].best_epoch == 1
    for own, ours in zip(network.parameters(), weights.values(), strict=True):
        torch.testing.assert_close(ours, own.detach(), rtol=1e-4, atol=1e-5)


@every_head
def test_a_run_of_a_head_is_the_same_alone_and_stacked(name, make_run, make_data, train):
    runs = [
        make_run(*overrides(name), optimizer={"lr": lr}, trainer={"max_epochs": 2}, seed=seed)
        for seed, lr in enumerate((1e-3, 1e30, 1e-2))
    ]
    together = train(runs, make_data())
    assert together.outcomes[1].status == "diverged"
    for position in (0, 2):
        assert together.everything(position) == train([runs[position]], make_data()).everything(0)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "quantile"])
def test_a_prediction_says_what_its_loss_says(name, make_run):
    head = make_run(*overrides(name)).head
    raw = 4 * torch.randn(1, 50, head.outputs, generator=torch.Generator().manual_seed(3))
    age = 18 * torch.rand(1, 50, generator=torch.Generator().manual_seed(4))
    prediction, losses = head.prediction(raw[0].numpy()), head.loss_of(raw, age)[0]
    np.testing.assert_allclose(prediction.median, head.point(raw)[0], rtol=1e-5)
    if name == "quantile":
        quantiles = [torch.from_numpy(prediction.quantile(level)) for level in DEFAULT_LEVELS]
        errors = [(level, age[0] - quantile) for level, quantile in zip(DEFAULT_LEVELS, quantiles, strict=True)]
        said = 2 * sum(torch.maximum(level * e, (level - 1) * e) for level, e in errors) / len(errors)
    else:
        said = -prediction.log_density(age[0].numpy())
    np.testing.assert_allclose(losses, said, rtol=1e-4)


@given(
    levels=st.sets(st.integers(1, 99), max_size=12),
    raw=arrays(np.float32, (3, 13), elements=st.floats(-1e4, 1e4, width=32)),
)
def test_quantiles_never_cross(levels, raw):
    head = Quantile(levels=tuple(level / 100 for level in sorted({25, 50, *levels})))
    quantiles = head.prediction(np.resize(raw, (3, head.outputs)))
    assert (np.diff(quantiles.knots(), axis=1) > 0).all()


def test_a_scale_begins_in_years_and_stays_above_its_floor():
    prediction = Gaussian().prediction(np.array([[9.0, 0.0], [9.0, -1e30], [9.0, 1e30]], dtype=np.float32))
    np.testing.assert_allclose(prediction.scale, [5.0, 0.1, 5e30], rtol=1e-6)
    spread = Quantile().prediction(np.zeros((1, 13), dtype=np.float32)).ages[0]
    np.testing.assert_allclose(spread, 5 * norm.ppf(DEFAULT_LEVELS), atol=1e-6)


def test_a_model_file_brings_the_levels_of_its_quantiles(make_run, make_data, train, tmp_path):
    levels = [0.1, 0.5, 0.7]
    outcome = train([make_run("head=quantile", f"head.levels={levels}")], make_data()).outcomes[0]
    outcome.model.save(tmp_path / "best.safetensors")
    test = make_data().parts["test"].x.numpy()
    again = load(tmp_path / "best.safetensors").predict(test)
    assert again.levels.tolist() == levels
    assert np.array_equal(again.ages, outcome.model.predict(test).ages)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("head=gaussian", "head.beta=1.5"), r"^head\.beta = 1\.5: .*1"),
        (("head=laplace", "head.beta=-1"), r"^head\.beta = -1"),
        (("head=gaussian", "loss=l1"), r"^loss: .*Gaussian has a loss of its own"),
        (("head=quantile", "head.levels=[0.5,0.1]"), r"^head\.levels = .*ascending"),
        (("head=quantile", "head.levels=[0.5,0.5,0.9]"), r"^head\.levels = .*ascending"),
        (("head=quantile", "head.levels=[0,0.5]"), r"^head\.levels = .*between 0 and 1"),
        (("head=quantile", "head.levels=[0.1,0.9]"), r"^head\.levels = .*0\.5"),
        (("head=quantile", "head.levels=[0.5]"), r"^head\.levels = .*two or more"),
    ],
)
def test_options_that_make_no_head_are_refused_in_a_sentence(wrong, said, make_run):
    with pytest.raises(UserError, match=said) as refused:
        make_run(*wrong)
    assert "\n" not in str(refused.value)


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
