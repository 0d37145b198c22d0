"""Every optimiser as a stack: against its twin in torch.optim, and against itself alone."""

from pathlib import Path

import pytest
import torch

from vec2uage.base import seeds
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.optimizers.adagrad import Adagrad
from vec2uage.training.optimizers.adam import Adam
from vec2uage.training.optimizers.sgd import SGD
from vec2uage.training.run_settings import per_run_options
from vec2uage.training.trainer import first_weights, train_epoch

CPU = torch.device("cpu")
stack_key = StackedTorch().stack_key
# Odd sizes too: a kernel that treats the end of a tensor in another way than its middle would show here.
SHAPES = {"weight": (7, 12), "bias": (7,), "last": (1, 7), "last_bias": (1,)}


# Class, its twin, and per-run options that differ within one stack of three.
TWINS = [
    (SGD, torch.optim.SGD, {"lr": (0.01, 0.1, 0.001)}),
    (SGD, torch.optim.SGD, {"momentum": (0.9, 0.0, 0.5)}),
    (SGD, torch.optim.SGD, {"lr": (0.02, 0.1, 0.01), "momentum": (0.9, 0.0, 0.0), "weight_decay": (0.1, 0.0, 0.2)}),
    (Adam, torch.optim.Adam, {"beta1": (0.5, 0.9, 0.0), "beta2": (0.9, 0.999, 0.5)}),
    (Adam, torch.optim.Adam, {"lr": (0.01, 0.1, 0.001), "eps": (1.0, 1e-8, 1e-2), "weight_decay": (0.3, 0.0, 1.0)}),
    (Adagrad, torch.optim.Adagrad, {"lr_decay": (0.5, 0.0, 0.01), "weight_decay": (0.3, 0.0, 1.0)}),
    (Adagrad, torch.optim.Adagrad, {"initial_accumulator": (0.1, 0.0, 5.0), "lr": (0.01, 0.1, 0.001)}),
    (Adagrad, torch.optim.Adagrad, {"eps": (1.0, 1e-10, 1e-2)}),
]


def three(options):
    return [{"lr": 0.02} | {name: values[run] for name, values in options.items()} for run in range(3)]


def in_torch(options):
    """The same options under torch's names."""
    options = dict(options)
    betas = options.pop("beta1", 0.9), options.pop("beta2", 0.999)
    if betas != (0.9, 0.999):
        options["betas"] = betas
    if "initial_accumulator" in options:
        options["initial_accumulator_value"] = options.pop("initial_accumulator")
    return options


def drawn_weights(runs):
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(runs, *shape, generator=generator) for name, shape in SHAPES.items()}


def gradient(name, weight, step):
    """A gradient that depends on weight and step, of one run or of a whole stack, element by element."""
    wave = torch.arange(float(torch.Size(SHAPES[name]).numel())).view(SHAPES[name])
    return weight * 1.5 + torch.cos(wave + step)


def train_stacked(parts, weights, steps, lr_factor=lambda step: 1.0):
    params = {name: w.clone() for name, w in weights.items()}
    options = per_run_options(parts)
    state = parts[0].init(options, params)
    for step in range(steps):
        grads = {name: gradient(name, p, step) for name, p in params.items()}
        parts[0].step(options, params, grads, state, options["lr"] * lr_factor(step))
    return params


@pytest.mark.parametrize(("cls", "twin", "differing"), TWINS)
def test_each_run_of_a_stack_steps_like_its_torch_twin(cls, twin, differing):
    parts = [cls(**options) for options in three(differing)]
    weights = drawn_weights(len(parts))

    def factor(step):  # a schedule changes the rate between steps
        return 1.0 if step < 30 else 0.5

    stacked = train_stacked(parts, weights, 60, factor)
    for run, options in enumerate(three(differing)):
        own = {name: w[run].clone().requires_grad_() for name, w in weights.items()}
        optimizer = twin(list(own.values()), **in_torch(options))
        for step in range(60):
            for name, p in own.items():
                p.grad = gradient(name, p.detach(), step)
            optimizer.param_groups[0]["lr"] = options["lr"] * factor(step)
            optimizer.step()
        for name, p in own.items():
            torch.testing.assert_close(stacked[name][run], p.detach(), rtol=1e-4, atol=1e-5)


def test_only_runs_whose_step_is_the_same_arithmetic_are_one_stack(make_run):
    def key(**options):
        return stack_key(
            make_run("optimizer=sgd", optimizer={"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0} | options)
        )

    assert key() == key(lr=0.2)
    assert key(momentum=0.9) == key(momentum=0.5) == key(weight_decay=0.1)
    assert key() != key(momentum=0.9)


@pytest.mark.parametrize(("cls", "twin", "differing"), TWINS)
def test_a_run_gets_the_same_bits_alone_and_in_stacks_of_any_size(cls, twin, differing):
    parts = [cls(**options) for options in three(differing)]
    weights = drawn_weights(40)
    for size in (2, 3, 8, 17, 40):
        group = [parts[run % 3] for run in range(size)]
        stacked = train_stacked(group, {name: w[:size] for name, w in weights.items()}, 6)
        for run in {0, 1, size // 2, size - 1}:
            alone = train_stacked([group[run]], {name: w[run : run + 1] for name, w in weights.items()}, 6)
            for name, tensor in alone.items():
                assert torch.equal(tensor[0], stacked[name][run]), (size, run, name)


OPTIMIZERS = sorted(path.stem for path in Path(conf_dir(), "optimizer").glob("*.yaml"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_in_conf_trains_alike_alone_stacked_and_after_compaction(name, make_run, make_data, observer):
    """A new YAML is covered by being there: two epochs of four steps, with runs taken out in between."""
    rates = (1e-3, 1e-2, 3e-3)
    runs = [
        make_run(f"optimizer={name}", seed=seed, optimizer={"lr": lr}, lr_schedule={"patience": seed})
        for seed, lr in enumerate(rates)
    ]
    assert len({stack_key(run) for run in runs}) == 1

    def stacked(members):
        return first_weights([runs[run] for run in members], make_data(), CPU)

    def epoch(stack, number):
        means = train_epoch(stack, runs, make_data(), number, observer)
        return torch.cat([means, *(p.detach().double().flatten(1).T for p in stack.network.params.values())])

    together, alone = stacked([0, 1, 2]), [stacked([run]) for run in range(3)]
    before = epoch(together, 0)
    separate = [epoch(stack, 0) for stack in alone]
    assert torch.equal(before, torch.cat(separate, dim=1))
    assert torch.isfinite(before).all()

    together.select([2, 0])
    after = epoch(together, 1)
    assert torch.equal(after, torch.cat([epoch(alone[2], 1), epoch(alone[0], 1)], dim=1))
    assert not torch.equal(after, before[:, [2, 0]])


def test_the_first_weights_come_from_the_seed_alone(make_run, make_data):
    def weights(seeds_):
        runs = [make_run("optimizer=sgd", seed=seed) for seed in seeds_]
        return first_weights(runs, make_data(), CPU).network.params

    assert all(torch.equal(w[1], weights([5])[name][0]) for name, w in weights([4, 5]).items())
    assert not any(torch.equal(*pair) for pair in zip(weights([4]).values(), weights([5]).values(), strict=True))
    assert seeds.derive(4, "model") != seeds.derive(4, "batches")
