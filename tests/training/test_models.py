"""Networks alone and stacked."""

import pytest
import torch
from torch import nn

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.training import models
from vec2uage.training.models import MLP


class Foreign(nn.Module):
    """A user's own way of writing the small MLP."""

    cuda_graph_safe = True

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_features, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x)


class Normed(nn.Module):
    """A network with buffers, and its input width written down, that gives no axis of one output."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(24), nn.Linear(24, 1)

    def forward(self, x):
        return self.out(self.norm(x)).squeeze(-1)


class Pair(nn.Module):
    """Gives two numbers, whatever the head needs."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out = nn.Linear(in_features, 2)

    def forward(self, x):
        return self.out(x)


def rows(runs, batch, dimension):
    return torch.randn(runs, batch, dimension, generator=torch.Generator().manual_seed(0))


def test_the_papers_network_has_its_number_of_parameters(make_run):
    paper = make_run("model=vec2uage").model.build(in_features=512)
    assert sum(p.numel() for p in paper.parameters()) == 427_009


def test_hidden_layers_are_an_option_and_none_is_linear_regression(make_run):
    other = make_run("model.hidden=[40,8]").model.build(in_features=5, out_features=2)
    assert [layer.out_features for layer in other.layers] == [40, 8, 2]
    network = make_run("model=linear").model.build(in_features=24)
    x = rows(1, 9, 24)[0]
    expected = x @ network.layers[0].weight.T + network.layers[0].bias
    torch.testing.assert_close(network(x), expected)
    assert len(network.layers) == 1


@pytest.mark.parametrize(("hidden", "outputs"), [((), 1), ((512, 256, 128), 1), ((64,), 1), ((512, 256, 128), 3)])
def test_a_stack_of_networks_predicts_bit_for_bit_what_each_predicts(hidden, outputs):
    networks = [MLP(128, hidden, outputs) for _ in range(5)]
    forward, params, buffers = models.stack(networks, outputs, "float32")
    x = rows(5, 64, 128)
    stacked = forward(params, x)
    assert not buffers
    assert stacked.shape == (5, 64, outputs)
    for run, network in enumerate(networks):
        assert torch.equal(stacked[run], network(x[run]))


@pytest.mark.parametrize("hidden", [(), (16,), (32, 16)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_outputs_and_gradients_by_hand_are_those_of_torchs_layers(hidden, outputs):
    networks = [MLP(24, hidden, outputs) for _ in range(3)]
    forward, params, _ = models.stack(networks, outputs, "float32")
    x = rows(3, 10, 24)
    predicted, backward = forward.backward(params, {}, x)
    assert torch.equal(predicted, forward(params, x))
    grad = torch.cos(torch.arange(30.0 * outputs)).view(3, 10, outputs)
    with torch.no_grad():
        found = dict(backward(grad))
    assert set(found) == set(params)
    for run, network in enumerate(networks):
        layers = [module for layer in network.layers for module in (layer, nn.ReLU())][:-1]
        expected = nn.Sequential(*layers)(x[run])
        torch.testing.assert_close(predicted[run], expected, rtol=1e-5, atol=1e-6)
        expected.backward(grad[run])
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(found[name].dense()[run], parameter.grad, rtol=1e-4, atol=1e-5)
            stepped = params[name].detach().clone()
            found[name].add_to(stepped)
            torch.testing.assert_close(stepped[run], parameter.detach() + parameter.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_tied_outputs_share_one_row_of_weights_and_have_a_bias_each(hidden):
    networks = [MLP(24, hidden, 4, tied_outputs=True) for _ in range(3)]
    assert {name: tuple(p.shape) for name, p in networks[0].named_parameters()} == MLP.shapes(24, hidden, 4, True)
    for number, network in enumerate(networks):
        nn.init.normal_(network.layers[-1].bias, std=number)
    forward, params, _ = models.stack(networks, 4, "float32")
    x = rows(3, 10, 24)
    raw, backward = forward.backward(params, {}, x)
    grad = torch.cos(torch.arange(120.0)).view(3, 10, 4)
    with torch.no_grad():
        found = dict(backward(grad))
    for run, network in enumerate(networks):
        below = torch.relu(network.layers[0](x[run])) if hidden else x[run]
        expected = below @ network.layers[-1].weight.T + network.layers[-1].bias
        torch.testing.assert_close(raw[run], expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(raw[run], network(x[run]))
        expected.backward(grad[run])
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(found[name].dense()[run], parameter.grad, rtol=1e-4, atol=1e-5)


def test_one_output_is_a_product_and_a_sum_to_the_bit():
    """What the numbers of published runs rest on; as a matrix product its bits would depend on the stack."""
    networks = [MLP(24, (), 1) for _ in range(3)]
    forward, params, _ = models.stack(networks, 1, "float32")
    x = rows(3, 10, 24)
    weight, bias = params["layers.0.weight"], params["layers.0.bias"]
    assert torch.equal(forward(params, x)[..., 0], (x.mT * weight.mT).sum(1) + bias)
    grad = torch.cos(torch.arange(30.0)).view(3, 10, 1)
    found = dict(forward.backward(params, {}, x)[1](grad))
    assert torch.equal(found["layers.0.weight"].dense(), (x.mT * grad.mT).sum(2)[:, None])


@pytest.mark.parametrize("runs", [1, 3])
def test_a_module_of_the_user_stacks_to_the_same_numbers_and_gradients(runs):
    own, foreign = [MLP(24, (32, 16)) for _ in range(runs)], [Foreign(24) for _ in range(runs)]
    for mine, other in zip(own, foreign, strict=True):
        for layer, linear in zip(mine.layers, (other.net[0], other.net[2], other.net[4]), strict=True):
            linear.load_state_dict(layer.state_dict())
    x = rows(runs, 10, 24)
    answers = []
    for networks in (own, foreign):
        forward, params, _ = models.stack(networks, 1, "float32")
        predicted = forward(params, x)
        assert predicted.shape == (runs, 10, 1)
        answers.append([predicted, *torch.autograd.grad(predicted.square().sum(), list(params.values()))])
    for mine, other in zip(*answers, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_a_module_of_the_user_trains_like_the_same_mlp(make_run, make_data, train):
    # both draw layer by layer from the same stream, so that even the first weights are the same
    mine, other = (
        train([make_run("optimizer=sgd", *model, optimizer={"lr": 0.01}, seed=2)], make_data())
        for model in ((), ("model._target_=test_models.Foreign", "~model.hidden"))
    )
    for ours, theirs in zip(mine.epochs[0], other.epochs[0], strict=True):
        assert theirs.scores["validation/loss"] == pytest.approx(ours.scores["validation/loss"], rel=1e-3)


def test_the_seed_draws_the_weights_and_leaves_torchs_own_stream_alone():
    component = Component("vec2uage.training.models.MLP", (("hidden", (8,)),))
    before = torch.get_rng_state()
    first, again, other = (models.build(component, 4, 1, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.layers[0].weight, again.layers[0].weight)
    assert not torch.equal(first.layers[0].weight, other.layers[0].weight)


def test_buffers_train_and_are_kept_but_cannot_be_averaged(make_run, make_data, train):
    normed = ("model._target_=test_models.Normed", "~model.hidden")
    outcome = train([make_run(*normed, "optimizer=sgd", seed=seed) for seed in (1, 2)], make_data()).outcomes[1]
    assert outcome.weights["norm.running_mean"].abs().sum() > 0
    with pytest.raises(UserError, match=r"has buffers.*averaging=none"):
        train([make_run(*normed, "optimizer=adam", "averaging=swa")], make_data())


def test_a_parameter_may_change_as_soon_as_its_gradient_is_there():
    networks = [MLP(24, (32, 16)) for _ in range(2)]
    forward, params, _ = models.stack(networks, 1, "float32")
    grad = torch.ones(2, 10, 1)

    def gradients(change):
        own = {name: p.detach().clone() for name, p in params.items()}
        for name, gradient in forward.backward(own, {}, rows(2, 10, 24))[1](grad):
            yield gradient.dense()
            own[name] += change

    assert all(torch.equal(*pair) for pair in zip(gradients(0.0), gradients(7.0), strict=True))


def test_where_products_of_float32_know_no_bfloat16_autocast_casts():
    networks = [Foreign(128) for _ in range(2)]
    _, params, _ = models.stack(networks, 1, "float32")
    casting = models.Stacked(networks[0], 1, "bf16", torch.device("cuda"))
    exact = models.Stacked(networks[0], 1, "float32", torch.device("cuda"))
    x, answers = rows(2, 16, 128), []
    for forward in (exact, casting):
        predicted, backward = forward.backward(params, {}, x)
        assert torch.equal(predicted, forward(params, x))
        found = {name: gradient.dense() for name, gradient in backward(torch.ones(2, 16, 1))}
        answers.append([predicted, *(found[name] for name in params)])
    for wanted, rounded in zip(*answers, strict=True):
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(wanted, rounded, rtol=0.1, atol=0.5)
    assert not torch.equal(answers[0][0], answers[1][0])
