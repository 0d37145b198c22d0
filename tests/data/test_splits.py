"""Splits: disjoint, exactly balanced, decided by the seed alone, nobody on two sides."""

import logging
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vec2uage.base.errors import UserError
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import ALL_PARTS, PARTS, UNDIVIDED, Parts, fingerprint, part_of, relabelled
from vec2uage.data.splits import NoSplit, PreparedSplit
from vec2uage.data.vectorset import make_vector_set


def options(heldout=4, ages=(1, 3), group="auto", **more):
    return PaperSplit(heldout_per_age=heldout, age_range=ages, group=group, **more)


def split(vs, how, seed, group_ids=None) -> Parts:
    return how.divide({UNDIVIDED: vs}, seed, group_ids)


def per_age(vs):
    ages, counts = np.unique(np.floor(vs.ages), return_counts=True)
    return dict(zip(ages.tolist(), counts.tolist(), strict=True))


def people(number, pictures=3, ages=3):
    """Every person has `pictures` pictures of every age 1..`ages`."""
    subject = [f"p{person}" for person in range(number) for _ in range(pictures * ages)]
    return [1 + row % ages for row in range(len(subject))], subject


@given(
    counts=st.lists(st.integers(7, 30), min_size=3, max_size=3),
    half=st.integers(1, 3),
    decimals=st.floats(0, 0.875, width=32),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=50, deadline=None)
def test_rows_are_divided_exactly_balanced_and_disjoint(faces, counts, half, decimals, seed):
    vs = faces([age + decimals for age, count in zip((1, 2, 3), counts, strict=True) for _ in range(count)])
    division = split(vs, options(2 * half), seed)
    assert per_age(division["validation"]) == per_age(division["test"]) == {1: half, 2: half, 3: half}
    assert per_age(division["train"]) == {
        1: counts[0] - 2 * half,
        2: counts[1] - 2 * half,
        3: counts[2] - 2 * half,
    }
    names = [name for part in division.values() for name in part.names]
    assert sorted(names) == sorted(vs.names)


@given(
    draw=st.integers(0, 2**32),
    number=st.integers(4, 40),
    unknown=st.floats(0, 0.9),
    half=st.integers(1, 4),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=50, deadline=None)
def test_persons_stay_on_one_side_and_halves_stay_balanced(faces, draw, number, unknown, half, seed):
    generator = np.random.default_rng(draw)
    ages = generator.integers(1, 4, 200).tolist()
    owners = [
        f"p{who}" if known else ""
        for who, known in zip(*(generator.integers(number, size=200), generator.random(200) >= unknown), strict=True)
    ]
    vs = faces(ages, subjects=[*owners[1:], "p0"])
    division = split(vs, options(2 * half), seed)
    assert per_age(division["validation"]) == per_age(division["test"]) == {1: half, 2: half, 3: half}
    assert set(per_age(division["train"])) == {1, 2, 3}
    held_out = {*division["validation"].subjects, *division["test"].subjects} - {""}
    for one, other in combinations(division.values(), 2):
        assert not set(one.names) & set(other.names)
        assert not (set(one.subjects) & set(other.subjects)) - {""}
    used = {name for part in division.values() for name in part.names}
    left_out = [row for row, name in enumerate(vs.names) if name not in used]
    assert {vs.subjects[row] for row in left_out} <= held_out


@given(
    counts=st.lists(st.integers(20, 40), min_size=3, max_size=3),
    number=st.sampled_from([0, 25, 60]),
    calibrating=st.integers(1, 4),
    seed=st.integers(0, 2**63),
    grouped=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_rows_to_calibrate_with_are_taken_from_training_alone(faces, counts, number, calibrating, seed, grouped):
    ages = [age for age, count in zip((1, 2, 3), counts, strict=True) for _ in range(count)]
    subjects = [f"p{row // 2 % number}" for row in range(len(ages))] if number else None
    vs = faces(ages, subjects=subjects)
    group_ids = np.arange(len(vs)) // 2 if grouped else None
    plain = split(vs, options(4), seed, group_ids)
    divided = split(vs, options(4, calibration_per_age=calibrating), seed, group_ids)
    assert tuple(plain) == PARTS
    assert tuple(divided) == ALL_PARTS
    assert all(divided[part].fingerprint() == plain[part].fingerprint() for part in ("validation", "test"))
    assert per_age(divided["calibration"]) == dict.fromkeys((1, 2, 3), calibrating)
    assert set(divided["train"].names) <= set(plain["train"].names) - set(divided["calibration"].names)
    assert set(divided["calibration"].names) <= set(plain["train"].names)
    if number == 0 and not grouped:
        assert len(divided["train"]) == len(plain["train"]) - 3 * calibrating
    for one, other in combinations(divided.values(), 2):
        assert not (set(one.subjects) & set(other.subjects)) - {""}


@pytest.mark.parametrize("number", [0, 20])
def test_the_rows_to_calibrate_with_are_drawn_by_the_seed(faces, number):
    subjects = [f"p{row % number}" for row in range(60)] if number else None
    how = options(4, (1, 1), calibration_per_age=4)
    names = [set(split(faces([1] * 60, subjects), how, seed)["calibration"].names) for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_a_part_that_a_set_lacks_is_one_sentence(faces):
    parts = split(faces([1] * 20), options(4, (1, 1)), 0)
    assert part_of(parts, "test") is parts["test"]
    with pytest.raises(UserError, match=r"no part calibration, only train.*split\.calibration_per_age"):
        part_of(parts, "calibration")


@pytest.mark.parametrize("group", ["subject", "none"])
def test_the_seed_decides_and_matters(faces, group):
    ages, subjects = people(20)
    divisions = [split(faces(ages, subjects), options(12, group=group), seed) for seed in (0, 0, 1)]
    assert fingerprint(divisions[0]) == fingerprint(divisions[1])
    for part in PARTS:
        names = [set(division[part].names) for division in divisions]
        assert names[0] == names[1]
        assert names[0] != names[2]


def test_both_halves_are_drawn_anew_not_only_the_pool(faces):
    vs = faces([1] * 13)
    halves = {tuple(split(vs, options(12, (1, 1)), seed)["validation"].names) for seed in range(5)}
    assert len(halves) == 5


@pytest.mark.parametrize("group", ["auto", "subject"])
def test_known_subjects_are_grouped_and_surplus_pictures_counted(faces, group, caplog):
    ages, subjects = people(10)
    with caplog.at_level(logging.INFO):
        division = split(faces(ages, subjects), options(4, group=group), 0)
    sizes = [len(part) for part in division.values()]
    assert sizes[1:] == [6, 6]
    assert sizes[0] == 8 * 9  # one person each fills a half
    assert "6 rows of held-out persons are left out" in caplog.text


def test_ungrouped_uses_every_row_and_warns(faces, caplog):
    ages, subjects = people(10)
    with caplog.at_level(logging.WARNING):
        division = split(faces(ages, subjects), options(4, group="none"), 0)
    assert sum(len(part) for part in division.values()) == len(ages)
    assert set(division["train"].subjects) & set(division["test"].subjects)
    assert "split.group is none" in caplog.text


def test_auto_without_subjects_goes_by_row(faces, caplog):
    vs = faces([1] * 9)
    with caplog.at_level(logging.WARNING):
        auto, none = (split(vs, options(4, (1, 1), group=group), 3) for group in ("auto", "none"))
    assert fingerprint(auto) == fingerprint(none)
    assert not caplog.text


def test_grouping_without_subjects_is_refused(faces):
    with pytest.raises(UserError, match="no subject is known"):
        split(faces([1] * 9), options(4, (1, 1), group="subject"), 0)


def test_age_range_includes_the_whole_last_year(faces, caplog):
    vs = faces([0.9, *[1, 1.5, 1.9] * 3, *[2.0, 2.99, 2.5] * 3, 3.0])
    with caplog.at_level(logging.INFO):
        division = split(vs, options(2, (1, 2)), 0)
    assert sum(len(part) for part in division.values()) == 18
    assert "2 of 20 rows are outside the ages 1-2" in caplog.text


def test_floor_labels_change_training_ages_only_whole_ones_all(faces):
    vs = faces([1.5] * 9)
    parts = split(vs, options(4, (1, 1)), 0)
    exact, floor, whole = (relabelled(parts, label) for label in ("exact", "floor", "whole"))
    assert {name: set(part.ages) for name, part in exact.items()} == {name: {1.5} for name in PARTS}
    assert {name: set(part.ages) for name, part in whole.items()} == {name: {1.0} for name in PARTS}
    of_training_alone = {"train": {1.0}, "validation": {1.5}, "test": {1.5}}
    assert {name: set(part.ages) for name, part in floor.items()} == of_training_alone
    assert all(floor[part].names.tolist() == exact[part].names.tolist() for part in PARTS)


def test_exact_duplicates_are_removed_before_dividing():
    vectors = np.arange(10, dtype=np.float32)[:, None] % 7 + 1
    division = split(make_vector_set(vectors, [1] * 10), options(4, (1, 1)), 0)
    assert sum(len(part) for part in division.values()) == 7


def test_an_age_with_too_few_rows_says_what_to_set(faces):
    vs = faces([1] * 9 + [2] * 4 + [3] * 3)
    with pytest.raises(UserError, match="3 to 4 of age 2-3 each, but 5 of each age are needed") as refusal:
        split(vs, options(4), 0)
    assert "lower split.heldout_per_age" in str(refusal.value)
    assert "narrow split.age_range" in str(refusal.value)
    assert len(split(vs, options(2), 0)["test"]) == 3


def test_rows_to_calibrate_with_count_among_those_that_are_needed(faces):
    vs = faces([1] * 12 + [2] * 8)
    how = options(4, (1, 2), calibration_per_age=4)
    with pytest.raises(UserError, match=r"8 of age 2 each, but 9 of each age .*4 for calibration") as refusal:
        split(vs, how, 0)
    assert "lower split.heldout_per_age or split.calibration_per_age" in str(refusal.value)
    with pytest.raises(UserError, match=r"2 rows each for validation and test, 4 for calibration .*calibration_p"):
        split(faces([1] * 12, subjects=[f"p{row // 4}" for row in range(12)]), replace(how, age_range=(1, 1)), 0)
    assert len(split(faces([1] * 9), replace(how, age_range=(1, 1)), 0)["train"]) == 1


def test_a_missing_age_is_refused_or_allowed(faces):
    vs = faces([1] * 9 + [3] * 9)
    with pytest.raises(UserError, match=r"no rows of age 2: set split.missing_ages=allow"):
        split(vs, options(4), 0)
    assert per_age(split(vs, options(4, missing_ages="allow"), 0)["test"]) == {1: 2, 3: 2}
    with pytest.raises(UserError, match="no rows of the ages 5-6"):
        split(vs, options(4, (5, 6), missing_ages="allow"), 0)


@pytest.mark.parametrize("persons", [1, 2])
def test_too_few_persons_say_how_many_there_are(faces, persons):
    ages, subjects = people(persons, pictures=10, ages=1)
    with pytest.raises(UserError, match=f"age 1: {10 * persons} rows of {persons} persons") as refusal:
        split(faces(ages, subjects), options(4, (1, 1)), 0)
    assert "set split.group to none" in str(refusal.value)


@given(
    counts=st.lists(st.integers(5, 12), min_size=3, max_size=3),
    draw=st.integers(0, 2**32),
    children=st.integers(1, 30),
    seed=st.integers(0, 2**63),
    grouped=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_augmented_faces_follow_training_parents_and_are_never_held_out(faces, counts, draw, children, seed, grouped):
    generator = np.random.default_rng(draw)
    ages = [age + 0.5 for age, count in zip((1, 2, 3), counts, strict=True) for _ in range(count)]
    parent = generator.integers(len(ages), size=children)
    bare = faces([*ages, *(ages[row] for row in parent)])
    order = generator.permutation(len(bare))  # files may hold them in any order
    parents = np.array([""] * len(ages) + bare.names[parent].tolist(), dtype=object)
    vs = replace(bare, parents=parents).take(order)
    group_ids = np.arange(len(vs)) if grouped else None
    division = split(vs, options(4), seed, group_ids)

    assert set(division["validation"].parents) == set(division["test"].parents) == {""}
    assert per_age(division["validation"]) == per_age(division["test"]) == {1: 2, 2: 2, 3: 2}
    photographed = vs.parents == ""
    alone = split(vs.take(photographed), options(4), seed, None if group_ids is None else group_ids[photographed])
    mine = division["train"].take(division["train"].parents == "")
    assert mine.fingerprint() == alone["train"].fingerprint()
    assert division["test"].fingerprint() == alone["test"].fingerprint()
    followers = division["train"].take(division["train"].parents != "")
    expected = [name for name, of in zip(vs.names, vs.parents, strict=True) if of in set(mine.names)]
    assert followers.names.tolist() == expected


def test_prepared_parts_are_taken_as_they_are_within_the_ages(faces):
    parts = split(faces([1.5, 2.5, 3.5] * 9), options(4), 0)
    assert PreparedSplit(age_range=None).divide(parts, 0) == parts
    some = PreparedSplit(age_range=(2, 3)).divide(parts, 0)
    assert {name: set(part.ages) for name, part in some.items()} == {name: {2.5, 3.5} for name in PARTS}
    with pytest.raises(UserError, match=r"^train: no rows of the ages 5-6: set split\.age_range"):
        PreparedSplit(age_range=(5, 6)).divide(parts, 0)
    with pytest.raises(UserError, match="take split=paper"):
        PreparedSplit(age_range=None).divide({UNDIVIDED: parts["train"]}, 0)
    with pytest.raises(UserError, match="divided already"):
        options(4).divide(parts, 0)


def test_without_a_split_all_rows_are_one_part(faces):
    vs = faces([1.5, 2.5, 30.5] * 9)
    assert NoSplit().divide({UNDIVIDED: vs}, 0)[UNDIVIDED] is vs
    assert NoSplit().used(vs) is vs
    joined = NoSplit().divide(split(vs, options(4, (1, 2)), 0), 0)
    assert list(joined) == [UNDIVIDED]
    assert len(joined[UNDIVIDED]) == 18
    assert options(4, (1, 2)).used(vs).ages.tolist() == [1.5, 2.5] * 9


def test_ages_are_needed(faces):
    with pytest.raises(UserError, match=r"split\.age_range=\[1,3\] needs ages"):
        split(replace(faces([1] * 9), ages=None), options(4), 0)


def test_a_fingerprint_tells_parts_and_their_order_and_is_the_sets_own_where_undivided(faces):
    vs = faces([1] * 9)
    parts = split(vs, options(4, (1, 1)), 0)
    swapped = {"train": parts["train"], "validation": parts["test"], "test": parts["validation"]}
    assert len({fingerprint(parts), fingerprint(swapped), fingerprint({**parts, "calibration": vs})}) == 3
    assert fingerprint({UNDIVIDED: vs}) == vs.fingerprint()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"age_range": (5, 4)}, "the first age must not be above the last"),
        ({"age_range": (-1, 4)}, "greater than or equal to 0"),
        ({"age_range": (1, 121)}, "less than or equal to 120"),
        ({"heldout_per_age": 21}, "multiple of 2"),
        ({"heldout_per_age": 0}, "greater than or equal to 2"),
        ({"calibration_per_age": -1}, "greater than or equal to 0"),
        ({"missing_ages": "maybe"}, "'refuse' or 'allow'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": "runs"}, "'run'"),
        ({"group": "family"}, "'auto', 'subject' or 'none'"),
    ],
)
def test_values_that_make_no_sense_are_refused(option, message):
    with pytest.raises(ValidationError, match=message):
        PaperSplit(**option)


def test_words_for_unknown_are_no_person():
    known = ["nan" if k % 2 else f"p{k // 4}" for k in range(1800)]
    rows = np.random.default_rng(0).normal(size=(1800, 4))
    vs = make_vector_set(rows, np.repeat(np.arange(1, 19), 100), subjects=known)
    parts = PaperSplit(heldout_per_age=20).divide({UNDIVIDED: vs}, 0)
    assert sum(map(len, parts.values())) > 1700


def test_subjects_that_may_be_no_person_or_one_several_times_are_told(caplog):
    subjects = ["999" if k // 18 % 2 else f"p{k}" for k in range(1800)]
    subjects[:2] = ["Ann", "ann"]
    vs = make_vector_set(np.random.default_rng(0).normal(size=(1800, 4)), np.arange(1800) % 18 + 1, subjects=subjects)
    PaperSplit(heldout_per_age=2).divide({UNDIVIDED: vs}, 0)
    assert "subject '999' has 900 of 1,800 rows" in caplog.text
    assert "differ in capitals alone count as several persons: Ann, ann" in caplog.text


def test_counts_that_are_alike_are_a_range(faces):
    vs = faces([*range(1, 19)] * 8 + [1, 2])
    with pytest.raises(UserError, match=r"too few rows: 8 to 9 of age 1-18 each, but 21 of each age are needed"):
        PaperSplit(heldout_per_age=20).divide({UNDIVIDED: vs}, 0)


def test_training_on_more_ages_leaves_the_held_out_faces_as_they_are(faces):
    ages, subjects = people(12, pictures=2)
    grown, of_grown = [30 + person % 5 for person in range(24)], [f"p{person % 15}" for person in range(24)]
    vs = faces([*ages, *grown, 60], [*subjects, *of_grown, ""])
    vectors = vs.vectors.copy()
    vectors[-2] = vectors[0]  # a picture of a child that is in the set as an adult, too
    vs = replace(vs, vectors=vectors)
    plain, more = split(vs, options(), 3), split(vs, options(train_ages=(1, 40)), 3)
    for part in ("validation", "test"):
        assert more[part].names.tolist() == plain[part].names.tolist()
    added = set(more["train"].names) - set(plain["train"].names)
    assert more["train"].names[: len(plain["train"])].tolist() == plain["train"].names.tolist()
    children = set(plain["train"].subjects)
    expected = {
        name
        for name, subject, age in zip(vs.names, vs.subjects, vs.ages, strict=True)
        if 30 <= age <= 40 and name != vs.names[-2] and (subject in children or int(subject[1:]) >= 12)
    }
    assert added == expected
    assert 0 < len(added) < 23


def test_faces_of_other_ages_stay_out_of_training_where_they_are_like_a_held_out_one(faces):
    vs = faces([1, 2, 3] * 10 + [30] * 30)
    alike = np.arange(60) % 30  # every adult is like one child
    division = split(vs, options(train_ages=(1, 40)), 0, alike)
    rows = {name: row for row, name in enumerate(vs.names)}
    of_part = {part: {alike[rows[name]] for name in division[part].names} for part in PARTS}
    assert of_part["train"].isdisjoint(of_part["validation"] | of_part["test"])
    assert per_age(division["train"])[30] == sum(count for age, count in per_age(division["train"]).items() if age < 30)


def test_ages_to_train_on_must_hold_those_that_are_judged_and_be_there(faces):
    with pytest.raises(ValidationError, match="must hold all ages of age_range"):
        options(train_ages=(2, 40))
    with pytest.raises(UserError, match=r"train_ages = \[1,40\]: no rows of ages beyond"):
        split(faces([1, 2, 3] * 10), options(train_ages=(1, 40)), 0)
    how, vs = options(train_ages=(1, 40)), faces([1, 2, 3, 30, 50])
    assert how.used(vs).ages.tolist() == [1, 2, 3, 30]
    assert how.judged(vs).ages.tolist() == [1, 2, 3]
