"""Weight averaging: what is averaged, when, at which rate, and who sees it."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.swa_utils import SWALR, AveragedModel
from vec2uage.training.optimizers.swa import SWA

from vec2uage.base import seeds
from vec2uage.training import models
from vec2uage.training.optimizers.base import TrainProgress
from vec2uage.training.run_settings import per_run_options

DEFAULTS = {
    "lr": 0.05,
    "start": 1,
    "freq": 1,
    "unit": "epoch",
    "swa_lr": 0.02,
    "anneal": 0,
    "anneal_strategy": "linear",
}


def clocks(epochs, steps_per_epoch):
    return [
        TrainProgress(epoch, epoch * steps_per_epoch + batch, steps_per_epoch, epochs)
        for epoch in range(epochs)
        for batch in range(steps_per_epoch)
    ]


@given(
    unit=st.sampled_from(["epoch", "step"]),
    start=st.integers(0, 9),
    freq=st.integers(1, 4),
    steps_per_epoch=st.integers(1, 4),
    momentum=st.sampled_from([0.0, 0.5]),
)
def test_the_average_is_the_mean_of_the_weights_at_the_chosen_moments(unit, start, freq, steps_per_epoch, momentum):
    optimizer = SWA(**DEFAULTS | {"start": start, "freq": freq, "unit": unit, "momentum": momentum})
    generator = torch.Generator().manual_seed(0)
    params = {"w": torch.randn(2, 3, 4, generator=generator), "b": torch.randn(2, 3, generator=generator)}
    options = per_run_options([optimizer, optimizer])
    state = optimizer.init(options, params)
    seen = []  # independent of `elapsed`: moments are counted in whole units that have ended
    for clock in clocks(6, steps_per_epoch):
        grads = {name: torch.randn(p.shape, generator=generator) for name, p in params.items()}
        optimizer.step(options, params, grads, state, options["lr"])
        optimizer.after_step(params, state, clock)
        ended = clock.step if unit == "step" else (clock.step + 1) / steps_per_epoch - 1
        if ended in range(start, 100, freq):
            seen.append({name: p.double().numpy().copy() for name, p in params.items()})
        evaluated = optimizer.evaluated(params, state)
        for name, p in params.items():
            if seen:
                mean = np.mean([weights[name] for weights in seen], axis=0)
                np.testing.assert_allclose(evaluated[name].numpy(), mean, rtol=1e-5, atol=1e-6)
            else:
                assert torch.equal(evaluated[name], p)
    assert (optimizer.caution(6, steps_per_epoch) == "") == (len(seen) > 1)


@pytest.mark.parametrize("strategy", ["linear", "cosine"])
@pytest.mark.parametrize("anneal", [0, 1, 4])
@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_the_rate_goes_to_swa_lr_as_with_swalr_of_torch(strategy, anneal, unit):
    rates = ((0.1, 0.5), (0.2, 0.01), (0.001, 0.05))  # lr before, swa_lr
    common = DEFAULTS | {"start": 3, "anneal": anneal, "anneal_strategy": strategy, "unit": unit}
    parts = [SWA(**common | {"lr": lr, "swa_lr": swa_lr}) for lr, swa_lr in rates]
    options = per_run_options(parts)
    twins = [torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr) for lr, _ in rates]
    schedules = [
        SWALR(twin, swa_lr, anneal_epochs=anneal, anneal_strategy="cos" if strategy == "cosine" else "linear")
        for twin, (_, swa_lr) in zip(twins, rates, strict=True)
    ]
    moments = clocks(11, 1) if unit == "epoch" else clocks(1, 11)
    for moment, clock in enumerate(moments):
        lr = parts[0].learning_rate(options, options["lr"], clock)
        if moment < 3:
            assert torch.equal(lr, options["lr"])
            assert not parts[0].averaging(clock)
            continue
        assert parts[0].averaging(clock)
        np.testing.assert_allclose(lr.numpy(), [twin.param_groups[0]["lr"] for twin in twins], rtol=1e-12)
        for twin, schedule in zip(twins, schedules, strict=True):
            twin.step()
            schedule.step()


def by_hand(run, data, epochs, rate):
    """Train one run as a plain loop; yield its network after every epoch. `rate` maps steps to learning rates."""
    network = models.build(run.model, data.dimension, run.seed)
    generator = seeds.torch_generator(run.seed, "batches")
    step = 0
    for _ in range(epochs):
        for index in torch.randperm(len(data.train), generator=generator).split(run.trainer.batch_size):
            network.zero_grad()
            (network(data.train.x[index]) - data.train.age[index]).square().mean().backward()
            for p in network.parameters():
                p.data.addcmul_(p.grad, torch.tensor(rate(step)), value=-1)
            step += 1
        yield network


@torch.no_grad()
def val_loss(network, data):
    return float((network(data.validation.x) - data.validation.age).square().mean())


def test_validation_and_checkpoint_see_the_average_and_training_never_does(make_run, make_data, train):
    data = make_data()
    run = make_run(
        "optimizer=swa",
        "lr_schedule=constant",
        optimizer={"lr": 0.01, "swa_lr": 0.01, "start": 2, "freq": 2},
        trainer={"max_epochs": 7},
    )
    seen = train([run], data)
    average, expected, best = None, [], (math.inf, None)
    for epoch, network in enumerate(by_hand(run, data, 7, lambda step: 0.01)):
        if epoch in (2, 4, 6):
            average = average or AveragedModel(network)
            average.update_parameters(network)
        shown = network if average is None else average.module
        expected.append(val_loss(shown, data))
        if expected[-1] < best[0]:
            best = expected[-1], {name: p.detach().clone() for name, p in shown.named_parameters()}
    assert [e.val_loss for e in seen.epochs[0]] == pytest.approx(expected, rel=1e-5)
    for name, weight in seen.outcomes[0].weights.items():
        torch.testing.assert_close(weight, best[1][name], rtol=1e-4, atol=1e-6)

    sgd = make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.01}, trainer={"max_epochs": 7})
    plain = train([sgd], data)
    assert [e.train_loss for e in seen.epochs[0]] == [e.train_loss for e in plain.epochs[0]]
    same = [a.val_loss == b.val_loss for a, b in zip(seen.epochs[0], plain.epochs[0], strict=True)]
    assert same == [True, True, True, False, False, False, False]  # the first average is the weights themselves


def test_the_schedule_stands_still_once_averaging_began(make_run, make_data, train):
    # no epoch ever improves by a million times: the plateau would lower the rate at every epoch
    run = make_run(
        "optimizer=swa",
        "lr_schedule.patience=0",
        "lr_schedule.factor=0.5",
        "lr_schedule.threshold=1e6",
        optimizer={"lr": 0.01, "swa_lr": 0.008, "start": 3, "anneal": 4, "anneal_strategy": "linear"},
        trainer={"max_epochs": 9},
    )
    rates = [e.lr for e in train([run], make_data()).epochs[0]]
    last = 0.01 * 0.5**2
    assert rates[:3] == pytest.approx([0.01, 0.005, last])
    assert rates[3:] == pytest.approx([last + (0.008 - last) * min(1.0, share / 4) for share in range(6)])


@pytest.mark.parametrize("schedule", ["plateau", "constant", "cosine", "one_cycle", "cyclic"])
def test_the_published_swa_is_sgd_at_its_own_rate_whatever_the_schedule(schedule, make_run, make_data, train):
    data = make_data()
    published = make_run("optimizer=swa_published", f"lr_schedule={schedule}", optimizer={"start": 0})
    sgd = make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.05})
    assert train([published], data).everything(0)[1] == train([sgd], data).everything(0)[1]


def test_the_published_swa_overrides_the_range_test(make_run, make_data, train):
    found = make_run("optimizer=swa_published", "lr_finder=range_test", optimizer={"start": 0})
    sgd = make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.05})
    first, second = train([found], make_data()), train([sgd], make_data())
    assert first.epochs == second.epochs
    assert first.outcomes[0].lr != 0.05


def test_the_published_swa_is_a_plain_loop(make_run, make_data, train):
    data = make_data()
    run = make_run("optimizer=swa_published", "lr_schedule=constant", trainer={"max_epochs": 6})
    assert (run.averaging.start, run.averaging.swa_lr) == (10, 0.05)
    seen = train([run], data)
    loop = by_hand(run, data, 6, lambda step: run.optimizer.lr if step < 10 else 0.05)
    states = [copy.deepcopy(network) for network in loop]
    best = states[int(np.argmin([val_loss(network, data) for network in states]))]
    for name, weight in seen.outcomes[0].weights.items():
        torch.testing.assert_close(weight, best.get_parameter(name), rtol=1e-4, atol=1e-6)
