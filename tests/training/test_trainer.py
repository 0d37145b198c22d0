"""Training runs: which figures they report, what makes them differ, and how they end."""

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch.nn import functional

from vec2uage.base import seeds
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.training import models
from vec2uage.training.run_settings import from_config


def composed_config(*overrides):
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return compose("train", list(overrides))


def network_of(weights):
    """The network of a result in plain torch functions."""

    def predict(x):
        for layer in range(2):
            x = functional.linear(x, weights[f"layers.{layer}.weight"], weights[f"layers.{layer}.bias"]).relu()
        return functional.linear(x, weights["layers.2.weight"], weights["layers.2.bias"])[:, 0]

    return predict


@pytest.fixture(scope="module")
def sgd(make_run):
    return make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.02}, trainer={"max_epochs": 8})


def test_figures_are_means_over_samples_at_the_epoch_with_the_lowest_validation_loss(sgd, make_data, train):
    data = make_data()
    seen = train([sgd], data)
    outcome, predict = seen.outcomes[0], network_of(seen.outcomes[0].weights)
    for part, inputs in data.parts.items():
        errors = (predict(inputs.x) - inputs.age).double()
        expected = {
            "loss": errors.square().mean(),
            "mae": errors.abs().mean(),
            "rmse": errors.square().mean().sqrt(),
            "bias": errors.mean(),
            "crps": errors.abs().mean(),
        }
        measured = {name: score for name, score in outcome.scores.items() if name.startswith(f"{part}/")}
        assert measured == pytest.approx(
            {f"{part}/{name}": float(value) for name, value in expected.items()}, rel=1e-5, abs=1e-6
        )
    np.testing.assert_allclose(outcome.prediction.median, predict(data.parts["test"].x).numpy(), rtol=1e-5)
    losses = [epoch.scores["validation/loss"] for epoch in seen.epochs[0]]
    assert outcome.best_epoch == int(np.argmin(losses))
    assert outcome.scores["validation/loss"] == min(losses)
    assert outcome.scores["validation/mae"] == seen.epochs[0][outcome.best_epoch].scores["validation/mae"]


def test_figures_can_be_means_over_batches_as_in_the_authors_code(make_run, make_data, train):
    how = ("optimizer=sgd", "lr_schedule=constant", "early_stopping=none", "trainer.batch_size=32")
    over_batches = make_run(*how, "trainer.mean_over=batches")
    data = make_data(rows=100)
    seen, other = train([over_batches], data), train([make_run(*how)], data)
    outcome, predict = seen.outcomes[0], network_of(seen.outcomes[0].weights)
    for part, inputs in data.parts.items():
        errors = (predict(inputs.x) - inputs.age).abs().double()
        assert len(errors) % 32, "the last batch is a full one: the test shows nothing"
        expected = float(np.mean([batch.mean() for batch in errors.split(32)]))
        assert outcome.scores[f"{part}/mae"] == pytest.approx(expected, rel=1e-5)
    assert seen.epochs[0][0].scores["train/loss"] != other.epochs[0][0].scores["train/loss"]
    assert outcome.scores["test/mae"] != other.outcomes[0].scores["test/mae"]
    one_batch = ("trainer.batch_size=100", *how[:3])
    same = [train([make_run(*one_batch, *more)], data) for more in ((), ("trainer.mean_over=batches",))]
    assert same[0].epochs[0][0].scores["train/loss"] == same[1].epochs[0][0].scores["train/loss"]


def test_unpaired_seeds_are_drawn_from_the_seed_and_the_optimisers_name():
    paired, one, same, other = (
        from_config(composed_config("optimizer=sgd", *more), {"optimizer": "sgd"}, []).seed
        for more in ((), ("seeds=unpaired",), ("seeds=unpaired",), ("seeds=unpaired", "seed=2"))
    )
    assert paired == 1
    assert one == same == seeds.derive(1, "unpaired", "sgd") % 2**31
    assert other != one


def test_the_best_epoch_is_kept_when_later_ones_are_worse(make_run, make_data, train):
    # a rate so high that the loss soon bounces
    run = make_run("optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.05}, trainer={"max_epochs": 8})
    seen = train([run], make_data())
    losses = [epoch.scores["validation/loss"] for epoch in seen.epochs[0]]
    best = int(np.argmin(losses))
    assert best < 7, "no later epoch was worse: the test shows nothing"
    shorter = make_run(
        "optimizer=sgd", "lr_schedule=constant", optimizer={"lr": 0.05}, trainer={"max_epochs": best + 1}
    )
    assert train([shorter], make_data()).everything(0)[1] == seen.everything(0)[1]


def test_training_figures_of_an_epoch_are_sample_weighted_means_over_its_steps(sgd, make_data, train):
    """100 rows in batches of 32: the last batch has 4 rows, and a mean of batch means would give them too much."""
    data = make_data()
    network = models.build(sgd.model, data.dimension, 1, sgd.seed)
    generator = seeds.torch_generator(sgd.seed, "batches")
    for epoch in train([sgd], data).epochs[0][:3]:
        losses, errors = [], []
        for index in torch.randperm(100, generator=generator).split(32):
            network.zero_grad()
            error = network(data.train.x[index])[:, 0] - data.train.age[index]
            error.square().mean().backward()
            losses += error.detach().square().tolist()
            errors += error.detach().abs().tolist()
            for p in network.parameters():
                p.data -= 0.02 * p.grad
        assert epoch.scores["train/loss"] == pytest.approx(np.mean(losses), rel=1e-4)
        assert epoch.scores["train/mae"] == pytest.approx(np.mean(errors), rel=1e-4)
        assert epoch.lr == 0.02


def test_the_same_seed_gives_the_same_run_and_another_seed_another(make_run, make_data, train):
    runs = [make_run("optimizer=adam", seed=seed) for seed in (3, 3, 4)]
    first, again, other = (train([run], make_data()) for run in runs)
    assert first.everything(0) == again.everything(0)
    assert first.outcomes[0].scores["test/mae"] != other.outcomes[0].scores["test/mae"]


@pytest.mark.parametrize(("trainer", "epochs"), [({"max_epochs": 1}, 1), ({"max_epochs": 3, "batch_size": 7}, 3)])
def test_a_run_that_has_had_its_epochs_is_completed(trainer, epochs, make_run, make_data, train):
    seen = train([make_run("optimizer=sgd", trainer=trainer)], make_data())
    outcome = seen.outcomes[0]
    assert (outcome.status, outcome.reason, outcome.epochs) == ("completed", None, epochs)
    assert [epoch.number for epoch in seen.epochs[0]] == list(range(epochs))
    assert seen.steps == epochs * -(-100 // trainer.get("batch_size", 32))
    assert outcome.seconds > 0


def test_an_interrupted_run_keeps_what_it_has(sgd, make_run, make_data, train):
    whole = train([sgd], make_data())
    runs = [sgd, make_run("optimizer=sgd", "lr_schedule=constant", trainer={"max_epochs": 8}, seed=9)]
    seen = train(runs, make_data(), stop_after=2 * 4 + 3)  # in the third epoch of four steps
    for run in range(2):
        outcome = seen.outcomes[run]
        assert (outcome.status, outcome.epochs, len(seen.epochs[run])) == ("interrupted", 2, 2)
        assert outcome.scores.keys() >= {"train/mae", "validation/mae", "test/mae"}
    assert seen.epochs[0] == whole.epochs[0][:2]
    losses = [epoch.scores["validation/loss"] for epoch in whole.epochs[0][:2]]
    assert seen.outcomes[0].scores["validation/loss"] == min(losses)


def test_a_run_interrupted_before_its_first_epoch_has_nothing(sgd, make_data, train):
    outcome = train([sgd], make_data(), stop_after=1).outcomes[0]
    assert (outcome.status, outcome.epochs, outcome.scores, outcome.prediction) == ("interrupted", 0, {}, None)


def test_training_leaves_the_global_random_state_alone(sgd, make_data, train):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (it is the state that is asked about)
    train([sgd], make_data())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_the_network_learns(make_run, make_data, train):
    run = make_run("optimizer=adam", "early_stopping=none", optimizer={"lr": 3e-3}, trainer={"max_epochs": 40})
    outcome = train([run], make_data()).outcomes[0]
    ages = make_data().parts["test"].age
    assert outcome.scores["test/mae"] < 0.7 * float((ages - ages.mean()).abs().mean())
