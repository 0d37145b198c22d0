"""Which pairs of faces are of one person, and how well vectors tell them from pairs of two."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.dataset_folder import Divided, complete
from vec2uage.data.leakage import Leakage, audit, summary, write_pairs
from vec2uage.data.parts import Parts
from vec2uage.data.vectorset import make_vector_set
from vec2uage.tuning import pairs
from vec2uage.tuning.pairs import FacePairs, find_pairs
from vec2uage.tuning.verification import separation

ENCODER = "facenet-20180408-102900-704afe26/resize/fixed/normalized"
AUDIT = Leakage(action="report", near_duplicate="auto", signature_bits=44, same_person="auto", group_same_person=False)


def parts(encoder: str = ENCODER) -> Parts:
    """Twelve faces, the last six held out: a copy (0, 1), a subject (6, 7), and two who are alike (8, 9) but others."""
    vectors = np.random.default_rng(0).normal(size=(12, 64))
    vectors[1], vectors[9] = vectors[0] * 1.02, vectors[8] * 1.01
    vectors[[1, 9], 0] += 0.5
    subjects = ["", "", "", "", "", "", "ann", "ann", "bob", "eve", "", ""]
    names = [f"{number:02}.jpg" for number in range(12)]
    vs = make_vector_set(vectors, [1.0 + number % 2 for number in range(12)], names, subjects, encoder=encoder)
    return {"train": vs.take(np.arange(6)), "validation": vs.take(np.arange(6, 9)), "test": vs.take(np.arange(9, 12))}


def named(found: FacePairs) -> dict[str, set[tuple[str, ...]]]:
    kinds = {**found.same, "different": found.different}
    return {how: {tuple(found.names[list(pair)]) for pair in some} for how, some in kinds.items()}


def prepared(folder: Path) -> Parts:
    """Write the faces as a prepared set, in which the signatures of 02.jpg and 03.jpg are alike, too."""
    divided = parts()
    every = pairs.concatenate(list(divided.values()))
    found = audit(every, AUDIT, {}, {"02.jpg": "5a" * 32, "03.jpg": "5a" * 32})
    made = Divided(divided, every, found, summary(every, found, AUDIT, divided))
    storage.save(divided["train"], folder / "train.arrow")
    write_pairs(folder / "leakage.csv", every, found, divided)
    complete(made, folder, ["train.arrow", "leakage.csv"], inputs={}, options={}, files_by_status={})
    return divided


def test_pairs_of_one_person_are_those_that_the_audit_finds_and_known_subjects() -> None:
    found = named(find_pairs(parts(), None))
    assert found["cosine"] == {("00.jpg", "01.jpg")}
    assert found["subject"] == {("06.jpg", "07.jpg")}
    assert len(found["different"]) == 15 - 2, "neither the subject, nor those that the audit lists"
    assert not found["different"] & {("06.jpg", "07.jpg"), ("08.jpg", "09.jpg")}
    assert find_pairs(parts(), None).threshold == 0.95


def test_a_prepared_set_also_tells_pairs_that_signatures_alone_have_found(tmp_path: Path) -> None:
    divided = prepared(tmp_path)
    for path in (tmp_path, tmp_path / "train.arrow"):
        found = named(find_pairs(divided, path))
        assert found["picture"] == {("02.jpg", "03.jpg")}
        assert found["cosine"] == {("00.jpg", "01.jpg")}
    assert "picture" not in named(find_pairs(divided, tmp_path / "others.npz"))
    assert named(find_pairs(divided | {"train": divided["train"].take(np.arange(2, 6))}, tmp_path)).keys() == {
        "picture", "subject", "different",
    }  # fmt: skip
    with (tmp_path / "leakage.csv").open("a") as table:
        table.write("\n")
    with pytest.raises(UserError, match=r"leakage\.csv"):
        find_pairs(divided, tmp_path)


def test_faces_that_were_repeated_or_drawn_are_in_no_pair() -> None:
    divided = parts()
    train = divided["train"]
    names = np.array([*train.names[:4], "00.jpg#repeat1", "drawn.jpg"], dtype=object)
    parents = np.array(["", "", "", "", "", "00.jpg"], dtype=object)
    vectors = np.concatenate([train.vectors[:4], train.vectors[[0, 0]]])
    found = find_pairs(divided | {"train": replace(train, names=names, parents=parents, vectors=vectors)}, None)
    assert named(found)["cosine"] == {("00.jpg", "01.jpg")}


def test_without_known_cosines_or_subjects_no_pair_is_one_of_a_person() -> None:
    divided = {name: replace(vs, subjects=np.full(len(vs), "", dtype=object)) for name, vs in parts("unknown").items()}
    found = find_pairs(divided, None)
    assert (dict(found.same), found.threshold, len(found.different)) == ({}, None, 15)


def test_of_many_held_out_faces_some_from_all_over_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_MOST", 3)
    assert set(named(find_pairs(parts(), None))["different"]) == {
        ("06.jpg", "08.jpg"), ("06.jpg", "11.jpg"), ("08.jpg", "11.jpg"),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_areas_and_shares_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    same, different = generator.normal(0.6, 0.2, 150), generator.normal(0.2, 0.2, 4000)
    cosines, is_same = np.concatenate([same, different]).round(3), np.repeat([1, 0], [150, 4000])  # with ties
    found = separation(cosines[:150], cosines[150:], 0.7)
    false, true, _ = roc_curve(is_same, cosines, drop_intermediate=False)
    assert found.area == pytest.approx(roc_auc_score(is_same, cosines), abs=1e-6)
    assert found.found == pytest.approx(true[false <= 1e-3].max(), abs=1e-6)
    assert (found.pairs, found.above) == (150, pytest.approx(np.mean(cosines[:150] >= 0.7), abs=1e-6))
    assert found.median == pytest.approx(np.median(cosines[:150]), abs=1e-6)
