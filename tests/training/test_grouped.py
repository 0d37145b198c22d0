"""Groups of parameters with learning rates of their own, as torch.optim trains them, and the pull to first weights."""

import pytest
import torch

from vec2uage.base.errors import UserError
from vec2uage.training.optimizers.adagrad import Adagrad
from vec2uage.training.optimizers.adam import Adam
from vec2uage.training.optimizers.grouped import Group, Grouped, Pull
from vec2uage.training.optimizers.sgd import SGD
from vec2uage.training.run_settings import per_run_options

ADAM = Adam(lr=0.1, weight_decay=0.01)
FIRST = {"low": torch.tensor([0.5, -2.0]), "high": torch.tensor([[1.0], [3.0]])}
GROUPS = (Group(("low",), 0.1, 0.3), Group(("high",)))
PULL = Pull(0.7, {"low": torch.tensor([1.0, 1.0])})


def gradients(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {name: torch.randn(tensor.shape, generator=generator) for name, tensor in FIRST.items()}


def test_groups_train_as_parameter_groups_of_torch_do_and_go_on_after_a_break() -> None:
    own = {name: tensor.clone().requires_grad_() for name, tensor in FIRST.items()}
    theirs = torch.optim.Adam(
        [{"params": [own["low"]], "lr": 0.01, "weight_decay": 0.3}, {"params": [own["high"]], "lr": 0.1}],
        weight_decay=0.01,
    )
    options = per_run_options([ADAM])
    grouped = Grouped(ADAM, GROUPS, PULL)
    params = {name: tensor[None].clone() for name, tensor in FIRST.items()}
    state = grouped.init(options, params)
    for step in range(6):
        for name, gradient in gradients(step).items():
            own[name].grad = gradient
        distance = 0.35 * (own["low"] - PULL.first["low"]).square().sum()
        own["low"].grad = own["low"].grad + torch.autograd.grad(distance, own["low"])[0]
        theirs.step()
        if step == 3:  # as a checkpoint takes the state apart and puts it together
            state = grouped.stack_state(options, params, grouped.unstack_state(state, 1))
        stacked = {name: gradient[None] for name, gradient in gradients(step).items()}
        grouped.step(options, params, stacked, state, torch.tensor([0.1], dtype=torch.float64))
    for name, tensor in own.items():
        assert torch.allclose(params[name][0], tensor, atol=1e-6)


def test_runs_that_stay_keep_their_state() -> None:
    sgd = SGD(lr=0.1, momentum=0.9)
    grouped, options = Grouped(sgd, (Group(("a",)), Group(("b",), 0.5)), Pull()), per_run_options([sgd, sgd])
    params = {name: torch.ones(2, 3) for name in "ab"}
    state = grouped.init(options, params)
    grads = {name: torch.arange(6.0).view(2, 3) for name in "ab"}
    grouped.step(options, params, grads, state, torch.full((2,), 0.1, dtype=torch.float64))
    kept = grouped.select(state, torch.tensor([1]), {name: p[1:] for name, p in params.items()})
    assert kept[0]["momentum/a"].tolist() == [[3.0, 4.0, 5.0]]
    assert params["b"][1].tolist() == pytest.approx([0.85, 0.8, 0.75])


def test_a_weight_decay_needs_an_optimizer_that_has_one() -> None:
    class Plain(Adagrad):
        per_run = ("lr",)

    with pytest.raises(UserError, match="weight_decay"):
        Grouped(Plain(lr=0.1), GROUPS, PULL)
