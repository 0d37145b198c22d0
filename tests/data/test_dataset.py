"""Dataset settings: what they accept, and that they reach the reader."""

import numpy as np
import pytest
from pydantic import ValidationError

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import Dataset, Vectors
from vec2uage.data.splits import Split


def test_defaults_are_the_papers():
    dataset = Vectors(path="x")
    assert dataset.age_range == (1, 18)
    assert dataset.heldout_per_age == 500
    assert dataset.split == Split(seed=0, group="auto")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"age_range": (5, 4)}, "the first age must not be above the last"),
        ({"age_range": (-1, 4)}, "greater than or equal to 0"),
        ({"age_range": (1, 121)}, "less than or equal to 120"),
        ({"heldout_per_age": 21}, "multiple of 2"),
        ({"heldout_per_age": 0}, "greater than or equal to 2"),
        ({"label": "round"}, "'exact', 'floor' or 'whole'"),
        ({"missing_ages": "maybe"}, "'refuse' or 'allow'"),
        ({"bad_rows": "keep"}, "'refuse' or 'drop'"),
        ({"split": {"seed": -1}}, "greater than or equal to 0"),
        ({"split": {"seed": "runs"}}, "'run'"),
        ({"split": {"group": "family"}}, "'auto', 'subject' or 'none'"),
        ({"shuffle": True}, "[Uu]nexpected keyword argument"),
    ],
)
def test_values_that_make_no_sense_are_refused(option, message):
    with pytest.raises(ValidationError, match=message):
        Vectors(path="x", **option)


def test_equal_settings_are_one_key():
    options = {"path": "x", "heldout_per_age": 20, "split": {"seed": "run"}}
    assert len({Vectors(**options), Vectors(**options)}) == 1
    assert Vectors(**options) != Vectors(**options | {"label": "floor"})


def test_a_dataset_must_say_how_it_is_read():
    with pytest.raises(TypeError, match="abstract"):
        Dataset()


def test_vectors_pass_encoder_and_policy_to_the_reader(tmp_path):
    path = str(tmp_path / "set.npz")
    np.savez(path, vectors=np.array([[1, 2], [np.nan, 4]], dtype=np.float32), ages=[1, 2])
    with pytest.raises(UserError, match="1 of 2 rows are bad"):
        Vectors(path=path).read()
    vs = Vectors(path=path, bad_rows="drop", encoder="facenet").read()
    assert vs.ages.tolist() == [1]
    assert vs.encoder == "facenet"
