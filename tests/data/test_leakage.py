"""The leakage audit: planted copies are found, named by kind, and dropped or kept together as asked."""

import csv
import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vec2uage.base.errors import UserError
from vec2uage.data import leakage as module
from vec2uage.data.leakage import Leakage, apply_policy, audit, summary, write_pairs
from vec2uage.data.parts import PARTS, UNDIVIDED
from vec2uage.data.vectorset import make_vector_set

NAMES = ("a", "a_again", "a_small", "b", "b_later", "c", "d")


def options(**given):
    values = {
        "action": "report",
        "near_duplicate": 0.95,
        "signature_bits": 45,
        "same_person": 0.8,
        "group_same_person": False,
    }
    return Leakage(**(values | given))


def near(vector, cosine, seed):
    """Return a unit vector that has the cosine with the unit `vector`."""
    other = np.random.default_rng(seed).standard_normal(vector.size)
    other -= other @ vector * vector
    return cosine * vector + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)


@pytest.fixture
def planted():
    """`a` thrice (the same file, and re-encoded), `b` and a likely later picture of the same person, and others."""
    a, b, c, d = (vector / np.linalg.norm(vector) for vector in np.random.default_rng(0).standard_normal((4, 512)))
    vectors = [a, a, near(a, 0.97, 1), b, near(b, 0.85, 2), c, d]
    vs = make_vector_set(np.array(vectors, np.float32), [5, 9, 5.5, 7, 9, 3, 4], names=NAMES, encoder="test")
    return vs, {name: {"a_again": "a"}.get(name, name) for name in NAMES}


def pairs(vs, findings):
    return {
        (vs.names[a], vs.names[b]): kind
        for a, b, kind in zip(findings.first, findings.second, findings.kind, strict=True)
    }


def parts(vs, train, validation, test):
    row = {name: number for number, name in enumerate(vs.names)}
    taken = [vs.take(np.array([row[name] for name in part])) for part in (train, validation, test)]
    return dict(zip(PARTS, taken, strict=True))


def random_signature(generator):
    return generator.bytes(32).hex()


def inverted(signature, count, start=0):
    """Flip `count` bits from the bit `start` on."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(signature), np.uint8))
    bits[start : start + count] ^= 1
    return np.packbits(bits).tobytes().hex()


def test_each_pair_is_found_and_named_by_kind(planted):
    vs, hashes = planted
    found = audit(vs, options(), hashes)
    assert list(pairs(vs, found).items()) == [
        (("a", "a_again"), "identical_file"),
        (("a", "a_small"), "near_duplicate"),
        (("a_again", "a_small"), "near_duplicate"),
        (("b", "b_later"), "same_person"),
    ]
    np.testing.assert_allclose(found.cosine, [1, 0.97, 0.97, 0.85], atol=1e-6)
    assert found.clusters.tolist() == [0, 0, 0, 3, 4, 5, 6]


def test_without_hashes_equal_files_are_near_duplicates(planted):
    vs, _ = planted
    assert pairs(vs, audit(vs, options()))["a", "a_again"] == "near_duplicate"


def test_two_faces_of_one_photograph_are_no_copies(planted):
    vs, _ = planted
    assert ("c", "d") not in pairs(vs, audit(vs, options(), {"c": "one file", "d": "one file"}))


def test_one_person_is_not_searched_unless_asked_and_known_persons_are_no_news(planted):
    vs, hashes = planted
    assert ("b", "b_later") not in pairs(vs, audit(vs, options(same_person=None), hashes))
    for subjects, listed in ((["s"] * 7, False), (list("aaabBcd"), True), ([""] * 7, True)):
        known = make_vector_set(vs.vectors, vs.ages, names=vs.names, subjects=subjects)
        found = pairs(known, audit(known, options(), hashes))
        assert (("b", "b_later") in found) is listed
        assert found["a", "a_again"] == "identical_file"


@pytest.mark.parametrize(("bits", "start"), [(0, 0), (45, 0), (45, 100), (128, 128), (100, 150)])
def test_signatures_find_recoloured_and_mirrored_copies_that_vectors_miss(planted, bits, start):
    vs, _ = planted
    generator = np.random.default_rng(3)
    signatures = {name: random_signature(generator) for name in ("a", "b", "c")}
    signatures["d"] = inverted(signatures["c"], bits, start)
    found = audit(vs, options(), None, signatures)
    assert pairs(vs, found)["c", "d"] == "near_duplicate"
    expected = min(bits, 128 - bits if start >= 128 else 256)
    assert found.bits[list(pairs(vs, found)).index(("c", "d"))] == expected
    assert (found.bits[found.first == 0] == -1).all(), "of a's copies no signature is known"
    assert found.clusters.tolist() == [0, 0, 0, 3, 4, 5, 5]
    assert ("c", "d") not in pairs(vs, audit(vs, options(signature_bits=None), None, signatures))


@pytest.mark.parametrize("start", [0, 60, 100])
def test_signatures_that_differ_in_one_bit_too_many_are_other_pictures(planted, start):
    vs, _ = planted
    one = random_signature(np.random.default_rng(4))
    other = inverted(one, 46, start)
    assert ("c", "d") not in pairs(vs, audit(vs, options(), None, {"c": one, "d": other}))


def test_drop_keeps_the_first_of_each_cluster(planted):
    vs, hashes = planted
    how = options(action="drop")
    rows, group_ids = apply_policy(vs, audit(vs, how, hashes), how)
    assert rows.names.tolist() == ["a", "b", "b_later", "c", "d"]
    assert group_ids is None
    assert not any(audit(rows, options(same_person=None), hashes).cosine)


def test_group_keeps_copies_together_and_persons_if_asked(planted):
    vs, hashes = planted
    for persons, clusters in ((False, [0, 0, 0, 3, 4, 5, 6]), (True, [0, 0, 0, 3, 3, 5, 6])):
        how = options(action="group", group_same_person=persons)
        rows, group_ids = apply_policy(vs, audit(vs, how, hashes), how)
        assert rows is vs
        assert group_ids.tolist() == clusters


def test_report_changes_nothing_and_drop_never_takes_likely_persons(planted):
    vs, hashes = planted
    rows, group_ids = apply_policy(vs, audit(vs, options(), hashes), options())
    assert rows is vs
    assert group_ids is None
    how = options(action="drop", group_same_person=True)
    assert "b_later" in apply_policy(vs, audit(vs, how, hashes), how)[0].names


def test_the_summary_counts_what_is_across_and_warns(planted, caplog):
    vs, hashes = planted
    found = audit(vs, options(), hashes)
    with caplog.at_level(logging.INFO):
        counted = summary(vs, found, options(), parts(vs, ["a", "b"], ["a_again", "c"], ["b_later", "d"]))
    assert counted == {
        "action": "report",
        "thresholds": {"near_duplicate": 0.95, "same_person": 0.8, "signature_bits": 45},
        "pairs": {"identical_file": 1, "near_duplicate": 2, "same_person": 1},
        "pairs_across_sides": {"identical_file": 1, "near_duplicate": 0, "same_person": 1},
        "copies_of_another_age": 2,
        "clusters": 1,
        "rows_in_clusters": 3,
        "largest_cluster": 3,
        "dropped": 0,
    }
    assert "pairs of copies on two sides of the split: 1 (" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING
    with caplog.at_level(logging.INFO):
        counted = summary(vs, found, options(), {UNDIVIDED: vs})
    assert not any(counted["pairs_across_sides"].values())
    assert caplog.records[-1].levelno == logging.INFO


def test_the_table_lists_pairs_on_two_sides_first(planted, tmp_path):
    vs, hashes = planted
    vs = make_vector_set(vs.vectors, vs.ages, names=vs.names, subjects=["", "", "", "x", "y", "", ""])
    found = audit(vs, options(), hashes, {"a": "00" * 32, "a_again": "00" * 31 + "01"})
    path = tmp_path / "new" / "leakage.csv"
    write_pairs(path, vs, found, parts(vs, ["a", "a_again", "b"], ["c"], ["b_later", "d"]))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["across"] for row in rows] == ["yes", "no", "no", "no"]
    assert rows[0] == {
        "kind": "same_person",
        "across": "yes",
        "name_a": "b",
        "name_b": "b_later",
        "side_a": "train",
        "side_b": "test",
        "age_a": "7",
        "age_b": "9",
        "same_subject": "no",
        "cosine": "0.8500",
        "bits": "",
    }
    assert (rows[1]["kind"], rows[1]["bits"], rows[1]["same_subject"]) == ("identical_file", "1", "")
    assert rows[2]["side_b"] == "", "a_small is in no part"


def test_clean_data_gives_an_empty_table(tmp_path, faces):
    vs = faces([1, 2])
    found = audit(vs, options(signature_bits=10), {}, dict.fromkeys(vs.names[:1], "ab" * 32))
    write_pairs(tmp_path / "leakage.csv", vs, found, {UNDIVIDED: vs})
    assert len((tmp_path / "leakage.csv").read_text().splitlines()) == 1
    assert summary(vs, found, options(), {UNDIVIDED: vs})["largest_cluster"] == 1
    assert apply_policy(vs, found, options(action="drop"))[0].names.tolist() == vs.names.tolist()


@given(st.integers(1, 60), st.data())
def test_clusters_are_the_connected_rows(count, data):
    row = st.integers(0, count - 1)
    links = [(min(pair), max(pair)) for pair in data.draw(st.lists(st.tuples(row, row), max_size=60))]
    first, second = (np.array([link[end] for link in links], dtype=np.int64) for end in (0, 1))
    expected = list(range(count))
    for _ in range(count):
        for a, b in links:
            expected[a] = expected[b] = min(expected[a], expected[b])
    assert module._clusters(count, first, second).tolist() == expected


def test_thresholds_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="same_person must not be above near_duplicate"):
        options(same_person=0.96)
    with pytest.raises(ValidationError, match="group_same_person needs a threshold"):
        options(same_person=None, group_same_person=True)


def test_a_threshold_far_too_low_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(module, "LISTED", 1000)
    vs = make_vector_set(1 + np.random.default_rng(0).random((100, 8), dtype=np.float32), [5] * 100)
    with pytest.raises(UserError, match=r"raise leakage\.same_person, or set it to null"):
        audit(vs, options(action="group", group_same_person=True, same_person=0.1))
    with pytest.raises(UserError, match=r"raise leakage\.near_duplicate"):
        audit(vs, options(same_person=None, near_duplicate=0.1))


def test_too_many_likely_persons_leave_the_copies_and_a_warning(planted, monkeypatch, caplog):
    monkeypatch.setattr(module, "LISTED", 5)
    vs, hashes = planted
    found = audit(vs, options(same_person=0.001), hashes)
    assert set(found.kind) == {"identical_file", "near_duplicate"}
    assert "likely pictures of one person are not listed" in caplog.text
    counted = summary(vs, found, options(same_person=0.001), {UNDIVIDED: vs})
    assert counted["thresholds"]["same_person"] is None
    assert counted["pairs"]["same_person"] == 0


@pytest.mark.parametrize(
    ("encoder", "near_duplicate", "same_person"),
    [("facenet-20180408-102900-6b7e38f2/resize", 0.95, 0.9), ("dlib-resnet-v1-8a3d3b2f/none", 0.995, None)],
)
def test_auto_is_what_was_measured_with_the_encoder(planted, encoder, near_duplicate, same_person, caplog):
    vs, hashes = planted
    vs = replace(vs, encoder=encoder)
    how = options(near_duplicate="auto", same_person="auto")
    counted = summary(vs, audit(vs, how, hashes), how, {UNDIVIDED: vs})
    assert counted["thresholds"] == {
        "near_duplicate": near_duplicate,
        "same_person": same_person,
        "signature_bits": 45,
    }
    assert counted["pairs"]["near_duplicate"] == (2 if near_duplicate < 0.97 else 0)
    assert not any(record.levelno == logging.WARNING for record in caplog.records)


@pytest.mark.parametrize(
    "encoder",
    ["", "arcface", "facenet-6b7e38f2/resize/prewhiten/normalized/bf16", "facenet-6b7e38f2/resize/fixed/raw/block8"],
)
def test_an_encoder_that_was_not_measured_is_searched_by_signature_and_says_so(planted, encoder, caplog):
    vs = replace(planted[0], encoder=encoder)
    signature = random_signature(np.random.default_rng(5))
    found = audit(vs, options(near_duplicate="auto", same_person="auto"), None, {"c": signature, "d": signature})
    assert pairs(vs, found) == {("c", "d"): "near_duplicate"}
    assert "set leakage.near_duplicate" in caplog.text
    caplog.clear()
    assert ("a", "a_small") in pairs(vs, audit(vs, options(near_duplicate=0.95, same_person="auto")))
    assert not caplog.text


def test_auto_and_a_threshold_that_contradict_each_other_are_one_sentence(planted):
    vs = replace(planted[0], encoder="facenet-x")
    with pytest.raises(UserError, match=r"same_person is 0\.97 and leakage\.near_duplicate 0\.95"):
        audit(vs, options(near_duplicate="auto", same_person=0.97))
    vs = replace(vs, encoder="dlib-resnet-v1")
    with pytest.raises(UserError, match="group_same_person needs a threshold for the encoder 'dlib-resnet-v1'"):
        audit(vs, options(action="group", near_duplicate="auto", same_person="auto", group_same_person=True))
