"""Whether a case is told from the faces that its model was judged on, and only if it differs."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from crepes.martingales import SimpleJumper, semi_online_p_values
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.case.drift import judge, online_p_values
from vec2uage.case.records import CaseFile, FaceResult, FileResult
from vec2uage.evaluation.reference import Reference
from vec2uage.faces.records import Face, Hashes

JUDGED = np.sort(np.random.default_rng(0).normal(1, 0.1, 400))


def reference(expected: np.ndarray = JUDGED) -> Reference:
    return Reference(mean=np.zeros(4), axes=np.eye(4)[:2], variances=np.ones(2), rest=1.0, faces=500, expected=expected)


def file(name: str, distances: Sequence[float | None], content: str | None = None) -> FileResult:
    box = Face(0, 0, 10, 10, 1.0, "yunet")
    faces = tuple(
        FaceResult(k, box, {}, 12.0, 9.0, 15.0, 0.9, None, distance) for k, distance in enumerate(distances, 1)
    )
    hashes = Hashes(sha256=content or name, sha1="", md5="")
    return FileResult(CaseFile(name, Path(name)), 1, "ok", hashes=hashes, faces=faces)


def files(distances: np.ndarray) -> list[FileResult]:
    return [file(f"{k}.jpg", [distance]) for k, distance in enumerate(distances.tolist())]


def test_a_case_of_such_faces_raises_an_alarm_as_rarely_as_promised() -> None:
    alarms = []
    for seed in range(50):
        drawn = np.random.default_rng(seed).normal(1, 0.1, 200)
        drift = judge(files(drawn[100:]), reference(np.sort(drawn[:100])))
        alarms.append(drift.evidence >= 10)
    assert np.mean(alarms) <= 0.1, "Ville: 10 is reached in one of ten cases at most"


def test_the_order_of_names_says_nothing() -> None:
    drawn = np.random.default_rng(4).normal(1, 0.1, 400)
    drift = judge(files(np.sort(drawn[200:])), reference(np.sort(drawn[:200])))
    assert drift.evidence < 10


@pytest.mark.parametrize("shift", [0.1, -0.1])
def test_a_case_of_other_faces_is_told(shift: float) -> None:
    drift = judge(files(np.random.default_rng(2).normal(1 + shift, 0.1, 300)), reference())
    assert drift.is_strong
    assert (drift.median_rank > 0.5) == (shift > 0)
    assert "shows that the case differs" in " ".join(drift.words())
    alike = judge(files(np.random.default_rng(3).normal(1, 0.1, 300)), reference())
    assert not alike.is_strong
    assert "does not prove" in " ".join(alike.words())


def test_far_faces_are_counted_against_the_share_that_is_expected() -> None:
    expected = np.arange(1, 400) / 100
    drift = judge([file("a", [3.95, 3.96, None]), file("b", [9.0]), file("c", [])], reference(expected))
    assert (drift.faces, drift.far, drift.judged, drift.tested) == (3, 1, 399, 2)
    assert drift.expected_share == pytest.approx(4 / 400)
    assert drift.share_far == pytest.approx(1 / 3)
    assert "1 of 3 faces (33.3%)" in drift.words()[0]


def test_copies_of_one_file_and_further_faces_of_it_are_no_evidence() -> None:
    once = [file(f"{k}", [distance]) for k, distance in enumerate([1.2, 1.0, 1.1])]
    copies = [file(f"copy {k}", [1.2, 1.2, 1.2], content="0") for k in range(200)]
    drift = judge([*once, *copies], reference())
    assert drift.tested == 3
    assert drift.evidence == judge(once, reference()).evidence
    assert drift.faces == 603


def test_of_no_face_nothing_is_said() -> None:
    drift = judge([file("a", []), file("b", [None])], reference())
    assert (drift.faces, drift.share_far, drift.evidence) == (0, 0.0, 1.0)
    assert len(drift.words()) == 1


@given(st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_ranks_are_those_of_a_count_one_by_one(before: list[int], values: list[int]) -> None:
    found = online_p_values(np.array(before, dtype=float), np.array(values, dtype=float))
    for row, p in enumerate(found):
        earlier = np.array([*before, *values[:row]])
        higher, equal = (earlier > values[row]).sum(), (earlier == values[row]).sum() + 1
        assert higher / (len(earlier) + 1) <= p <= (higher + equal) / (len(earlier) + 1)


def test_evidence_is_that_of_an_independent_computation() -> None:
    values = np.random.default_rng(5).normal(1.03, 0.1, 2500)  # more than are ranked together, and no two alike
    drawn = np.random.default_rng(6).normal(1, 0.1, 100)
    p = online_p_values(drawn, values)
    theirs = semi_online_p_values(np.concatenate([drawn, values]), seed=0)[100:]
    assert np.abs(p - theirs).max() <= 1 / 100, "they draw other luck within a rank"
    come = np.empty(2500)
    come[sorted(range(2500), key=lambda k: sha256(f"{k}.jpg".encode()).digest())] = values
    assert judge(files(come), reference(np.sort(drawn))).evidence == max(SimpleJumper().apply(p).max(), 1)
