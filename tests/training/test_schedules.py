"""Schedules of stacked runs against their twins in torch.optim.lr_scheduler, each run with its own options."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from vec2uage.training.optimizers.base import TrainProgress
from vec2uage.training.run_settings import per_run_options
from vec2uage.training.schedules import Constant, Cosine, Cyclic, OneCycle, Plateau

RATES = (0.1, 0.02, 0.5)
EPOCHS, STEPS_PER_EPOCH = 8, 5


def twin_optimizer(lr):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def rates_per_step(parts, epochs=EPOCHS, steps_per_epoch=STEPS_PER_EPOCH):
    options, base = per_run_options(parts), torch.tensor(RATES[: len(parts)], dtype=torch.float64)
    state = parts[0].init(options, base)
    return np.array(
        [
            parts[0]
            .lr(options, state, base, TrainProgress(step // steps_per_epoch, step, steps_per_epoch, epochs))
            .tolist()
            for step in range(epochs * steps_per_epoch)
        ]
    ).T


def twin_rates(make, lr, steps=EPOCHS * STEPS_PER_EPOCH):
    optimizer = twin_optimizer(lr)
    schedule = make(optimizer)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < steps:
            schedule.step()
    return rates


def test_constant_stays():
    assert (rates_per_step([Constant()] * 3) == np.array(RATES)[:, None]).all()


COSINE = [{"min_lr": low} for low in (0.0, 0.01, 0.3)]
ONE_CYCLE = [
    {"warmup": warmup, "start_divisor": start, "final_divisor": final}
    for warmup, start, final in ((0.3, 25.0, 1e4), (0.1, 10.0, 2.0), (0.75, 1.0, 100.0))
]
CYCLIC = [{"low": low, "epochs_up": up} for low, up in ((0.1, 1.0), (0.5, 2.0), (0.01, 0.6))]


def one_cycle_of_torch(optimizer, lr, warmup, start_divisor, final_divisor):
    options = {"pct_start": warmup, "div_factor": start_divisor, "final_div_factor": final_divisor}
    return lr_scheduler.OneCycleLR(optimizer, lr, 40, cycle_momentum=False, **options)


def cyclic_of_torch(optimizer, lr, low, epochs_up, mode):
    names = {"constant": "triangular", "halving": "triangular2"}
    up = epochs_up * STEPS_PER_EPOCH
    return lr_scheduler.CyclicLR(optimizer, lr * low, lr, step_size_up=up, mode=names[mode], cycle_momentum=False)


@pytest.mark.parametrize(
    ("kind", "options", "twin"),
    [
        (Cosine, COSINE, lambda o, lr, min_lr: lr_scheduler.CosineAnnealingLR(o, 40, eta_min=min_lr)),
        (OneCycle, ONE_CYCLE, one_cycle_of_torch),
        (Cyclic, [own | {"mode": "constant"} for own in CYCLIC], cyclic_of_torch),
        (Cyclic, [own | {"mode": "halving"} for own in CYCLIC], cyclic_of_torch),
    ],
)
def test_a_schedule_is_that_of_torch(kind, options, twin):
    ours = rates_per_step([kind(**own) for own in options])
    for run, own in enumerate(options):
        expected = twin_rates(lambda o, run=run, own=own: twin(o, RATES[run], **own), RATES[run])
        np.testing.assert_allclose(ours[run], expected, rtol=1e-9)


@given(warmup=st.floats(0.01, 0.99), epochs=st.integers(1, 6), steps_per_epoch=st.integers(1, 6))
def test_one_cycle_gives_a_rate_at_every_step_however_short_the_run(warmup, epochs, steps_per_epoch):
    part = OneCycle(warmup=warmup, start_divisor=25.0, final_divisor=1e4)
    rates = rates_per_step([part], epochs, steps_per_epoch)
    assert np.isfinite(rates).all()
    assert (rates > 0).all()


def test_one_cycle_survives_a_warm_up_of_exactly_one_step():
    part = OneCycle(warmup=0.5, start_divisor=25.0, final_divisor=1e4)
    np.testing.assert_allclose(rates_per_step([part], 1, 2), [[0.1, 0.1 / 25 / 1e4]])


LOSSES = st.lists(st.tuples(*[st.floats(0.5, 10, width=16)] * 3), min_size=1, max_size=25)


@given(LOSSES)
def test_plateau_is_that_of_torch(losses):
    options = (
        {"patience": 0, "factor": 0.1, "threshold": 1e-4, "min_lr": 0.0},
        {"patience": 2, "factor": 0.5, "threshold": 0.2, "min_lr": 0.004},
        {"patience": 1, "factor": 0.9, "threshold": 0.0, "min_lr": 0.45},
    )
    parts = [Plateau(**o) for o in options]
    given_, base = per_run_options(parts), torch.tensor(RATES, dtype=torch.float64)
    state = parts[0].init(given_, base)
    optimizers = [twin_optimizer(lr) for lr in RATES]
    twins = [lr_scheduler.ReduceLROnPlateau(o, eps=0, **kw) for o, kw in zip(optimizers, options, strict=True)]
    for epoch, row in enumerate(losses):
        parts[0].update(given_, state, torch.tensor(row, dtype=torch.float64))
        for twin, loss in zip(twins, row, strict=True):
            twin.step(loss)
        ours = parts[0].lr(given_, state, base, TrainProgress(epoch + 1, epoch + 1, 1, 100))
        np.testing.assert_allclose(ours.numpy(), [o.param_groups[0]["lr"] for o in optimizers], rtol=1e-12)


@given(st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=25))
def test_plateau_takes_a_share_of_a_score_below_zero_for_better_as_well(scores):
    """Of torch's rule, a score below zero that got worse by less than the threshold would be better."""
    plateau = Plateau(patience=1, factor=0.5, threshold=0.2, min_lr=0.0)
    options, base = per_run_options([plateau]), torch.tensor([1.0], dtype=torch.float64)
    state = plateau.init(options, base)
    rate, best, waited = 1.0, np.inf, 0
    for score in scores:
        plateau.update(options, state, torch.tensor([score], dtype=torch.float64))
        if best == np.inf or best - score > 0.2 * abs(best):
            best, waited = score, 0
        else:
            waited += 1
        if waited > 1:
            rate, waited = rate / 2, 0
        assert float(state["lr"]) == rate


def test_training_uses_the_rate_of_the_schedule_at_every_step(make_run, make_data, train):
    """Four steps an epoch: what an epoch shows is the rate of its last step."""
    run = make_run("optimizer=sgd", "lr_schedule=cosine", "early_stopping=none", optimizer={"lr": 0.01})
    seen = train([run], make_data())
    expected = twin_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 16), 0.01, 16)[3::4]
    assert [e.lr for e in seen.epochs[0]] == pytest.approx(expected)
    constant = train([make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.01})], make_data())
    assert constant.outcomes[0].scores["test/mae"] != seen.outcomes[0].scores["test/mae"]


def test_the_plateau_lowers_the_rate_of_the_run_that_no_longer_improves(make_run, make_data, train):
    quiet = {"patience": 1, "factor": 0.5, "threshold": 1e6}
    runs = [
        make_run("optimizer=sgd", optimizer={"lr": 0.01}, trainer={"max_epochs": 6}, lr_schedule=options)
        for options in (quiet, {"patience": 9})
    ]
    seen = train(runs, make_data())
    # torch's rule: more than `patience` epochs without improvement, and the first epoch never counts as one here
    assert [e.lr for e in seen.epochs[0]] == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025])
    assert [e.lr for e in seen.epochs[1]] == [0.01] * 6
