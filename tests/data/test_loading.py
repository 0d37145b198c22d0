"""Loading: from settings to a division, once per process."""

import logging
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data import storage
from vec2uage.data.balance import Balance, NoAugmentation
from vec2uage.data.dataset import Dataset, VectorFile
from vec2uage.data.loading import check_split, load_parts
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import PARTS, fingerprint
from vec2uage.data.prepared import Prepared
from vec2uage.data.row_counts import row_counts
from vec2uage.data.splits import NoSplit, PreparedSplit
from vec2uage.data.vectorset import concatenate, make_vector_set

READ = []
SPLIT = PaperSplit(age_range=(1, 2), heldout_per_age=4)


@settings
class Counted(Dataset):
    """Counts how often it is read."""

    def read(self):
        READ.append(self)
        vectors = np.random.default_rng(0).standard_normal((40, 4))
        return make_vector_set(vectors, [1.5, 2] * 20, encoder="toy")


@settings
class InParts(Dataset):
    """Is divided already; its test part has an encoder of its own."""

    encoder_of_test: str
    is_divided: ClassVar[bool] = True

    def read(self):
        return concatenate(list(self.parts().values()))

    def parts(self):
        encoders = dict.fromkeys(PARTS, "facenet/crop.margin:0.0") | {"test": self.encoder_of_test}
        return {
            name: make_vector_set(np.eye(3), [1, 2, 3], source=name, encoder=encoder)
            for name, encoder in encoders.items()
        }


def loaded(split=SPLIT, augmentation=NoAugmentation(), run_seed=0, **options):  # noqa: B008 - never changed
    return load_parts(Counted(**options), split, augmentation, run_seed)


def test_data_is_read_once_and_shared_between_runs():
    READ.clear()
    first = loaded()
    assert loaded(run_seed=1) is first
    loaded(augmentation=Balance(train_per_age=30), run_seed=1)
    assert len(READ) == 1
    assert set(loaded(label="floor")["train"].ages) == {1, 2}


def test_split_seed_run_draws_anew_for_each_run():
    of_run = replace(SPLIT, seed="run")
    names = [loaded(of_run, run_seed=seed)["test"].names.tolist() for seed in (5, 6, 5)]
    assert names[0] == names[2]
    assert names[0] != names[1]
    assert loaded(replace(SPLIT, seed=5), run_seed=9)["test"].names.tolist() == names[0]
    assert (of_run.is_per_run, SPLIT.is_per_run) == (True, False)


def test_augmentation_touches_training_rows_only():
    plain, balanced = loaded(), loaded(augmentation=Balance(train_per_age=50))
    assert (len(plain["train"]), len(balanced["train"])) == (32, 100)
    assert balanced["validation"].fingerprint() == plain["validation"].fingerprint()
    assert balanced["test"].fingerprint() == plain["test"].fingerprint()


def test_parts_of_different_crops_are_not_trained_on_together(caplog):
    def load(encoder_of_test):
        load_parts(InParts(encoder_of_test=encoder_of_test), PreparedSplit(age_range=None), NoAugmentation(), 0)

    load("facenet/float32/crop.margin:0.0")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with pytest.raises(UserError, match=r"test part.*crop\.margin.*0\.4"):
        load("facenet/crop.margin:0.4")


def test_what_is_divided_here_is_of_one_encoder_even_if_nobody_knows_which(tmp_path, caplog):
    np.savez(tmp_path / "foreign.npz", vectors=np.eye(40, dtype="f"), ages=np.repeat([1.5, 2], 20))
    load_parts(VectorFile(path=str(tmp_path / "foreign.npz")), SPLIT, NoAugmentation(), 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_one_line_says_what_was_loaded(caplog):
    with caplog.at_level(logging.INFO):
        loaded(replace(SPLIT, seed=77), Balance(train_per_age=7))
    assert "14 rows to train on, 4 for validation, 4 for test" in caplog.messages


def test_loaded_training_vectors_are_writable_copies(tmp_path):
    # a mapped file's vectors are read-only, which torch warns about
    storage.save(Counted().read(), tmp_path / "toy.arrow")
    parts = load_parts(VectorFile(path=str(tmp_path / "toy.arrow")), SPLIT, NoAugmentation(), 0)
    assert all(part.vectors.flags.writeable for part in parts.values())


def test_a_part_to_calibrate_with_is_loaded_and_counted_and_not_balanced(caplog):
    with caplog.at_level(logging.INFO):
        parts = loaded(replace(SPLIT, calibration_per_age=4), Balance(train_per_age=30), label="whole")
    assert list(parts) == ["train", "validation", "calibration", "test"]
    assert set(parts["calibration"].ages) == {1, 2}
    assert "60 rows to train on, 4 for validation, 8 for calibration, 4 for test" in caplog.messages
    assert fingerprint(parts) != fingerprint(loaded(SPLIT, Balance(train_per_age=30), label="whole"))
    assert sum(count.faces for count in row_counts(parts) if count.part == "calibration") == 8


def test_a_split_that_does_not_fit_is_refused_before_anything_is_read(tmp_path):
    prepared, vectors = Prepared(path=str(tmp_path)), VectorFile(path="x")
    check_split(SPLIT, vectors, PARTS)
    check_split(PreparedSplit(age_range=None), prepared, PARTS)
    check_split(NoSplit(), prepared, ())
    check_split(replace(SPLIT, calibration_per_age=1), vectors, ["calibration"])
    check_split(PreparedSplit(age_range=None), prepared, ["calibration"])
    for split, dataset, told in (
        (SPLIT, prepared, "dataset=prepared is divided already"),
        (PreparedSplit(age_range=None), vectors, "only dataset=prepared"),
        (NoSplit(), vectors, "needed are train, validation, test: take split=paper"),
    ):
        with pytest.raises(UserError, match=told):
            check_split(split, dataset, PARTS)


def test_real_utkface_vectors(shared_data):
    dataset = VectorFile(path=str(shared_data / "utkface_vectors.npz"))
    parts = load_parts(dataset, PaperSplit(heldout_per_age=20), Balance(train_per_age=500), 0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 9000, "validation": 180, "test": 180}
    assert parts["train"].dimension == 512
    assert set(np.floor(parts["test"].ages)) == set(range(1, 19))


def test_real_visage_vectors(shared_data):
    dataset = VectorFile(path=str(shared_data / "visage_val.npz"), encoder="facenet-vggface2")
    with pytest.raises(UserError, match=r"^no rows of age 12: set split\.missing_ages=allow"):
        load_parts(dataset, PaperSplit(heldout_per_age=20), NoAugmentation(), 0)
    parts = load_parts(dataset, PaperSplit(heldout_per_age=20, missing_ages="allow"), NoAugmentation(), 0)
    assert set(parts["test"].ages) == set(range(1, 19)) - {12}
    assert len(parts["train"]) + 340 == 835
    assert np.linalg.norm(parts["train"].vectors, axis=1).mean() > 15  # published as they are, not normalised
