"""Mixed faces, noise and dropout: what they do to a batch, and that no run's draws depend on its neighbours."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from vec2uage.base.errors import UserError
from vec2uage.training import models
from vec2uage.training.inputs import VectorInputs
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.models import MLP
from vec2uage.training.regularization import Regularization, perturbation

ALL = {"mixup": 0.3, "input_noise": 0.2, "label_noise": 0.5, "dropout": 0.25}
OFF = dict.fromkeys(ALL, 0.0)


@dataclass
class Run:
    """What a perturbation is told of a run."""

    seed: int
    regularization: Regularization


def faces(rows=4000, dimension=16):
    """Vectors of one length whose age and weight are linear in them."""
    x = torch.nn.functional.normalize(torch.randn(rows, dimension, generator=torch.Generator().manual_seed(0)))
    return VectorInputs(x, 9 + 4 * x[:, 0], 1 + x[:, 1])


def perturbed(inputs, *runs, purpose="epoch"):
    """All faces as they are trained on, by runs of these (seed, options)."""
    of_runs = [Run(seed, Regularization(**OFF | options)) for seed, options in runs]
    index = torch.arange(len(inputs)).expand(len(runs), -1)
    return perturbation(of_runs, inputs, purpose).of_batch(inputs.gather(index))


def test_a_run_does_not_depend_on_its_neighbours_even_one_that_diverges(make_run, make_data, train):
    def run(seed, lr, **options):
        return make_run("lr_finder=none", seed=seed, optimizer={"lr": lr}, regularization=ALL | options)

    runs = [run(1, 1e-3), run(2, 1e30), run(1, 1e-3, dropout=0.5, mixup=1.0), run(4, 3e-3, input_noise=0.9)]
    data = make_data(dimension=23, rows=101)  # tensors that no vector register divides
    seen = train(runs, data)
    assert seen.outcomes[1].status == "diverged"
    assert seen.epochs[0] != seen.epochs[2]
    for position, alone in enumerate(runs):
        assert seen.everything(position) == train([alone], data).everything(0)


def test_a_range_test_draws_for_itself(make_run, make_data, train):
    finding = make_run("optimizer=sgd", "lr_finder=range_test", "lr_finder.steps=30", regularization=ALL)
    found = train([finding], make_data())
    given = make_run("optimizer=sgd", optimizer={"lr": found.outcomes[0].lr}, regularization=ALL)
    assert found.epochs[0] == train([given], make_data()).epochs[0]


def test_what_is_on_for_one_run_and_off_for_another_is_not_one_stack(make_run):
    keys = [
        learner_of(run).stack_key(run)
        for run in (make_run(regularization=r) for r in ({}, {"dropout": 0.1}, {"dropout": 0.2}, {"mixup": 0.2}))
    ]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3


def test_mixing_keeps_what_is_linear_in_the_vectors():
    inputs = faces()
    x, age, weight = perturbed(inputs, (1, {"mixup": 0.4}), (2, {"mixup": 2.0}))
    torch.testing.assert_close(age, 9 + 4 * x[..., 0])
    torch.testing.assert_close(weight, 1 + x[..., 1], atol=1e-5, rtol=0)
    moved = (x - inputs.x).norm(dim=2)
    assert not torch.equal(x[0], x[1])
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)), so a mixture of unlike faces has this share of their variance.
    for run, a in enumerate((0.4, 2.0)):
        expected = float(inputs.age.var()) * (0.5 + 2 / (4 * (2 * a + 1)))
        assert float(age[run].var()) == pytest.approx(expected, rel=0.06)
        assert moved[run].max() > 0.5


def test_noise_on_vectors_is_a_share_of_their_length_and_leaves_ages_alone():
    inputs = faces()
    x, age, _ = perturbed(inputs, (1, {"input_noise": 0.3}), (1, {"input_noise": 0.6}), (2, {"input_noise": 0.3}))
    noise = x - inputs.x
    assert noise.square().sum(2).mean(1).sqrt().tolist() == pytest.approx([0.3, 0.6, 0.3], rel=0.02)
    torch.testing.assert_close(noise[1], 2 * noise[0], rtol=1e-3, atol=1e-6)  # one seed, one draw
    assert abs(float((noise[0] * noise[2]).mean())) < 1e-3
    assert torch.equal(age, inputs.age.expand(3, -1))


def test_noise_on_ages_stays_within_those_of_training():
    inputs = faces()
    x, age, _ = perturbed(inputs, (1, {"label_noise": 0.25}), (1, {"label_noise": 50.0}))
    assert torch.equal(x, inputs.x.expand(2, -1, -1))
    assert float((age[0] - inputs.age).std()) == pytest.approx(0.25, rel=0.05)
    assert age[1].min() == inputs.age.min()
    assert age[1].max() == inputs.age.max()


def test_another_epoch_draws_anew_and_the_same_one_the_same():
    one, again, other = (perturbed(faces(), (1, ALL), purpose=purpose) for purpose in ("1", "1", "2"))
    for first, second, third in zip(one, again, other, strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


def test_dropout_leaves_out_units_and_keeps_the_mean_and_the_gradients_are_those_of_torch():
    runs = [Run(seed, Regularization(**OFF | {"dropout": p})) for seed, p in ((1, 0.2), (2, 0.5), (3, 0.9))]
    masks = perturbation(runs, faces(), "epoch").masks((40, 30), 500)
    assert [tuple(mask.shape) for mask in masks] == [(3, 40, 500), (3, 30, 500)]
    for mask in masks:
        for own, p in zip(mask, (0.2, 0.5, 0.9), strict=True):
            assert own.unique().tolist() == [0.0, pytest.approx(1 / (1 - p))]
            assert float((own == 0).float().mean()) == pytest.approx(p, abs=0.02)

    networks = [MLP(16, (40, 30), 2) for _ in runs]
    forward, params, _ = models.stack(networks, 2, "float32")
    x = faces(500).x.expand(3, -1, -1)
    raw, backward = forward.backward(params, {}, x, *masks)
    grad = torch.cos(torch.arange(3000.0)).view(3, 500, 2)
    with torch.no_grad():
        found = dict(backward(grad))
    for run, network in enumerate(networks):
        first, second, last = network.layers
        hidden = nn.functional.relu(first(x[run])) * masks[0][run].T
        expected = last(nn.functional.relu(second(hidden)) * masks[1][run].T)
        torch.testing.assert_close(raw[run], expected, rtol=1e-4, atol=1e-5)
        expected.backward(grad[run])
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(found[name].dense()[run], parameter.grad, rtol=1e-3, atol=1e-4)


class Around(nn.Module):
    """A network around the paper's, which autograd goes back through."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.hidden_widths = inner, inner.hidden_widths

    def forward(self, x, *masks):
        return self.inner(x, *masks)


@pytest.mark.parametrize("runs", [1, 3])
def test_units_are_left_out_of_networks_that_autograd_goes_through_as_of_others(runs):
    networks, x = [MLP(16, (40, 30), 2) for _ in range(runs)], faces(500).x.expand(runs, -1, -1)
    dropped = [Run(seed, Regularization(**OFF | {"dropout": 0.4})) for seed in range(runs)]
    masks, grad = perturbation(dropped, faces(), "epoch").masks((40, 30), 500), torch.ones(runs, 500, 2)
    found = []
    for modules in (networks, [Around(network) for network in networks]):
        forward, params, _ = models.stack(modules, 2, "float32")
        raw, backward = forward.backward(params, {}, x, *masks)
        with torch.no_grad():
            found.append((raw, {name.removeprefix("inner."): own.dense() for name, own in backward(grad)}))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_only_training_is_perturbed(make_run, make_data, train):
    run = make_run("optimizer=adam", regularization=ALL)
    outcome, data = train([run], make_data()).outcomes[0], make_data()
    error = outcome.model.predict(data.parts["validation"].x.numpy()).median - data.parts["validation"].age.numpy()
    assert outcome.scores["validation/mae"] == pytest.approx(abs(error).mean(), rel=1e-5)


def test_dropout_of_a_network_without_hidden_layers_and_any_of_it_for_no_network_are_refused(make_run):
    with pytest.raises(UserError, match=r"dropout = 0.5.*no hidden layers"):
        make_run("model=linear", "regularization.dropout=0.5")
    with pytest.raises(UserError, match=r"^regularization: .*Ridge is no network"):
        make_run("model=ridge", "regularization.mixup=0.5")
    with pytest.raises(UserError, match=r"dropout = 1.*less than 1"):
        make_run("regularization.dropout=1")
