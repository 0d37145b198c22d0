"""The vector file: everything comes back, mapped and not copied; other files are refused."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.readers import read
from vec2uage.data.vectorset import COLUMNS, make_vector_set


@pytest.fixture
def vs():
    return make_vector_set(
        np.arange(12, dtype=np.float32).reshape(3, 4),
        [1.5, 2, 18],
        names=["a", "ü", "c,\n"],
        subjects=["p", "", "q"],
        source=["x", "x", "y"],
        gender=["male", "female", ""],
        encoder="facenet-20180408",
    )


def test_every_column_and_the_encoder_come_back(vs, tmp_path):
    storage.save(vs, tmp_path / "vectors.arrow")
    back = storage.load(tmp_path / "vectors.arrow")
    for name in COLUMNS:
        assert getattr(back, name).dtype == getattr(vs, name).dtype
        assert getattr(back, name).tolist() == getattr(vs, name).tolist()
    assert back.encoder == vs.encoder
    assert back.fingerprint() == vs.fingerprint()


def test_vectors_are_mapped_not_read(vs, tmp_path):
    storage.save(vs, tmp_path / "vectors.arrow")
    before = pa.total_allocated_bytes()
    back = storage.load(tmp_path / "vectors.arrow")
    assert pa.total_allocated_bytes() == before
    assert not back.vectors.flags.owndata
    assert not back.vectors.flags.writeable


def test_other_tools_can_read_the_file(vs, tmp_path):
    storage.save(vs, tmp_path / "vectors.arrow")
    table = pyarrow.feather.read_table(tmp_path / "vectors.arrow")
    assert table["ages"].to_pylist() == [1.5, 2, 18]
    assert table["vectors"].to_pylist() == vs.vectors.tolist()


def test_a_file_rewritten_in_chunks_is_read_whole(vs, tmp_path):
    storage.save(vs, tmp_path / "vectors.arrow")
    table = pyarrow.feather.read_table(tmp_path / "vectors.arrow")
    pyarrow.feather.write_feather(table, tmp_path / "chunks.arrow", compression="lz4", chunksize=2)
    assert storage.load(tmp_path / "chunks.arrow").fingerprint() == vs.fingerprint()


def test_saving_over_a_mapped_file_leaves_the_mapping_intact(vs, tmp_path):
    storage.save(vs, tmp_path / "vectors.arrow")
    back = storage.load(tmp_path / "vectors.arrow")
    storage.save(vs.take(np.array([0])), tmp_path / "vectors.arrow")
    assert back.fingerprint() == vs.fingerprint()
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.arrow"]


def test_a_truncated_or_missing_file_is_refused(vs, tmp_path):
    path = tmp_path / "vectors.arrow"
    with pytest.raises(UserError, match="not a readable Arrow file"):
        storage.load(path)
    storage.save(vs, path)
    whole = path.read_bytes()
    for size in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="not a readable Arrow file"):
            storage.load(path)


def test_foreign_tables_are_refused(vs, tmp_path):
    path = tmp_path / "foreign.arrow"
    pyarrow.feather.write_feather(pa.table({"x": [1]}), path)
    with pytest.raises(UserError, match="no vector file of this version"):
        storage.load(path)
    storage.save(vs, path)
    table = pyarrow.feather.read_table(path, memory_map=False)
    pyarrow.feather.write_feather(table.drop_columns(["names"]), path)
    with pytest.raises(UserError, match="columns of this vector file are damaged"):
        storage.load(path)
    nulls = pa.array([[0.0] * 4, None, [0.0] * 4], type=table.schema.field("vectors").type)
    pyarrow.feather.write_feather(table.set_column(0, "vectors", nulls), path)
    with pytest.raises(UserError, match="columns of this vector file are damaged"):
        storage.load(path)


def test_a_set_without_ages_comes_back_without(vs, tmp_path):
    ageless = replace(vs, ages=None)
    storage.save(ageless, tmp_path / "vectors.arrow")
    assert storage.load(tmp_path / "vectors.arrow").fingerprint() == ageless.fingerprint() != vs.fingerprint()
    assert read(tmp_path / "vectors.arrow").ages is None


def test_parents_come_back_and_a_file_without_them_is_refused(vs, tmp_path):
    path = tmp_path / "vectors.arrow"
    augmented = replace(vs, parents=np.array(["", "a", "ü"], dtype=object))
    storage.save(augmented, path)
    assert storage.load(path).parents.tolist() == ["", "a", "ü"]
    assert storage.load(path).fingerprint() == augmented.fingerprint()
    table = pyarrow.feather.read_table(path, memory_map=False)
    pyarrow.feather.write_feather(table.drop_columns(["parents"]), path)
    with pytest.raises(UserError, match="parents"):
        storage.load(path)


def test_a_flipped_bit_anywhere_is_told_or_changes_nothing(vs, tmp_path):
    path = tmp_path / "vectors.arrow"
    storage.save(vs, path)
    whole, told = path.read_bytes(), 0
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert storage.load(path).fingerprint() == vs.fingerprint()
        except UserError:
            told += 1
    assert told > len(whole) / 9


def test_a_changed_value_is_told_unless_the_file_has_no_digest(vs, tmp_path):
    """As files of earlier versions have none."""
    path = tmp_path / "vectors.arrow"
    storage.save(vs, path)
    table = pyarrow.feather.read_table(path, memory_map=False)
    changed = table.set_column(1, "ages", pa.array([1.5, 2, 17], pa.float32()))
    pyarrow.feather.write_feather(changed, path)
    with pytest.raises(UserError, match=r"not as it was written.*vec2uage\.digest"):
        storage.load(path)
    older = {key: value for key, value in table.schema.metadata.items() if key != b"vec2uage.digest"}
    pyarrow.feather.write_feather(changed.replace_schema_metadata(older), path)
    assert storage.load(path).ages.tolist() == [1.5, 2, 17]


def test_numbers_of_another_type_are_refused(vs, tmp_path):
    path = tmp_path / "vectors.arrow"
    storage.save(vs, path)
    table = pyarrow.feather.read_table(path, memory_map=False)
    for dates in (
        pa.array([1, 2, 3], pa.timestamp("s")),
        pa.array([1.5, 2, 17]),
        pa.array([1.0, None, 2], pa.float32()),
    ):
        pyarrow.feather.write_feather(table.set_column(1, "ages", dates), path)
        with pytest.raises(UserError, match="columns of this vector file are damaged"):
            storage.load(path)
