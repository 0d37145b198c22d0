"""The score that a run is steered by: its best epoch, its schedule and when it stops."""

import math

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.predictions import metrics
from vec2uage.training.monitor import badness

HOW = ("optimizer=adam", "early_stopping=none", "lr_schedule=constant")


def of_epochs(seen, monitor):
    return [badness(monitor, epoch.scores) for epoch in seen.epochs[0]]


def test_the_best_epoch_is_the_one_with_the_best_monitored_score(make_run, make_data, train):
    best = {}
    for name in ("loss", "mae", "bias"):
        monitor = f"validation/{name}"
        run = make_run(*HOW, f"trainer.monitor={monitor}", optimizer={"lr": 0.01}, trainer={"max_epochs": 30})
        seen = train([run], make_data())
        outcome = seen.outcomes[0]
        assert outcome.best_epoch == int(np.argmin(of_epochs(seen, monitor)))
        assert outcome.scores[monitor] == seen.epochs[0][outcome.best_epoch].scores[monitor]
        best[name] = outcome.best_epoch
    assert len(set(best.values())) > 1, f"all are best at once: the test shows nothing {best}"


def test_schedule_and_early_stopping_watch_scores_of_their_own(make_run, make_data, train):
    run = make_run(
        "optimizer=sgd",
        "early_stopping.monitor=validation/bias",
        "lr_schedule.monitor=validation/rmse",
        optimizer={"lr": 0.05},
        early_stopping={"patience": 3},
        lr_schedule={"patience": 0, "factor": 0.5},
        trainer={"max_epochs": 20},
    )
    seen = train([run], make_data())
    epochs = seen.epochs[0]
    biases = of_epochs(seen, "validation/bias")
    lowest = [min(biases[: n + 1]) for n in range(len(biases))]
    waits = [len(lowest[: n + 1]) - lowest.index(lowest[n]) - 1 for n in range(len(lowest))]
    assert len(epochs) < 20, "nothing stopped: the test shows nothing"
    assert waits.index(3) == len(epochs) - 1
    rate, best = 0.05, math.inf
    for epoch in epochs:
        assert epoch.lr == pytest.approx(rate)
        score = epoch.scores["validation/rmse"]
        rate, best = (rate, score) if score < best * (1 - run.lr_schedule.threshold) else (rate / 2, best)


def test_a_metric_that_is_better_the_higher_is_monitored_like_any_other(make_run, make_data, train, monkeypatch):
    """What is compared lies below zero then."""

    def closeness(ages, prediction):
        return 100 - metrics.mae(ages, prediction)

    monkeypatch.setitem(metrics.METRICS, "closeness", None)  # forgotten after the test
    metrics.metric(unit="years", best="highest", every_epoch=True)(closeness)
    names = ("trainer.monitor", "early_stopping.monitor", "lr_schedule.monitor")
    how = {
        "optimizer": {"lr": 0.05},
        "early_stopping": {"patience": 3},
        "lr_schedule": {"patience": 1, "threshold": 0.0},
        "trainer": {"max_epochs": 12},
    }
    seen, other = (
        train([make_run("optimizer=sgd", *(f"{name}=validation/{score}" for name in names), **how)], make_data())
        for score in ("closeness", "mae")
    )
    assert seen.outcomes[0].best_epoch == other.outcomes[0].best_epoch
    assert [epoch.lr for epoch in seen.epochs[0]] == [epoch.lr for epoch in other.epochs[0]]
    assert seen.outcomes[0].scores["test/closeness"] == 100 - other.outcomes[0].scores["test/mae"]


@pytest.mark.parametrize("key", ["trainer.monitor", "early_stopping.monitor", "lr_schedule.monitor"])
def test_a_score_that_no_epoch_has_is_refused_with_those_that_it_has(key, make_run):
    with pytest.raises(UserError, match=rf"^{key} = 'test/mae': .*validation/loss, validation/mae"):
        make_run(f"{key}=test/mae")


def test_points_cannot_be_steered_by_a_score_of_spreads(make_run):
    for name in ("trainer.monitor", "early_stopping.monitor", "lr_schedule.monitor"):
        with pytest.raises(UserError, match=rf"{name} = validation/log_score.*points"):
            make_run(*HOW[:1], f"{name}=validation/log_score")
    with pytest.raises(UserError, match="score of every epoch"):
        make_run(*HOW, "trainer.monitor=validation/coverage_90")


@pytest.mark.parametrize("group", ["trainer", "early_stopping", "lr_schedule"])
def test_a_run_that_no_finite_score_has_steered_has_failed(group, make_run, make_data, train):
    """Quantiles say nothing of the density in their tails."""
    run = make_run("head=quantile", "head.levels=[0.4,0.5,0.6]", f"{group}.monitor=validation/log_score")
    outcome = train([run], make_data()).outcomes[0]
    assert outcome.status == "failed"
    assert "validation/log_score was not finite" in outcome.reason
    assert outcome.model is not None


def test_what_is_no_number_is_the_worst():
    assert badness("validation/mae", {"validation/mae": math.nan}) == math.inf
    assert badness("validation/loss", {"validation/loss": math.nan}) == math.inf
