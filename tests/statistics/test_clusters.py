"""Means over rows that depend on each other are as uncertain as their clusters make them."""

import numpy as np
import pytest

from vec2uage.statistics.clusters import cluster_means


def test_intervals_are_those_of_clusters_and_not_of_rows():
    generator = np.random.default_rng(0)
    of_cluster = generator.normal(size=60)
    clusters = np.repeat(np.arange(60), 20)
    values = of_cluster[clusters][:, None]
    (found,) = cluster_means(values, clusters, generator, 2000).intervals
    (naive,) = cluster_means(values, np.arange(len(values)), generator, 2000).intervals
    assert found.estimate == pytest.approx(of_cluster.mean())
    expected = 2 * 1.96 * of_cluster.std() / np.sqrt(60)
    assert found.high - found.low == pytest.approx(expected, rel=0.1)
    assert naive.high - naive.low < 0.3 * expected


def test_what_is_not_known_is_left_out_and_nothing_has_no_mean():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    known, unknown = cluster_means(values, np.arange(3), np.random.default_rng(0), 200).intervals
    assert known.estimate == 2.0
    assert np.isnan([unknown.estimate, unknown.low]).all()
    (alone,) = cluster_means(np.ones((4, 1)), np.zeros(4, dtype=int), np.random.default_rng(0), 100).intervals
    assert np.isnan(alone.low), "one person says nothing of others"


@pytest.mark.parametrize(("rows", "least", "most"), [(1, 0.0, 0.10), (10, 0.0, 0.10)])
def test_of_even_shares_few_are_called_uneven_however_often_a_face_is_seen(rows, least, most):
    generator, below = np.random.default_rng(1), 0
    for _ in range(150):
        bins = np.eye(5)[generator.integers(5, size=80)]
        clusters = np.tile(np.arange(80), rows)
        below += cluster_means(np.tile(bins, (rows, 1)), clusters, generator, 200).equal_p(0.2) < 0.05
    assert least <= below / 150 <= most


def test_uneven_shares_are_found():
    generator = np.random.default_rng(2)
    bins = np.eye(5)[np.minimum(generator.integers(7, size=200), 4)]
    assert cluster_means(bins, np.arange(200), generator, 500).equal_p(0.2) < 0.01
