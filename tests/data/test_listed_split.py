"""Splits from a published list: the same parts for everybody, or one sentence that says why not."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import VectorFile
from vec2uage.data.leakage import Findings, Leakage, audit
from vec2uage.data.listed_split import DIGESTS, ListedSplit, name_digests, read_list, vector_digests, write_list
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import PARTS, UNDIVIDED, Parts
from vec2uage.data.vectorset import VectorSet, concatenate, make_vector_set
from vec2uage.faces.image import decode
from vec2uage.faces.signature import signature

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "splits"
LEAKAGE = Leakage(action="group", near_duplicate=0.95, signature_bits=44, same_person=0.9, group_same_person=True)
DRAWN = PaperSplit(age_range=(1, 3), heldout_per_age=4, train_ages=(1, 5))


@pytest.fixture
def vs(faces) -> VectorSet:
    """Ten faces of each of the ages 1 to 5, called 0.jpg to 49.jpg."""
    made = faces([1, 2, 3, 4, 5] * 10)
    return replace(made, names=np.array([f"{row}.jpg" for row in range(50)], dtype=object))


@pytest.fixture(params=["name_sha256", "vector_sha256"])
def path(vs, tmp_path, request) -> Path:
    """A list of three splits of these faces; the first two faces go together."""
    together = np.array([0, *range(49)])
    divisions = {number: DRAWN.divide({UNDIVIDED: vs}, number, group_ids=together) for number in range(3)}
    write_list(tmp_path / "list.csv", vs, divisions, request.param)
    return tmp_path / "list.csv"


def listed(path: Path, seed: int = 0, **more) -> ListedSplit:
    return ListedSplit(path=str(path), seed=seed, **({"age_range": (1, 3)} | more))


def divide(split: ListedSplit, vs: VectorSet) -> Parts:
    return split.divide({UNDIVIDED: vs}, split.seed_for(7))


def names(parts: Parts) -> dict[str, list[str]]:
    return {part: sorted(rows.names) for part, rows in parts.items()}


def test_the_parts_are_those_that_were_listed_whatever_the_order_of_the_rows(vs, path):
    together = np.array([0, *range(49)])
    shuffled = vs.take(np.random.default_rng(0).permutation(50))
    for number in range(3):
        drawn = DRAWN.divide({UNDIVIDED: vs}, number, group_ids=together)
        for rows in (vs, shuffled):
            assert names(divide(listed(path, number, train_ages=(1, 5)), rows)) == names(drawn)
    assert len({tuple(divide(listed(path, number), vs)["test"].names) for number in range(3)}) == 3


def test_ages_narrow_what_is_judged_and_what_is_trained_on(vs, path):
    parts = divide(listed(path), vs)
    assert {part: set(rows.ages) for part, rows in parts.items()} == {part: {1, 2, 3} for part in PARTS}
    wider = divide(listed(path, train_ages=(1, 4)), vs)
    assert set(wider["train"].ages) == {1, 2, 3, 4}
    assert names(wider)["test"] == names(parts)["test"]
    young = divide(listed(path, age_range=(1, 2)), vs)
    assert set(young["test"].names) < set(parts["test"].names)
    with pytest.raises(UserError, match="ages 5-5"):
        divide(listed(path, age_range=(5, 5)), vs)


def test_faces_are_told_by_the_file_name_or_by_the_vector():
    """The digests are those of sha256sum, and of struct.pack with hashlib."""
    one = make_vector_set(np.array([[1.5, -2, 0, 0.25]]), [3], names=["UTKFace/10_0_0_20161220222308131.jpg.chip.jpg"])
    assert name_digests(one) == ["9721f00276d4214d"]
    assert vector_digests(one) == ["3d1e71e0ec2cadc8"]


def test_faces_that_are_not_those_of_the_list_are_one_sentence(vs, path):
    with pytest.raises(UserError, match=r"3 of the \d+ faces of split 0 are not in the data"):
        divide(listed(path), vs.take(np.arange(47)))
    other = replace(vs, names=vs.names + ".png", vectors=vs.vectors + 1)
    with pytest.raises(UserError, match="a list of another set"):
        divide(listed(path), other)
    more = concatenate([vs, other.take(np.arange(4))])
    with pytest.raises(UserError, match="4 faces of the data are not among the 50 of the list"):
        divide(listed(path), more)
    assert names(divide(listed(path, unlisted="drop"), more)) == names(divide(listed(path), vs))


def test_a_face_that_comes_twice_counts_once_and_two_faces_of_one_name_are_refused(vs, path):
    again = replace(vs.take(np.array([5])), names=np.array(["copies/5.jpg"], dtype=object))
    assert names(divide(listed(path), concatenate([vs, again]))) == names(divide(listed(path), vs))
    with pytest.raises(UserError, match="two ages, of one"):
        divide(listed(path), concatenate([vs, replace(again, ages=again.ages + 1)]))
    if read_list(path).told_by == "name_sha256":
        with pytest.raises(UserError, match="are two faces"):
            divide(listed(path), concatenate([vs, replace(again, vectors=again.vectors + 1)]))


def test_faces_that_a_list_cannot_tell_apart_cannot_be_listed(vs, tmp_path):
    again = concatenate([vs, replace(vs.take(np.array([5])), names=np.array(["copies/5.jpg"], dtype=object))])
    for told_by in ("name_sha256", "vector_sha256"):
        with pytest.raises(UserError, match="1 face with the"):
            write_list(tmp_path / "list.csv", again, {}, told_by)


def test_augmented_faces_follow_the_faces_that_are_trained_on(vs, path):
    augmented = replace(
        vs, names=vs.names + "#a", parents=vs.names, vectors=vs.vectors + np.float32(0.1), source=vs.source
    )
    parts = divide(listed(path), concatenate([vs, augmented]))
    alone = divide(listed(path), vs)
    assert names(parts)["test"] == names(alone)["test"]
    trained = names(alone)["train"]
    assert names(parts)["train"] == sorted(trained + [f"{name}#a" for name in trained])


def test_what_does_not_fit_a_list_is_refused_before_any_work(vs, path):
    listed(path, 2).check(divided=False)
    with pytest.raises(UserError, match=r"split.seed = 3: .* has the splits 0-2 only"):
        listed(path, 3).check(divided=False)
    with pytest.raises(UserError, match="divided already"):
        listed(path).check(divided=True)
    with pytest.raises(UserError, match=r"none\.csv: cannot be read"):
        listed(path.with_name("none.csv")).check(divided=False)
    with pytest.raises(UserError, match="leakage=report"):
        listed(path).divide({UNDIVIDED: vs}, 0, group_ids=np.arange(50))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no list of splits"),
        ("name,age\na,1\n", "name_sha256 or vector_sha256, validation, test, left_out"),
        ("name_sha256,validation,test,left_out\n", "no list of splits"),
        ("name_sha256,validation,test,left_out\nab,0,1\n", "no list of splits"),
        ("name_sha256,validation,test,left_out\nab,0,1,\nab,,,\n", "line 3: the face ab for the second time"),
        ("name_sha256,validation,test,left_out\nab,0 x,1,\n", "line 2: a number of a split that is none"),
        ("name_sha256,validation,test,left_out\nab,-1,1,\n", "line 2: a number of a split that is none"),
        ("name_sha256,validation,test,left_out\nab,0 1,1,\n", "line 2: a face is in two parts of one split"),
    ],
)
def test_a_damaged_list_is_one_sentence(tmp_path, text, reason):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=reason):
        listed(path).check(divided=False)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no table in UTF-8"):
        listed(path).check(divided=False)


def test_a_split_without_a_part_is_refused(vs, path):
    text = path.read_text().splitlines()
    rows = [[digest, validation, "", left_out] for digest, validation, _, left_out in csv.reader(text[1:])]
    path.write_text("\n".join([text[0], *(",".join(row) for row in rows)]))
    with pytest.raises(UserError, match="split 0 has no face for test"):
        divide(listed(path), vs)


@pytest.mark.parametrize(("name", "count", "held_out"), [("utkface", 4_814, 180), ("visage", 935, 85)])
def test_the_published_lists_have_25_splits_of_as_many_faces(name, count, held_out):
    found = read_list(PUBLISHED / f"{name}.csv")
    assert found.numbers == list(range(25))
    assert len(found.places) == count
    sizes = Counter((number, part) for place in found.places.values() for number, part in place.items())
    assert {sizes[number, part] for number in range(25) for part in ("validation", "test")} == {held_out}


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name", "per_age"), [("utkface_vectors", "utkface", 10), ("visage_val", "visage", 5)])
def test_the_published_lists_fit_their_faces_and_have_no_copy_on_two_sides(shared_data, file, name, per_age):
    vs = VectorFile(path=str(shared_data / f"{file}.npz"), encoder="facenet").read()
    check_sides(name, vs, audit(vs, LEAKAGE))
    for number in (0, 24):
        parts = divide(ListedSplit(path=str(PUBLISHED / f"{name}.csv"), seed=number), vs)
        for part in ("validation", "test"):
            assert set(Counter(np.floor(parts[part].ages)).values()) == {per_age}


@pytest.mark.slow
def test_the_published_list_has_no_copy_of_a_photograph_on_two_sides(shared_data):
    vs = VectorFile(path=str(shared_data / "utkface_vectors.npz"), encoder="facenet").read()
    pictures = {name: (shared_data / "utkface" / name).read_bytes() for name in vs.names}
    signatures = {name: signature(decode(picture, 10_000_000)) for name, picture in pictures.items()}
    check_sides("utkface", vs, audit(vs, LEAKAGE, signatures=signatures))


def check_sides(name: str, vs: VectorSet, alike: Findings) -> None:
    """Check that no two faces that go together lie on two sides of any split, and equal ones of two ages on none."""
    found = read_list(PUBLISHED / f"{name}.csv")
    digests = DIGESTS[found.told_by](vs)
    assert len(alike.first) > 4
    for pair in zip(alike.first, alike.second, strict=True):
        sides = [{found.place(digests[row], number) for row in pair} - {"left_out"} for number in range(25)]
        assert max(map(len, sides)) <= 1
        first, second = vs.take(np.array(pair)).vectors
        if (first == second).all() and len({vs.ages[row] for row in pair}) == 2:
            assert sides == [set()] * 25
