"""Cosine similarity: the formula, its bounds, and all near pairs against a plain computation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vec2uage.base.errors import UserError
from vec2uage.data import similarity
from vec2uage.data.similarity import cosine, cosine_of_pairs, normalized, pairs_above

numbers = st.floats(-1e3, 1e3, width=32).map(lambda x: 0.0 if abs(x) < 1e-3 else x)
matrices = arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 6)), elements=numbers).filter(
    lambda m: bool((m != 0).any(axis=1).all())
)


def naive(left, threshold, right=None):
    """Every pair i < j, one after the other."""
    right = left if right is None else right
    found = {}
    for i in range(len(left)):
        for j in range(i + 1, len(left)):
            a, b = left[i].astype(float), right[j].astype(float)
            value = float(np.dot(a, b) / np.sqrt(np.dot(a, a)) / np.sqrt(np.dot(b, b)))
            if value >= threshold:
                found[i, j] = value
    return found


def listed(pairs):
    return dict(zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.cosine.tolist(), strict=True))


def random(rows, dimension=16, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)


def test_the_cosine_of_known_angles():
    a = np.array([[1, 0], [1, 0], [2, 0], [3, 4]], dtype=np.float32)
    b = np.array([[0, 5], [-7, 0], [1, 1], [3, 4]], dtype=np.float32)
    np.testing.assert_allclose(cosine(a, b), [0, -1, 0.5**0.5, 1], atol=1e-15)
    assert cosine(a[3], b[2]) == pytest.approx(7 / (5 * 2**0.5))


@given(matrices, st.floats(0.01, 100))
def test_the_cosine_is_symmetric_bounded_and_knows_no_lengths(vectors, scale):
    other = vectors[::-1]
    value = cosine(vectors, other)
    assert (np.abs(value) <= 1).all()
    np.testing.assert_array_equal(value, cosine(other, vectors))
    np.testing.assert_allclose(cosine(vectors.astype(np.float64) * scale, other), value, atol=1e-12)
    np.testing.assert_allclose(cosine(vectors, -other), -value, atol=1e-12)
    np.testing.assert_allclose(cosine(vectors, vectors), 1, atol=1e-12)


@given(matrices)
def test_normalized_vectors_have_length_one_and_the_same_direction(vectors):
    unit = normalized(vectors)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(cosine(unit, vectors), 1, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-44, 1e-20, 1e37])
def test_lengths_beyond_float32_do_not_matter(scale):
    vectors = np.array([[3, 4], [4, 3]], dtype=np.float32) * np.float32(scale)
    np.testing.assert_allclose(np.linalg.norm(normalized(vectors), axis=1), 1, rtol=1e-6)
    assert len(pairs_above(vectors, 0.9)) == 1


def test_a_vector_of_zeros_has_no_direction():
    with pytest.raises(UserError, match="1 of 3 vectors are all zeros"):
        normalized(np.array([[1, 0], [0, 0], [0, 1]], dtype=np.float32))


@given(
    st.integers(1, 40),
    st.integers(2, 4),
    st.floats(-1, 1),
    st.integers(1, 50),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_all_near_pairs_are_found_whatever_the_tiles(rows, dimension, threshold, tile, seed, two):
    vectors = random(rows, dimension, seed)
    other = random(rows, dimension, seed + 1) if two else None
    expected = {pair: value for pair, value in naive(vectors, -2, other).items() if abs(value - threshold) > 1e-9}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "TILE", tile)
        found = listed(pairs_above(vectors, threshold, other))
    near = {pair: value for pair, value in expected.items() if value >= threshold}
    assert {pair: found[pair] for pair in found if pair in expected} == pytest.approx(near, abs=1e-12)
    assert list(found) == sorted(found)


def test_pairs_of_several_full_tiles():
    vectors = random(5000, 32)
    vectors[4321] = vectors[17] * 3
    vectors[4999] = vectors[4998] + 0.01
    product = normalized(vectors) @ normalized(vectors).T
    expected = np.argwhere(np.triu(product >= 0.75, 1))
    pairs = pairs_above(vectors, 0.75)
    assert {(17, 4321), (4998, 4999)} <= set(listed(pairs))
    np.testing.assert_array_equal(np.stack([pairs.first, pairs.second], axis=1), expected)


def test_the_threshold_itself_is_reached():
    vectors = np.array([[1, 0], [3, 4], [-1, 0], [1, 0]], dtype=np.float32)
    assert set(listed(pairs_above(vectors, 0.6))) == {(0, 1), (0, 3), (1, 3)}
    assert set(listed(pairs_above(vectors, np.nextafter(0.6, 1)))) == {(0, 3)}
    assert len(pairs_above(vectors, -1.0)) == 6


def test_cosines_of_chosen_pairs():
    left, right = random(50), random(50, seed=1)
    first, second = np.arange(40), np.arange(49, 9, -1)
    np.testing.assert_array_equal(cosine_of_pairs(left, right, first, second), cosine(left[:40], right[:9:-1]))
    assert cosine_of_pairs(left, right, first[:0], second[:0]).shape == (0,)


def test_too_many_pairs_are_refused_with_their_number_and_what_to_do():
    with pytest.raises(
        UserError, match=r"4,950 pairs among 100 vectors .* of 0 or more .* 4,949 .*: raise leakage\.same_p"
    ):
        pairs_above(np.ones((100, 2), np.float32), 0.0, limit=4949, advice="raise leakage.same_person")
    assert len(pairs_above(np.ones((100, 2), np.float32), 0.0, limit=4950)) == 4950
