"""Metrics of a spread and of being a minor, against scikit-learn, scipy, scoringrules, sampling and plain counts."""

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

from vec2uage.predictions import metrics, minors, reliability
from vec2uage.predictions.mixture import mix
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point
from vec2uage.predictions.roc import roc

GENERATOR = np.random.default_rng(1)
AGES = GENERATOR.uniform(8, 26, 4000)
TRUE_STD = GENERATOR.uniform(1, 3, 4000)
CENTRE = AGES + GENERATOR.normal(0, TRUE_STD)
CALIBRATED = Normal(CENTRE, TRUE_STD)


def test_what_is_calibrated_is_told_from_what_is_not() -> None:
    found = metrics.scores(AGES, CALIBRATED)
    for percent in (50, 80, 90, 95):
        assert found[f"coverage_{percent}"] == pytest.approx(percent / 100, abs=0.02)
        expected = 2 * stats.norm.ppf(0.5 + percent / 200) * TRUE_STD.mean()
        assert found[f"width_{percent}"] == pytest.approx(expected)
    assert found["pit_p"] > 0.01
    assert found["sharpness"] == pytest.approx(np.sqrt((TRUE_STD**2).mean()))
    assert found["sharpness"] == pytest.approx(found["rmse"], rel=0.05)
    assert found["log_score"] == pytest.approx(-stats.norm.logpdf(AGES, CENTRE, TRUE_STD).mean())
    narrow = metrics.scores(AGES, Normal(CENTRE, TRUE_STD / 2))
    assert narrow["pit_p"] < 1e-9
    assert narrow["coverage_90"] == pytest.approx(2 * stats.norm.cdf(1.645 / 2) - 1, abs=0.02)
    assert all(narrow[name] > found[name] for name in ("crps", "log_score", "interval_score_90", "minor_log_loss"))


def test_the_interval_score_is_scoringrules_and_coverage_a_plain_count() -> None:
    low, high = CALIBRATED.interval(0.9)
    expected = scoringrules.interval_score(AGES, low, high, 0.1).mean()
    assert metrics.METRICS["interval_score_90"].measure(AGES, CALIBRATED) == pytest.approx(expected)
    inside = sum(bool(a <= age <= b) for a, age, b in zip(low, AGES, high, strict=True)) / len(AGES)
    assert metrics.METRICS["coverage_90"].measure(AGES, CALIBRATED) == inside
    assert reliability.coverage(CALIBRATED.pit(AGES), np.array([0.9])).tolist() == pytest.approx([inside])


def test_transforms_are_counted_and_tested_as_scipy_does() -> None:
    pit = stats.norm.cdf(AGES, CENTRE, TRUE_STD)
    np.testing.assert_allclose(CALIBRATED.pit(AGES), pit)
    counts = [sum(k / 10 <= p < (k + 1) / 10 for p in pit) for k in range(10)]
    assert reliability.pit_histogram(pit).tolist() == counts
    assert metrics.METRICS["pit_p"].measure(AGES, CALIBRATED) == pytest.approx(stats.chisquare(counts).pvalue)
    assert np.isnan(reliability.pit_p(pit[:49]))
    uniform = [reliability.pit_p(GENERATOR.uniform(size=300)) for _ in range(400)]
    assert stats.binomtest(sum(p < 0.05 for p in uniform), 400, 0.05).pvalue > 1e-3


def test_the_probability_of_a_minor_is_scored_as_by_scikit_learn() -> None:
    found, minor = metrics.scores(AGES, CALIBRATED), AGES < 18
    p = stats.norm.cdf(18, CENTRE, TRUE_STD)
    assert found["minor_brier"] == pytest.approx(brier_score_loss(minor, p))
    assert found["minor_log_loss"] == pytest.approx(log_loss(minor, p))
    assert found["minor_auc"] == pytest.approx(roc_auc_score(minor, p))
    ece = sum(
        (own := (p >= k / 10) & (p < (k + 1) / 10)).mean() * abs(p[own].mean() - minor[own].mean()) for k in range(10)
    )
    assert found["minor_ece"] == pytest.approx(ece)
    of_one_side = metrics.scores(AGES[minor], CALIBRATED.take(minor))
    assert all(np.isnan(of_one_side[name]) for name in of_one_side if name.startswith("minor_"))


def test_points_lack_what_needs_a_spread_and_epochs_what_is_not_theirs() -> None:
    assert set(metrics.scores(AGES, Point(CENTRE))) == {"mae", "rmse", "bias", "crps"}
    every_epoch = {"mae", "rmse", "bias", "crps", "log_score"}
    assert set(metrics.scores(AGES, CALIBRATED, every_epoch=True)) == every_epoch
    by_batch = metrics.scores(AGES[:100], CALIBRATED.take(slice(100)), batch_size=30)
    whole = metrics.scores(AGES[:100], CALIBRATED.take(slice(100)))
    assert by_batch["mae"] != whole["mae"]
    assert by_batch["coverage_90"] == whole["coverage_90"]
    samples = mix([Point(CENTRE), Point(CENTRE + 1)])
    assert metrics.scores(AGES, samples)["log_score"] == np.inf
    broken = metrics.scores(AGES, Normal(np.full(4000, np.nan), TRUE_STD))
    assert np.isnan(broken["crps"])
    assert np.isnan(broken["minor_ece"])


def test_a_coverage_is_best_at_its_level() -> None:
    badness = metrics.METRICS["coverage_90"].badness
    assert badness(0.9) < badness(0.92) < badness(0.85)


def test_the_line_between_minors_and_others_follows_the_ages() -> None:
    assert minors.boundary(np.array([3.0, np.nan, 18.0])) == 17.5
    assert minors.boundary(np.array([3, 40])) == 17.5
    assert minors.boundary(np.array([3.0, 40.0]), 25) == 24.5
    line = minors.boundary(np.array([3.5, 18.0]))
    assert 17.999 < line < 18
    assert minors.is_minor(np.array([17.99, 18.0])).tolist() == [True, False]
    assert minors.p_minor(Point(np.array([17.9, 18.0])), line).tolist() == [1, 0]


outcomes = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=60)


@settings(deadline=None, max_examples=30)
@given(outcomes)
def test_curves_are_those_of_scikit_learn_and_intervals_of_scipy(rows: list[tuple[float, bool]]) -> None:
    p, true = np.array([p for p, _ in rows]), np.array([outcome for _, outcome in rows])
    curve = reliability.reliability(p, true)
    assert curve.n.sum() == len(rows)
    for observed, low, high, n in zip(curve.observed, curve.low, curve.high, curve.n, strict=True):
        expected = stats.binomtest(round(observed * n), int(n)).proportion_ci(0.95)
        assert (low, high) == pytest.approx(tuple(expected), abs=1e-9)
    if true.any() and not true.all():
        false_positives, true_positives, _ = roc_curve(true, p, drop_intermediate=False)
        found = roc(p, true)
        np.testing.assert_allclose(found.false_positives, false_positives)
        np.testing.assert_allclose(found.true_positives, true_positives)
        threshold, share = found.at_true_positives(0.8)
        assert (p[true] >= threshold).mean() >= 0.8
        assert (p[~true] >= threshold).mean() == pytest.approx(share)
        threshold, share = found.at_false_positives(0.1)
        assert (p[~true] >= threshold).mean() <= 0.1
        assert (p[true] >= threshold).mean() == pytest.approx(share)
