"""Weight averaging: what is averaged, when, at which rate, over any optimiser, and who sees it."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.swa_utils import SWALR, AveragedModel

from vec2uage.base import seeds
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.training import model_file, models
from vec2uage.training.averaging.base import Averaging
from vec2uage.training.averaging.ema import EMA
from vec2uage.training.averaging.swa import SWA
from vec2uage.training.averaging.swag import SWAG
from vec2uage.training.optimizers.adam import Adam
from vec2uage.training.optimizers.base import TrainProgress
from vec2uage.training.optimizers.sgd import SGD
from vec2uage.training.run_settings import from_config, per_run_options

DEFAULTS = {"start": 1, "freq": 1, "unit": "epoch", "swa_lr": 0.02, "anneal": 0, "anneal_strategy": "linear"}


def moments(epochs, steps_per_epoch):
    return [
        TrainProgress(epoch, epoch * steps_per_epoch + batch, steps_per_epoch, epochs)
        for epoch in range(epochs)
        for batch in range(steps_per_epoch)
    ]


@given(
    optimizer=st.sampled_from([SGD(lr=0.05), SGD(lr=0.05, momentum=0.5), Adam(lr=0.01)]),
    unit=st.sampled_from(["epoch", "step"]),
    start=st.integers(0, 9),
    freq=st.integers(1, 4),
    steps_per_epoch=st.integers(1, 4),
)
def test_the_average_is_the_mean_of_the_weights_at_the_chosen_moments(optimizer, unit, start, freq, steps_per_epoch):
    averaging = SWA(**DEFAULTS | {"start": start, "freq": freq, "unit": unit})
    generator = torch.Generator().manual_seed(0)
    params = {"w": torch.randn(2, 3, 4, generator=generator), "b": torch.randn(2, 3, generator=generator)}
    options = per_run_options([optimizer, optimizer])
    of_optimizer = optimizer.init(options, params)
    state = averaging.init(per_run_options([averaging, averaging]), params)
    seen = []  # independent of `_elapsed`: moments are counted in whole units that have ended
    for progress in moments(6, steps_per_epoch):
        grads = {name: torch.randn(p.shape, generator=generator) for name, p in params.items()}
        optimizer.step(options, params, grads, of_optimizer, options["lr"])
        averaging.update({}, params, state, progress)
        ended = progress.step if unit == "step" else (progress.step + 1) / steps_per_epoch - 1
        if ended in range(start, 100, freq):
            seen.append({name: p.double().numpy().copy() for name, p in params.items()})
        evaluated = averaging.evaluated(params, state)
        for name, p in params.items():
            if seen:
                mean = np.mean([weights[name] for weights in seen], axis=0)
                np.testing.assert_allclose(evaluated[name].numpy(), mean, rtol=1e-5, atol=1e-6)
            else:
                assert torch.equal(evaluated[name], p)
    assert (averaging.warning(6, steps_per_epoch) == "") == (len(seen) > 1)


def test_an_average_is_that_of_the_run_alone_whatever_its_neighbours_are():
    averaging = SWA(**DEFAULTS | {"start": 0, "unit": "step"})
    generator = torch.Generator().manual_seed(0)
    steps = [torch.randn(3, 5, 4, generator=generator) for _ in range(4)]
    for step in steps[1:]:
        step[1] = math.nan

    def average(runs):
        state = averaging.init({}, {"w": steps[0][runs]})
        for progress, step in zip(moments(1, 4), steps, strict=True):
            averaging.update({}, {"w": step[runs]}, state, progress)
        return averaging.evaluated({"w": steps[-1][runs]}, state)["w"]

    together = average([0, 1, 2])
    for run in (0, 2):
        assert torch.equal(together[run], average([run])[0])
    assert together[1].isnan().all()


def test_without_averaging_the_weights_that_train_are_judged():
    weights, progress = {"w": torch.ones(2, 3)}, TrainProgress(5, 50, 10, 9)
    averaging = Averaging()
    state = averaging.init({}, weights)
    averaging.update({}, weights, state, progress)
    assert averaging.evaluated(weights, state) is weights
    assert (averaging.has_begun(progress), averaging.warning(1, 1)) == (False, "")


@pytest.mark.parametrize(("unit", "strategy"), [("epoch", "linear"), ("step", "cosine")])
@pytest.mark.parametrize("anneal", [0, 1, 4])
def test_the_rate_goes_to_swa_lr_as_with_swalr_of_torch(strategy, anneal, unit):
    rates = ((0.1, 0.5), (0.2, 0.01), (0.001, 0.05))  # lr before, swa_lr
    common = DEFAULTS | {"start": 3, "anneal": anneal, "anneal_strategy": strategy, "unit": unit}
    averagings = [SWA(**common | {"swa_lr": swa_lr}) for _, swa_lr in rates]
    options, before = per_run_options(averagings), torch.tensor([lr for lr, _ in rates], dtype=torch.float64)
    twins = [torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr) for lr, _ in rates]
    schedules = [
        SWALR(twin, swa_lr, anneal_epochs=anneal, anneal_strategy="cos" if strategy == "cosine" else "linear")
        for twin, (_, swa_lr) in zip(twins, rates, strict=True)
    ]
    for moment, progress in enumerate(moments(11, 1) if unit == "epoch" else moments(1, 11)):
        lr = averagings[0].learning_rate(options, before, progress)
        assert averagings[0].has_begun(progress) == (moment >= 3)
        if moment < 3:
            assert torch.equal(lr, before)
            continue
        np.testing.assert_allclose(lr.numpy(), [twin.param_groups[0]["lr"] for twin in twins], rtol=1e-12)
        for twin, schedule in zip(twins, schedules, strict=True):
            twin.step()
            schedule.step()


def by_hand(run, data, epochs, make_optimizer):
    """Train one run as a plain loop of torch; yield its network after every epoch."""
    network = models.build(run.model, data.dimension, 1, run.seed)
    optimizer, step = make_optimizer(network.parameters()), 0
    generator = seeds.torch_generator(run.seed, "batches")
    for _ in range(epochs):
        for index in torch.randperm(len(data.train), generator=generator).split(run.trainer.batch_size):
            optimizer.zero_grad()
            (network(data.train.x[index])[:, 0] - data.train.age[index]).square().mean().backward()
            optimizer.step()
            step += 1
            if isinstance(optimizer, torch.optim.SGD) and step == 10:  # the published code's one change
                optimizer.param_groups[0]["lr"] = 0.05
        yield network


@torch.no_grad()
def validation_loss(network, data):
    validation = data.parts["validation"]
    return float((network(validation.x)[:, 0] - validation.age).square().mean())


def losses(seen, part):
    return [epoch.scores[f"{part}/loss"] for epoch in seen.epochs[0]]


def test_validation_and_model_see_the_average_and_training_never_does(make_run, make_data, train):
    """Over Adam: averaging belongs to no optimiser."""
    data = make_data()
    common = {"optimizer": {"lr": 0.01}, "trainer": {"max_epochs": 7}}
    averaged = {"swa_lr": 0.01, "start": 2, "freq": 2}
    run = make_run("optimizer=adam", "averaging=swa", "lr_schedule=constant", averaging=averaged, **common)
    seen = train([run], data)
    average, expected, best = None, [], (math.inf, None)
    for epoch, network in enumerate(by_hand(run, data, 7, lambda p: torch.optim.Adam(p, lr=0.01))):
        if epoch in (2, 4, 6):
            average = average or AveragedModel(network)
            average.update_parameters(network)
        shown = network if average is None else average.module
        expected.append(validation_loss(shown, data))
        if expected[-1] < best[0]:
            best = expected[-1], {name: p.detach().clone() for name, p in shown.named_parameters()}
    assert losses(seen, "validation") == pytest.approx(expected, rel=1e-4)
    for name, weight in seen.outcomes[0].weights.items():
        torch.testing.assert_close(weight, best[1][name], rtol=1e-3, atol=1e-5)

    plain = train([make_run("optimizer=adam", "lr_schedule=constant", **common)], data)
    assert losses(seen, "train") == losses(plain, "train")
    same = [a == b for a, b in zip(losses(seen, "validation"), losses(plain, "validation"), strict=True)]
    assert same == [True, True, True, False, False, False, False]  # the first average is the weights themselves


def test_the_swa_of_the_paper_is_sgd_with_averaging(make_run, make_data, train):
    named = make_run("optimizer=swa", optimizer={"lr": 0.01}, averaging={"start": 2})
    spelt = make_run("optimizer=sgd", "averaging=swa", optimizer={"lr": 0.01}, averaging={"start": 2})
    assert named.identity() == spelt.identity()


@pytest.mark.parametrize("other", ["none", "swa_published"])
def test_an_optimizer_named_after_its_averaging_has_no_other(other):
    chosen = {"optimizer": "swa", "averaging": other}
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", [f"{group}={choice}" for group, choice in chosen.items()])
    with pytest.raises(UserError, match=rf"^averaging = {other}: optimizer=swa is .*take optimizer=sgd"):
        from_config(cfg, chosen, ())


def test_the_schedule_stands_still_once_averaging_began(make_run, make_data, train):
    # no epoch ever improves by a million times: the plateau would lower the rate at every epoch
    run = make_run(
        "optimizer=swa",
        optimizer={"lr": 0.01},
        averaging={"swa_lr": 0.008, "start": 3, "anneal": 4, "anneal_strategy": "linear"},
        lr_schedule={"patience": 0, "factor": 0.5, "threshold": 1e6},
        trainer={"max_epochs": 9},
    )
    rates = [e.lr for e in train([run], make_data()).epochs[0]]
    last = 0.01 * 0.5**2
    assert rates[:3] == pytest.approx([0.01, 0.005, last])
    assert rates[3:] == pytest.approx([last + (0.008 - last) * min(1.0, share / 4) for share in range(6)])


@pytest.mark.parametrize("other", ["lr_schedule=plateau", "lr_schedule=one_cycle", "lr_finder=range_test"])
def test_the_published_swa_is_sgd_at_its_own_rate_whatever_schedule_and_range_test_say(
    other, make_run, make_data, train
):
    published = train([make_run("optimizer=swa_published", other, averaging={"start": 0})], make_data())
    sgd = train([make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.05})], make_data())
    assert published.epochs == sgd.epochs
    assert published.everything(0)[1].items() >= sgd.everything(0)[1].items()
    assert published.outcomes[0].lr != 0.05


def test_the_published_swa_is_a_plain_loop(make_run, make_data, train):
    data = make_data()
    run = make_run("optimizer=swa_published", "lr_schedule=constant", trainer={"max_epochs": 6})
    assert (run.averaging.start, run.averaging.swa_lr) == (10, 0.05)
    seen = train([run], data)
    loop = by_hand(run, data, 6, lambda p: torch.optim.SGD(p, lr=run.optimizer.lr))
    states = [copy.deepcopy(network) for network in loop]
    best = states[int(np.argmin([validation_loss(network, data) for network in states]))]
    for name, weight in seen.outcomes[0].weights.items():
        torch.testing.assert_close(weight, best.get_parameter(name), rtol=1e-4, atol=1e-6)


def walk(averaging, steps, runs=slice(None)):
    """Show an averaging the weights of some steps `[steps, K, ...]`, each the end of an epoch; return its state."""
    options = {name: tensor[runs] for name, tensor in per_run_options([averaging] * steps.shape[1]).items()}
    state = averaging.init(options, {"w": steps[0][runs]})
    for progress, weights in zip(moments(len(steps), 1), steps, strict=True):
        averaging.update(options, {"w": weights[runs]}, state, progress)
    return state


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_moving_average_weighs_steps_as_it_says_and_holds_nothing_of_the_first_weights(decay):
    steps = torch.randn(40, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    averaging = EMA(decay=decay)
    found = averaging.evaluated({"w": steps[-1]}, walk(averaging, steps))["w"]
    shares = decay ** np.arange(39, -1, -1.0) * (1 - decay) / (1 - decay**40)
    assert shares.sum() == pytest.approx(1)
    expected = np.tensordot(shares, steps.double().numpy(), 1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [2, 5, 13])
def test_the_moments_of_swag_are_those_of_the_paper(count):
    """Mean, second moment, and the last `rank` deviations from the mean as it was, by their definitions."""
    averaging = SWAG(**DEFAULTS | {"start": 0}, rank=4, samples=3)
    steps = 100 + torch.randn(count, 2, 3, 5, generator=torch.Generator().manual_seed(1)) / 100
    state, seen = walk(averaging, steps), steps.double().numpy()
    means = np.cumsum(seen, axis=0) / np.arange(1, count + 1)[:, None, None, None]
    np.testing.assert_allclose(state["average/w"].numpy(), means[-1], rtol=1e-6)
    variance = np.square(seen).mean(axis=0) - np.square(means[-1])
    np.testing.assert_allclose(state["variance/w"].numpy(), variance, rtol=0.01, atol=1e-7)
    kept = min(count, 4)
    deviations = np.sort((seen - means)[-kept:].swapaxes(0, 1), axis=1)
    found = np.sort(state["deviations/w"].numpy()[:, :kept], axis=1)
    np.testing.assert_allclose(found, deviations, atol=3e-5)


def test_what_swag_draws_has_the_mean_and_covariance_of_its_gaussian():
    averaging = SWAG(**DEFAULTS | {"start": 0}, rank=3, samples=40_000)
    scale = torch.tensor([1.0, 0.1, 2.0])
    steps = torch.randn(9, 1, 3, generator=torch.Generator().manual_seed(2)) * scale
    state = walk(averaging, steps)
    posterior = {name: tensor[0] for name, tensor in averaging.posterior(state).items()}
    mean = state["average/w"][0]
    drawn = averaging.members({"w": mean}, posterior, torch.Generator().manual_seed(3))["w"].double().numpy()
    means = np.cumsum(steps[:, 0].double().numpy(), axis=0) / np.arange(1, 10)[:, None]
    last = (steps[:, 0].double().numpy() - means)[-3:]
    theory = np.diag(steps[:, 0].double().numpy().var(axis=0)) / 2 + last.T @ last / (2 * (3 - 1))
    spread = np.sqrt(np.diag(theory))
    assert np.all(np.abs(drawn.mean(axis=0) - mean.numpy()) < 5 * spread / np.sqrt(len(drawn)))
    assert np.all(np.abs(np.cov(drawn.T) - theory) < 0.03 * np.outer(spread, spread))
    again = averaging.members({"w": mean}, posterior, torch.Generator().manual_seed(3))["w"].numpy()
    assert np.array_equal(again, drawn.astype(np.float32))


@pytest.mark.parametrize("averaging", [EMA(decay=0.9), SWAG(**DEFAULTS | {"start": 0}, rank=2, samples=3)])
def test_the_state_of_a_run_is_what_it_would_have_alone(averaging):
    steps = torch.randn(5, 3, 7, 4, generator=torch.Generator().manual_seed(0))
    steps[2:, 1] = math.nan
    together = walk(averaging, steps)
    for run in (0, 2):
        alone = walk(averaging, steps, slice(run, run + 1))
        for name, tensor in together.items():
            assert torch.equal(tensor[run], alone[name][0])


OPTIMIZERS = sorted(path.stem for path in Path(conf_dir(), "optimizer").glob("*.yaml"))


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if not name.startswith("swa")])
@pytest.mark.parametrize(
    "averaging", [("ema",), ("swag", "averaging.start=1", "averaging.samples=3")], ids=lambda a: a[0]
)
def test_averaging_goes_over_any_optimizer(optimizer, averaging, make_run, make_data, train):
    common = f"optimizer={optimizer}", "optimizer.lr=0.01", "lr_schedule=constant"
    chosen = make_run(*common, f"averaging={averaging[0]}", *averaging[1:])
    data = make_data()
    seen = train([chosen], data)
    assert seen.outcomes[0].status == "completed"
    assert losses(seen, "validation") != losses(train([make_run(*common)], data), "validation")
    outcome = seen.outcomes[0]
    assert (
        outcome.model.members == len(outcome.model.weights["layers.0.weight"]) == (3 if averaging[0] == "swag" else 1)
    )


def test_a_run_of_swag_is_scored_and_saved_as_what_its_samples_say_together(make_run, make_data, train, tmp_path):
    data = make_data()
    swag = ("optimizer=sgd", "averaging=swag", "averaging.start=2", "averaging.samples=5", "averaging.rank=2")
    outcome = train([make_run(*swag, optimizer={"lr": 0.01}, trainer={"max_epochs": 6})], data).outcomes[0]
    assert outcome.best_epoch >= 3  # two weights have been averaged
    outcome.model.save(tmp_path / "m.safetensors")
    test = data.parts["test"]
    ages = []
    for member in range(5):
        x = test.x.double().numpy().T
        for layer in range(3):
            weight, bias = (outcome.model.weights[f"layers.{layer}.{part}"][member] for part in ("weight", "bias"))
            x = weight.double().numpy() @ x + bias.double().numpy()[:, None]
            x = np.maximum(x, 0) if layer < 2 else x
        ages.append(x[0])
    np.testing.assert_allclose(outcome.prediction.mean, np.mean(ages, axis=0), rtol=1e-4)
    assert outcome.scores["test/mae"] == pytest.approx(
        np.abs(np.median(ages, axis=0) - test.age.numpy()).mean(), rel=1e-4
    )
    assert outcome.scores["test/crps"] < outcome.scores["test/mae"]
    again = model_file.load(tmp_path / "m.safetensors").predict(test.x.numpy())
    assert np.array_equal(again.quantile(0.2), outcome.prediction.quantile(0.2))
    assert set(outcome.scores) >= {"validation/coverage_90", "train/mae"}
