"""The contract of the trainer: a run's result does not depend on the runs stacked with it, bit for bit."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

PAPER_WIDTHS = "model.hidden=[512,256,128]"
RMSPROP = ("optimizer=sgd", "optimizer._target_=torch.optim.RMSprop", "~optimizer.momentum", "~optimizer.weight_decay")
KINDS = {
    "sgd": ("optimizer=sgd",),
    "momentum": ("optimizer=sgd",),
    "adam": ("optimizer=adam",),
    "adagrad": ("optimizer=adagrad",),
    "swa": ("optimizer=swa", "averaging.unit=step", "averaging.start=3", "averaging.anneal=2"),
    "swa of adam": ("optimizer=adam", "averaging=swa", "averaging.start=1", "averaging.anneal=0"),
    "swa_published": ("optimizer=swa_published", "averaging.start=2"),
    "ema": ("optimizer=adam", "averaging=ema"),
    "swag": ("optimizer=sgd", "averaging=swag", "averaging.start=1", "averaging.rank=2", "averaging.samples=3"),
    "rmsprop": RMSPROP,
}
# Options that differ between the runs of one stack, beside seed and learning rate.
DIFFERING = {
    "momentum": {"momentum": st.sampled_from([0.5, 0.9]), "weight_decay": st.sampled_from([0.0, 0.01])},
    "adam": {"beta1": st.sampled_from([0.9, 0.5]), "weight_decay": st.sampled_from([0.0, 0.01])},
    "adagrad": {"lr_decay": st.sampled_from([0.0, 0.1])},
}
OF_AVERAGING = {
    "swa": {"swa_lr": st.sampled_from([0.02, 0.001])},
    "swa of adam": {"swa_lr": st.sampled_from([0.01, 1e30])},
    "swa_published": {"swa_lr": st.sampled_from([0.05, 0.01])},
    "ema": {"decay": st.sampled_from([0.5, 0.99])},
    "swag": {"swa_lr": st.sampled_from([0.02, 1e30])},
}


@st.composite
def groups(draw):
    """Overrides that a group of runs shares, and what each of its runs has of its own."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    finder = draw(st.sampled_from(["none", "none", "range_test"]))
    shared = (*KINDS[kind], f"lr_finder={finder}", *(("lr_finder.steps=30",) if finder == "range_test" else ()))
    own = []
    for _ in range(draw(st.integers(1, 6))):
        options = {name: draw(values) for name, values in DIFFERING.get(kind, {}).items()}
        own.append(
            {
                "seed": draw(st.integers(0, 99)),
                "optimizer": {"lr": 10 ** draw(st.floats(-5, -1.5))} | options,
                "early_stopping": {"patience": draw(st.integers(1, 3))},
                "lr_schedule": {"patience": draw(st.integers(0, 2)), "factor": draw(st.sampled_from([0.1, 0.5]))},
                "averaging": {name: draw(values) for name, values in OF_AVERAGING.get(kind, {}).items()},
            }
        )
    if draw(st.booleans()):
        own[-1]["optimizer"]["lr"] = 1e30  # diverges among its neighbours
    return shared, own


def stacked_and_alone(group, threads, make_run, make_data, train):
    """Train a group as one stack with `threads` threads, and each of its runs alone with one."""
    shared, own = group
    runs = [make_run(PAPER_WIDTHS, "trainer.batch_size=64", *shared, **options) for options in own]
    data = make_data(512)
    torch.set_num_threads(threads)
    together = train(runs, data)
    torch.set_num_threads(1)
    for position, run in enumerate(runs):
        yield together.everything(position), train([run], data).everything(0)


@settings(max_examples=8)
@given(group=groups())
def test_a_run_does_not_depend_on_its_neighbours(group, make_run, make_data, train):
    for stacked, alone in stacked_and_alone(group, 1, make_run, make_data, train):
        assert stacked == alone


@settings(max_examples=2)
@given(group=groups())
def test_a_run_does_not_depend_on_the_number_of_threads(group, make_run, make_data, train):
    for stacked, alone in stacked_and_alone(group, 2, make_run, make_data, train):
        assert stacked == alone


def test_a_run_that_diverges_keeps_its_best_model_and_leaves_its_neighbours_alone(make_run, make_data, train):
    def run(seed, swa_lr):  # one good epoch of four steps, then another rate
        averaging = {"start": 4, "swa_lr": swa_lr}
        return make_run("optimizer=swa_published", seed=seed, optimizer={"lr": 0.01}, averaging=averaging)

    calm, wild = [run(0, 0.01), run(2, 0.02)], run(1, 1e30)
    seen = train([calm[0], wild, calm[1]], make_data())
    outcome = seen.outcomes[1]
    assert outcome.status == "diverged"
    assert "no longer finite in epoch" in outcome.reason
    last = seen.epochs[1][-1]
    assert not math.isfinite(last.scores["train/loss"])
    assert outcome.epochs == len(seen.epochs[1]) == last.number + 1 > 1
    assert outcome.best_epoch == 0
    assert all(weight.isfinite().all() for weight in outcome.weights.values())
    assert math.isfinite(outcome.scores["test/mae"])
    for position, neighbour in ((0, calm[0]), (2, calm[1])):
        assert seen.outcomes[position].status == "completed"
        assert seen.everything(position) == train([neighbour], make_data()).everything(0)


def test_a_run_that_diverges_at_once_has_no_model(make_run, make_data, train):
    outcome = train([make_run("optimizer=sgd", optimizer={"lr": 1e30})], make_data()).outcomes[0]
    assert (outcome.status, outcome.epochs, outcome.best_epoch) == ("diverged", 1, None)
    assert (outcome.scores, outcome.weights, outcome.model) == ({}, {}, None)


def test_a_run_that_has_stopped_leaves_the_stack_and_the_others_go_on(make_run, make_data, train):
    def run(patience, seed):
        stopping = {"patience": patience, "min_delta": 1e6}  # nothing but the first epoch counts as better
        return make_run("optimizer=sgd", seed=seed, early_stopping=stopping, trainer={"max_epochs": 6})

    runs = [run(3, 0), run(1, 1), run(9, 2), run(1, 3)]
    seen = train(runs, make_data())
    assert [len(seen.epochs[position]) for position in range(4)] == [4, 2, 6, 2]
    assert list(seen.outcomes) == [1, 3, 0, 2]
    assert {outcome.status for outcome in seen.outcomes.values()} == {"completed"}
    for position, alone in enumerate(runs):
        assert seen.everything(position) == train([alone], make_data()).everything(0)
