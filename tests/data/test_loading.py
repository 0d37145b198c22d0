"""Loading: from settings to a division, once per process."""

import logging

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.balance import Balance, NoAugmentation
from vec2uage.data.dataset import UnsplitDataset, Vectors
from vec2uage.data.loading import load_split
from vec2uage.data.vectorset import make_vector_set

READ = []


@settings
class Counted(UnsplitDataset):
    """Counts how often it is read."""

    age_range: tuple[int, int] = (1, 2)
    heldout_per_age: int = 4
    label: str = "exact"

    def read(self):
        READ.append(self)
        vectors = np.random.default_rng(0).standard_normal((40, 4))
        return make_vector_set(vectors, [1.5, 2] * 20, encoder="toy")


def test_data_is_read_once_and_shared_between_runs():
    READ.clear()
    first = load_split(Counted(), NoAugmentation(), run_seed=0)
    assert load_split(Counted(), NoAugmentation(), run_seed=1) is first
    load_split(Counted(), Balance(train_per_age=30), run_seed=1)
    assert len(READ) == 1
    assert load_split(Counted(label="floor"), NoAugmentation(), run_seed=0) is not first


def test_split_seed_run_draws_anew_for_each_run():
    dataset = Counted(split={"seed": "run"})
    names = [load_split(dataset, NoAugmentation(), run_seed=seed).test.names.tolist() for seed in (5, 6, 5)]
    assert names[0] == names[2]
    assert names[0] != names[1]
    fixed = load_split(Counted(split={"seed": 5}), NoAugmentation(), run_seed=9)
    assert fixed.test.names.tolist() == names[0]


def test_augmentation_touches_training_rows_only():
    plain = load_split(Counted(), NoAugmentation(), 0)
    balanced = load_split(Counted(), Balance(train_per_age=50), 0)
    assert (len(plain.train), len(balanced.train)) == (32, 100)
    assert balanced.validation.fingerprint() == plain.validation.fingerprint()
    assert balanced.test.fingerprint() == plain.test.fingerprint()


def test_one_line_says_what_was_loaded(caplog):
    with caplog.at_level(logging.INFO):
        load_split(Counted(split={"seed": 77}), Balance(train_per_age=7), 0)
    line = "14 rows to train on, 4 for validation, 4 for test"
    assert line in caplog.messages


def test_loaded_training_vectors_are_writable_copies(tmp_path):
    # a mapped file's vectors are read-only, which torch warns about
    from vec2uage.data import storage

    storage.save(Counted().read(), tmp_path / "toy.arrow")
    dataset = Vectors(path=str(tmp_path / "toy.arrow"), age_range=(1, 2), heldout_per_age=4)
    division = load_split(dataset, NoAugmentation(), 0)
    assert all(part.vectors.flags.writeable for part in (division.train, division.validation, division.test))


def test_real_utkface_vectors(shared_data):
    dataset = Vectors(path=str(shared_data / "utkface_vectors.npz"), heldout_per_age=20)
    division = load_split(dataset, Balance(train_per_age=500), 0)
    assert (len(division.train), len(division.validation), len(division.test)) == (9000, 180, 180)
    assert division.train.dimension == 512
    assert set(np.floor(division.test.ages)) == set(range(1, 19))


def test_real_visage_vectors(shared_data):
    options = {
        "path": str(shared_data / "visage_val.npz"),
        "encoder": "facenet-vggface2",
        "heldout_per_age": 20,
    }
    with pytest.raises(UserError, match=r"^dataset: no rows of age 12: set missing_ages=allow"):
        load_split(Vectors(**options), NoAugmentation(), 0)
    division = load_split(Vectors(**options, missing_ages="allow"), NoAugmentation(), 0)
    assert set(division.test.ages) == set(range(1, 19)) - {12}
    assert len(division.train) + 340 == 835
    assert np.linalg.norm(division.train.vectors, axis=1).mean() > 15  # published as they are, not normalised
