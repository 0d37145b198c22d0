"""The learning-rate range test: its grid, its curve, its rules, and that it leaves no trace in training."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from vec2uage.training.range_test import NoRangeTest, RangeTest, explosion, minimum, read_curve, smooth, valley

PAPER = RangeTest(
    min_lr=1e-8, max_lr=1.0, steps=100, smoothing=0.98, stop_factor=4.0, skip_begin=10, skip_end=1, rule="steepest"
)
GRID = [1e-8 * 10 ** (0.08 * (k + 1)) for k in range(100)]
CURVES = st.lists(st.floats(1 / 64, 100, width=32), min_size=100, max_size=100).map(np.array)


def test_the_rates_are_the_grid_of_the_papers_table_5():
    np.testing.assert_allclose(PAPER.rates(), GRID, rtol=1e-12)
    published = [0.0209, 0.0251, 0.0302]
    assert all(np.isclose(PAPER.rates(), lr, rtol=3e-3).any() for lr in published)


def test_min_lr_max_lr_and_steps_span_the_grid():
    rates = replace(PAPER, min_lr=1e-4, max_lr=0.1, steps=30).rates()
    assert len(rates) == 30
    np.testing.assert_allclose([rates[9], rates[-1]], [1e-3, 0.1])
    with pytest.raises(ValidationError, match="max_lr must be above min_lr"):
        replace(PAPER, max_lr=1e-9)


@given(losses=CURVES, beta=st.sampled_from([0.0, 0.5, 0.98]))
def test_smoothing_is_a_weighted_mean_of_the_losses_so_far(losses, beta):
    for k in (0, 1, 7, 99):
        weights = beta ** np.arange(k, -1, -1.0)
        assert smooth(losses, beta)[k] == pytest.approx(np.average(losses[: k + 1], weights=weights), rel=1e-9)


def test_the_curve_ends_with_the_first_loss_above_four_times_the_best():
    losses = np.array([8.0, 4.0, 15.9, 2.0, 7.9, 8.1, 1.0])
    assert explosion(losses, 4.0) == 6
    assert explosion(losses, 3.0) == 3
    assert explosion(losses, 10.0) == 7
    assert explosion(np.array([3.0, 2.0, np.nan, 1.0]), 4.0) == 2


def lightning(losses, rates, factor, skip_begin, skip_end):
    """The published code of pytorch-lightning's finder, on its own terms."""
    average, best, kept = 0.0, 0.0, []
    for step, loss in enumerate(losses):
        average = 0.98 * average + (1 - 0.98) * loss
        kept.append(average / (1 - 0.98 ** (step + 1)))
        if step >= 1 and kept[-1] > factor * best:
            break
        if kept[-1] < best or step == 0:
            best = kept[-1]
    considered = kept[skip_begin:-skip_end]
    return rates[np.argmin(np.gradient(considered)) + skip_begin] if len(considered) > 1 else None


@example(losses=np.array([1.0] * 16 + [9.0] + [1.0] * 83), begin=0, end=18, factor=1.01)
@given(losses=CURVES, begin=st.integers(0, 30), end=st.integers(1, 30), factor=st.sampled_from([1.5, 4.0, 100.0]))
def test_the_suggestion_is_that_of_pytorch_lightning_whatever_is_skipped_and_where_it_stops(losses, begin, end, factor):
    test = replace(PAPER, skip_begin=begin, skip_end=end, stop_factor=factor)
    assert read_curve(test, losses).suggestion == lightning(losses, PAPER.rates(), factor, begin, end)


def test_minimum_over_10_is_a_tenth_of_the_rate_with_the_lowest_loss():
    losses = np.abs(np.arange(100.0) - 70) + 30
    assert minimum(losses) == 70
    test = replace(PAPER, smoothing=0.0, rule="minimum_over_10")
    assert read_curve(test, losses).suggestion == pytest.approx(GRID[70] / 10)


def test_valley_lies_amid_the_longest_fall():
    losses = np.concatenate([np.full(30, 10.0), np.linspace(10, 2, 40), np.full(30, 3.0)])
    assert 48 <= valley(losses) <= 51
    test = replace(PAPER, smoothing=0.0, rule="valley")
    assert read_curve(test, losses).suggestion == pytest.approx(GRID[10 + valley(losses[10:-1])])


@given(CURVES)
def test_valley_is_half_a_longest_falling_subsequence_before_its_end(losses):
    assume(len(np.unique(losses)) > 1)
    best = [1] * len(losses)  # the plain quadratic recursion
    for i in range(len(losses)):
        for j in range(i):
            if losses[j] > losses[i]:
                best[i] = max(best[i], best[j] + 1)
    end = int(np.argmax(best))
    assert valley(losses) == end - (best[end] - 1) + (best[end] - 1) // 2


@pytest.mark.parametrize("rule", ["steepest", "valley", "minimum_over_10"])
def test_no_suggestion_from_a_curve_that_is_too_short(rule):
    losses = np.full(100, np.nan)
    losses[:5] = 1.0
    curve = read_curve(replace(PAPER, rule=rule), losses)
    assert curve.suggestion is None
    assert len(curve.lr) == len(curve.smoothed) == 5


def set_by_hand(run, lr):
    return replace(run, lr_finder=NoRangeTest(), optimizer=replace(run.optimizer, lr=lr))


@pytest.mark.parametrize("optimizer", ["adam", "swa"])
def test_training_after_the_test_is_training_with_that_rate_set_by_hand(optimizer, make_run, make_data, train):
    runs = [make_run(f"optimizer={optimizer}", "lr_finder=range_test", seed=seed) for seed in range(3)]
    tested = train(runs, make_data())
    rates = [tested.outcomes[run].lr for run in range(3)]
    assert all(np.isclose(GRID, lr, rtol=1e-9).any() for lr in rates)
    for run, lr in enumerate(rates):
        by_hand = train([set_by_hand(runs[run], lr)], make_data())
        assert by_hand.epochs[0] == tested.epochs[run]
        for name, weight in by_hand.outcomes[0].weights.items():
            assert weight.equal(tested.outcomes[run].weights[name])


def test_the_options_of_the_finder_reach_training(make_run, make_data, train):
    def curve(*overrides):
        run = make_run("optimizer=sgd", "lr_finder=range_test", *overrides)
        return train([run], make_data()).outcomes[0].curve

    default, other = curve(), curve("lr_finder.max_lr=1e-3", "lr_finder.steps=50", "lr_finder.rule=valley")
    assert default.lr[0] == pytest.approx(1e-8 * 10**0.08)
    assert len(other.lr) == 50
    assert other.lr[-1] == pytest.approx(1e-3)
    assert other.suggestion != default.suggestion


def test_a_run_whose_test_finds_nothing_fails_with_a_reason_and_the_others_train(make_run, make_data, train):
    def run(decay):  # a decay that throws the weights out of bounds at the first step
        return make_run("optimizer=sgd", "lr_finder=range_test", optimizer={"weight_decay": decay})

    seen = train([run(1e30), run(0.01)], make_data())
    assert [seen.outcomes[position].status for position in range(2)] == ["failed", "completed"]
    assert "range test found no falling loss" in seen.outcomes[0].reason
    assert list(seen.epochs) == [1]
    assert seen.everything(1) == train([run(0.01)], make_data()).everything(0)
