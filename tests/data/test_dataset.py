"""Dataset settings: what they accept, and that they reach the reader."""

import numpy as np
import pytest
from pydantic import ValidationError

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import Dataset, VectorFile


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"label": "round"}, "'exact', 'floor' or 'whole'"),
        ({"bad_rows": "keep"}, "'refuse' or 'drop'"),
        ({"shuffle": True}, "[Uu]nexpected keyword argument"),
    ],
)
def test_values_that_make_no_sense_are_refused(option, message):
    with pytest.raises(ValidationError, match=message):
        VectorFile(path="x", **option)


def test_equal_settings_are_one_key():
    assert len({VectorFile(path="x"), VectorFile(path="x")}) == 1
    assert VectorFile(path="x") != VectorFile(path="x", label="floor")


def test_a_dataset_must_say_how_it_is_read():
    with pytest.raises(TypeError, match="abstract"):
        Dataset()


def test_vectors_pass_encoder_and_policy_to_the_reader(tmp_path):
    path = str(tmp_path / "set.npz")
    np.savez(path, vectors=np.array([[1, 2], [np.nan, 4]], dtype=np.float32), ages=[1, 2])
    with pytest.raises(UserError, match="1 of 2 rows are bad"):
        VectorFile(path=path).read()
    vs = VectorFile(path=path, bad_rows="drop", encoder="facenet").read()
    assert vs.ages.tolist() == [1]
    assert vs.encoder == "facenet"
