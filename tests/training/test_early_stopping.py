"""Early stopping against a plain loop, and in training."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.training.early_stopping import NoEarlyStopping, Patience
from vec2uage.training.run_settings import per_run_options

RUNS = [Patience(patience=1, min_delta=0.0), Patience(patience=3, min_delta=0.0), Patience(patience=2, min_delta=0.5)]
LOSSES = st.lists(st.sampled_from([math.nan, math.inf, *[x / 4 for x in range(24)]]), min_size=1, max_size=15)


def stops(rule, losses):
    """For each run and epoch: does it stop?"""
    options = per_run_options(RUNS)
    state = rule.init(options, torch.ones(len(RUNS), dtype=torch.float64))
    return [rule.update(options, state, torch.tensor(row, dtype=torch.float64)).tolist() for row in losses]


def reference(run, losses):
    best, waited, answers = math.inf, 0, []
    for loss in losses:
        if loss < best - run.min_delta:
            best, waited = loss, 0
        else:
            waited += 1
        answers.append(waited >= run.patience)
    return answers


@given(st.tuples(LOSSES, LOSSES, LOSSES))
def test_patience_stops_every_run_where_a_plain_loop_would(sequences):
    epochs = min(len(s) for s in sequences)
    sequences = [s[:epochs] for s in sequences]
    answers = list(zip(*stops(RUNS[0], list(zip(*sequences, strict=True))), strict=True))
    assert [list(a) for a in answers] == [reference(run, s) for run, s in zip(RUNS, sequences, strict=True)]


def test_no_early_stopping_never_stops():
    assert not any(map(any, stops(NoEarlyStopping(), [[1.0] * 3] * 50)))


@pytest.mark.parametrize("patience", [1, 3])
def test_a_run_ends_after_that_many_epochs_without_improvement(make_run, make_data, train, patience):
    # no loss is lower than the first by a million: the count begins with the second epoch
    stopping = {"patience": patience, "min_delta": 1e6}
    run = make_run("optimizer=sgd", early_stopping=stopping, trainer={"max_epochs": 9})
    outcome = train([run], make_data()).outcomes[0]
    assert (outcome.status, outcome.epochs) == ("completed", patience + 1)
