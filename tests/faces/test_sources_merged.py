"""Vectors as a source, and several sources as one."""

import logging

import numpy as np
import pytest
from shipped import source

from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.vectorset import make_vector_set
from vec2uage.faces.gather import find_photographs
from vec2uage.faces.sources.merged import Merged
from vec2uage.faces.sources.vector_files import VectorFiles

PARTS = ["source.parts.visage.path=photos", "source.parts.selfie_fv.path=selfie.npz"]


@pytest.fixture
def file(tmp_path):
    """Five faces; what they are called says their age and gender."""
    faces = [(0.5, "male"), (1.0, "female"), (8.9, ""), (18.99, "male"), (19.0, "female")]
    vs = make_vector_set(
        np.arange(10, dtype=np.float32).reshape(5, 2),
        [age for age, _ in faces],
        names=[f"{age} {gender}" for age, gender in faces],
        gender=[gender for _, gender in faces],
        source=["a", "a", "b", "b", "b"],
        encoder="facenet",
    )
    storage.save(vs, tmp_path / "faces.arrow")
    return tmp_path / "faces.arrow"


def test_vectors_are_filtered_and_counted(file, caplog):
    for overrides, names in [
        ([], ["0.5 male", "1.0 female", "8.9 ", "18.99 male", "19.0 female"]),
        (["source.ages=[1,18]"], ["1.0 female", "8.9 ", "18.99 male"]),
        (["source.ages=[8,18]", "source.genders=[unknown]"], ["8.9 "]),
    ]:
        with caplog.at_level(logging.INFO):
            vs = source("vectors", f"source.path={file}", *overrides).read()
        assert vs.names.tolist() == names
        assert (f"{len(names)} of 5 rows pass the filters" in caplog.text) == (len(names) < 5)
    with pytest.raises(UserError, match=r"faces\.arrow: none of 5 rows is of the ages and genders asked for"):
        source("vectors", f"source.path={file}", "source.ages=[100,120]").read()


def test_vectors_without_ages_are_read_unless_ages_are_asked_for(tmp_path):
    np.savez(tmp_path / "faces.npz", vectors=np.eye(3, dtype=np.float32))
    vs = source("vectors", f"source.path={tmp_path}/faces.npz").read()
    assert (len(vs), vs.ages) == (3, None)
    with pytest.raises(UserError, match=r"source\.ages needs ages"):
        source("vectors", f"source.path={tmp_path}/faces.npz", "source.ages=[1,18]").read()


def test_vectors_keep_their_source_unless_it_is_named(file):
    vectors = source("vectors", f"source.path={file}")
    assert isinstance(vectors, VectorFiles)
    assert set(vectors.read().source) == {"a", "b"}
    assert set(source("selfie_fv", f"source.path={file}").read().source) == {"selfie_fv"}
    assert vectors.sources() == (vectors,)
    assert vectors.figures() == {}


def test_several_files_are_one_source(tmp_path):
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", vectors=np.eye(2, dtype=np.float32), ages=[8, 9])
    paths = f"source.path=[{tmp_path}/train.npz,{tmp_path}/test.npz]"
    vs = source("selfie_fv", paths, "source.encoder=facenet").read()
    assert vs.names.tolist() == ["train:0", "train:1", "test:0", "test:1"]
    assert vs.encoder == "facenet"
    with pytest.raises(UserError, match="vectors of an unknown encoder cannot be merged"):
        source("selfie_fv", paths).read()


def test_the_papers_sources_each_have_their_ages():
    merged = source("merged", *PARTS)
    assert isinstance(merged, Merged)
    assert {part.name: (type(part).__name__, part.ages) for part in merged.sources()} == {
        "visage": ("AgeFolders", (1, 18)),
        "selfie_fv": ("VectorFiles", (8, 18)),
    }


def test_merged_photographs_have_names_and_persons_of_their_own(tmp_path):
    (tmp_path / "001A02.JPG").touch()
    (alone,) = find_photographs(source("fgnet", f"source.path={tmp_path}"), prefixed=False)
    (merged,) = find_photographs(source("fgnet", f"source.path={tmp_path}"), prefixed=True)
    assert (alone.name, alone.subject, alone.part) == ("001A02.JPG", "001", "")
    assert (merged.name, merged.subject, merged.part) == ("fgnet/001A02.JPG", "fgnet/001", "fgnet")


def test_another_combination_is_yaml_alone(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/two.yaml").write_text(
        "defaults: [utkface@parts.old, utkface@parts.new, _self_]\n"
        "_target_: vec2uage.faces.sources.merged.Merged\n"
        "parts:\n"
        "  old: {name: old, path: a, genders: [male]}\n"
        "  new: {name: new, path: b}\n"
    )
    old, new = (p for _, p in sorted(source("two", f"hydra.searchpath=[file://{tmp_path}]").parts, reverse=True))
    assert (old.name, old.path, old.genders) == ("old", "a", ("male",))
    assert (new.name, new.path, new.genders) == ("new", "b", None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (PARTS[:1], r"source\.parts\.selfie_fv\.path is missing: set source\.parts\.selfie_fv\.path="),
        ([*PARTS, "+source.parts.visage.page=1"], r"visage\.page = 1: no such option; did you mean"),
        ([*PARTS, "source.parts.visage.name=selfie_fv"], "two parts have the name 'selfie_fv'"),
        ([*PARTS, "source.parts.visage._target_=os.getcwd"], r"visage\._target_ = os\.getcwd: must be a"),
        ([*PARTS, "+source.parts.third=3"], r"source\.parts.* = 3: "),
        (["source.parts=null"], "source.parts = null: should have options of its own"),
        ([*PARTS, "+source.ages=[1,2]"], r"source\.ages = \[1,2\]: no such option; .*allowed are: parts"),
    ],
)
def test_wrong_options_of_parts_are_refused_by_name(overrides, message):
    with pytest.raises(UserError, match=message):
        source("merged", *overrides)


def test_all_wrong_options_of_all_parts_are_named_together():
    with pytest.raises(UserError) as caught:
        source("merged", *PARTS, "source.parts.visage.ages=[18,1]", "source.parts.selfie_fv.bad_rows=x")
    assert "visage.ages = [18,1]" in str(caught.value)
    assert "selfie_fv.bad_rows = 'x': should be 'refuse' or 'drop'" in str(caught.value)
