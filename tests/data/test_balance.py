"""Balance: the stated number of rows per age, every row used as evenly as it can be."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.data.balance import AgeWeights, Balance, NoAugmentation


def origin(name):
    return name.split("#")[0]


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    wanted=st.integers(1, 30),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=50, deadline=None)
def test_every_age_gets_the_same_number_of_evenly_used_rows(faces, counts, wanted, seed):
    train = faces([age + 0.5 for age, count in enumerate(counts) for _ in range(count)])
    balanced = Balance(train_per_age=wanted, seed=seed).apply(train)
    assert Counter(np.floor(balanced.ages).tolist()) == dict.fromkeys(range(len(counts)), wanted)
    assert len(set(balanced.names)) == len(balanced)
    uses = Counter(origin(name) for name in balanced.names)
    for age, count in enumerate(counts):
        rows = [uses[name] for name in train.names[np.floor(train.ages) == age]]
        assert set(rows) <= {wanted // count, -(-wanted // count)}  # never two apart
    by_name = {name: row for row, name in enumerate(train.names)}
    source = [by_name[origin(name)] for name in balanced.names]
    assert (balanced.vectors == train.vectors[source]).all()
    assert (balanced.ages == train.ages[source]).all()


def test_repeats_keep_their_subject_and_count_up_in_their_name(faces):
    balanced = Balance(train_per_age=5).apply(faces([1, 1], subjects=["p", "q"]))
    assert balanced.names[:2].tolist() == ["faces:0", "faces:1"]
    assert balanced.names[2:4].tolist() == ["faces:0#repeat1", "faces:1#repeat1"]
    assert balanced.names[4] in ("faces:0#repeat2", "faces:1#repeat2")
    assert balanced.subjects[:4].tolist() == ["p", "q", "p", "q"]


@pytest.mark.parametrize("wanted", [10, 30], ids=["subset", "repeats"])
def test_the_seed_decides_and_matters(faces, wanted):
    train = faces([1] * 20)
    first, again, other = (Balance(train_per_age=wanted, seed=seed).apply(train) for seed in (0, 0, 1))
    assert first.fingerprint() == again.fingerprint()
    assert set(first.names) != set(other.names)


def test_noise_has_the_stated_size_and_spares_originals(faces):
    train = faces([1] * 20)
    balanced = Balance(train_per_age=4000, noise=0.1).apply(train)
    by_name = dict(zip(train.names, train.vectors, strict=True))
    difference = balanced.vectors - np.array([by_name[origin(name)] for name in balanced.names])
    assert (difference[:20] == 0).all()
    assert (difference[20:] != 0).any(axis=1).all()
    length = np.array([np.linalg.norm(by_name[origin(name)]) for name in balanced.names[20:]])
    relative = difference[20:] / length[:, None]
    # 3980 x 4 normal draws of std noise / sqrt(D) = 0.05: their std is known within 0.6 %, mean within 4e-4
    assert relative.std() == pytest.approx(0.05, rel=0.03)
    assert relative.mean() == pytest.approx(0, abs=0.002)
    assert len(np.unique(difference[20:], axis=0)) == 3980


def test_noise_is_decided_by_the_seed(faces):
    train = faces([1])
    first, again, other = (Balance(train_per_age=2, noise=0.1, seed=s).apply(train).vectors for s in (0, 0, 1))
    assert (first == again).all()
    assert (first[1] != other[1]).all()


def test_balancing_leaves_its_input_alone(faces):
    train = faces([1, 1, 2])
    before = train.vectors.copy()
    Balance(train_per_age=5, noise=1.0).apply(train)
    assert (train.vectors == before).all()


def test_no_augmentation_changes_nothing(faces):
    train = faces([1, 1, 2])
    assert NoAugmentation().apply(train) is train


def test_weights_let_every_age_count_the_same_and_leave_the_rows_alone(faces):
    train = faces([1.5] * 2 + [2.0] * 6 + [2.75] * 2 + [7.0])
    how = AgeWeights()
    assert how.apply(train) is train
    weights = how.weights(train)
    assert weights.mean() == pytest.approx(1)
    assert [weights[np.floor(train.ages) == age].sum() for age in (1, 2, 7)] == pytest.approx([11 / 3] * 3)
