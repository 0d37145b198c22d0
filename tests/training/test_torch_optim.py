"""Optimisers of torch.optim over the runs of a stack."""

import copy

import pytest
import torch

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.models import MLP, stack
from vec2uage.training.optimizers.torch_optim import TorchOptim
from vec2uage.training.run_settings import per_run_options

stack_key = StackedTorch().stack_key
FOREIGN = [
    ("torch.optim.RMSprop", {"alpha": 0.9, "momentum": 0.5}),
    ("torch.optim.AdamW", {"weight_decay": 0.1, "amsgrad": True}),
]


def gradients(network, x, age):
    network.zero_grad()
    (network(x)[:, 0] - age).square().mean().backward()


@pytest.mark.parametrize(("target", "options"), FOREIGN)
def test_a_run_equals_the_optimizer_alone_before_and_after_others_have_left(target, options):
    rates = [0.01, 0.001, 0.03]
    parts = [TorchOptim(lr=lr, component=Component(target, tuple(options.items()))) for lr in rates]
    networks = [MLP(8, (16,)) for _ in rates]
    references = [copy.deepcopy(network) for network in networks]
    optimizers = [
        getattr(torch.optim, target.rsplit(".", 1)[1])(network.parameters(), lr=lr, **options)
        for network, lr in zip(references, rates, strict=True)
    ]
    forward, params, _ = stack(networks, 1, "float32")
    given = per_run_options(parts)
    state = parts[0].init(given, params)
    generator = torch.Generator().manual_seed(0)
    alive = [0, 1, 2]
    for step in range(20):
        if step == 10:
            alive, keep = [2, 0], torch.tensor([2, 0])
            params = {name: p.detach()[keep].requires_grad_() for name, p in params.items()}
            given = {name: option[keep] for name, option in given.items()}
            state = parts[0].select(state, keep, params)
        x, age = torch.randn(3, 5, 8, generator=generator), torch.randn(3, 5, generator=generator)
        predicted = forward(params, x[alive])[..., 0]
        grads = torch.autograd.grad((predicted - age[alive]).square().mean(1).sum(), list(params.values()))
        shrink = 0.5 if step > 15 else 1.0
        parts[0].step(given, params, dict(zip(params, grads, strict=True)), state, given["lr"] * shrink)
        for run in alive:
            gradients(references[run], x[run], age[run])
            optimizers[run].param_groups[0]["lr"] = rates[run] * shrink
            optimizers[run].step()
    for position, run in enumerate(alive):
        for name, reference in references[run].named_parameters():
            assert torch.equal(params[name][position], reference)


@pytest.mark.parametrize(("target", "options"), FOREIGN)
def test_it_is_named_in_the_configuration_and_its_options_count(target, options, make_run, make_data, train):
    named = ("optimizer=sgd", f"optimizer._target_={target}", "~optimizer.momentum", "~optimizer.weight_decay")
    extra = tuple(f"+optimizer.{name}={value}" for name, value in options.items())
    plain, changed = make_run(*named), make_run(*named, *extra)
    assert isinstance(plain.optimizer, TorchOptim)
    assert stack_key(plain) != stack_key(changed)
    fast = {"lr": 0.01}
    first = train([make_run(*named, optimizer=fast)], make_data()).outcomes[0]
    second = train([make_run(*named, *extra, optimizer=fast)], make_data()).outcomes[0]
    assert first.scores["test/mae"] != second.scores["test/mae"]


def test_an_option_counts_as_what_it_was_checked_to_be(make_run, make_data, train):
    named = ("optimizer=sgd", "optimizer._target_=torch.optim.SGD", "~optimizer.weight_decay", "optimizer.momentum=0.9")
    errors = [
        train([make_run(*named, f"+optimizer.nesterov={said}", optimizer={"lr": 0.01})], make_data())
        .outcomes[0]
        .scores["test/mae"]
        for said in ("off", "false", "true")
    ]
    assert errors[0] == errors[1] != errors[2]


def test_an_option_that_the_class_does_not_have_is_refused(make_run):
    with pytest.raises(UserError, match=r"optimizer\.momentums = 0\.9: no such option; did you mean momentum\?"):
        make_run(
            "optimizer=sgd",
            "optimizer._target_=torch.optim.RMSprop",
            "~optimizer.momentum",
            "~optimizer.weight_decay",
            "+optimizer.momentums=0.9",
        )


def test_an_optimizer_that_needs_a_closure_is_refused_with_a_sentence(make_run):
    with pytest.raises(UserError, match=r"optimizer\._target_ = torch\.optim\.LBFGS: .*closure"):
        make_run("optimizer=sgd", "optimizer._target_=torch.optim.LBFGS")


class Counting(torch.optim.Optimizer):
    """Descends by the sign of all gradients so far, for which it keeps numbers of several kinds."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            total = state.setdefault("total", torch.zeros_like(parameter, dtype=torch.float64))
            total += parameter.grad
            state["count"] = state.get("count", torch.zeros((), dtype=torch.int64)) + 1
            state["up"] = total > 0
            parameter -= self.param_groups[0]["lr"] * total.sign().float() / state["count"]


@pytest.mark.parametrize("target", ["torch.optim.ASGD", "torch.optim.Adam", f"{__name__}.Counting"])
def test_a_restored_state_is_what_was_saved_to_the_bit(target):
    part = TorchOptim(lr=0.01, component=Component(target))
    _, params, _ = stack([MLP(8, (4,))], 1, "float32")
    given = per_run_options([part])
    state = part.init(given, params)
    for step in range(3):
        grads = {name: torch.full_like(p, 0.1 - step) for name, p in params.items()}
        part.step(given, params, grads, state, torch.tensor([0.01]))
    (saved,) = part.unstack_state(state, 1)
    (again,) = part.unstack_state(part.stack_state(given, params, [saved]), 1)
    assert again.keys() == saved.keys()
    for name, tensor in saved.items():
        assert again[name].dtype == tensor.dtype, name
        assert torch.equal(again[name], tensor), name
