"""Each shipped pattern reads back the names that it stands for, and real ones."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped import source

from vec2uage.base.errors import UserError
from vec2uage.faces.gather import find_photographs
from vec2uage.faces.records import Photograph
from vec2uage.faces.sources.base import read_age


def said(photograph: Photograph) -> tuple[float | None, str, str]:
    return photograph.age, photograph.gender, photograph.subject


AGES = st.integers(0, 120)
GENDERS = st.sampled_from(["male", "female"])
# Names of persons as file systems allow them, underscores and dots included.
PERSONS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def sources():
    return {name: source(name, "source.path=photos") for name in ("utkface", "fgnet", "morph", "agedb")}


def parse(made, name: str) -> Photograph:
    """Read one file name with a shipped source; nothing is on disk."""
    return made._read(Photograph(Path("photos") / name, name, None))


def read(made, name: str) -> tuple[float | None, str, str]:
    photograph = parse(made, name)
    assert photograph.problem == ""
    return said(photograph)


@given(AGES, GENDERS, st.integers(0, 4), st.from_regex(r"[0-9]{1,17}", fullmatch=True), st.booleans())
def test_utkface(sources, age, gender, race, time, chip):
    name = f"{age}_{('male', 'female').index(gender)}_{race}_{time}.jpg" + ".chip.jpg" * chip
    assert read(sources["utkface"], name) == (age, gender, "")


@given(st.integers(0, 999), st.integers(0, 99), st.sampled_from(["", "a", "B"]), st.sampled_from(["JPG", "jpg"]))
def test_fgnet(sources, subject, age, letter, suffix):
    assert read(sources["fgnet"], f"{subject:03}A{age:02}{letter}.{suffix}") == (age, "", f"{subject:03}")


@given(st.integers(0, 999999), st.integers(0, 99), AGES, GENDERS)
def test_morph(sources, subject, picture, age, gender):
    name = f"{subject:06}_{picture}{gender[0].upper()}{age:02}.JPG"
    assert read(sources["morph"], name) == (age, gender, f"{subject:06}")


@given(st.integers(0, 20000), PERSONS, AGES, GENDERS)
def test_agedb(sources, picture, person, age, gender):
    found = read(sources["agedb"], f"{picture}_{person}_{age}_{gender[0]}.jpg")
    assert found == (age, gender, person)


@pytest.mark.parametrize(
    ("choice", "name", "wanted"),
    [
        ("fgnet", "082A21.JPG", (21, "", "082")),
        ("fgnet", "001A43a.JPG", (43, "", "001")),
        ("morph", "012345_1M54.JPG", (54, "male", "012345")),
        ("agedb", "1_Name_30_f.jpg", (30, "female", "Name")),
        ("agedb", "16_Mary_Jane_5_m.jpg", (5, "male", "Mary_Jane")),
        ("utkface", "100_1_0_20170112213500903.jpg.chip.jpg", (100, "female", "")),
    ],
)
def test_names_of_the_data_sets_themselves(sources, choice, name, wanted):
    assert read(sources[choice], name) == wanted


@pytest.mark.parametrize(
    ("choice", "name", "problem"),
    [
        ("utkface", "39_1_20170116174525125.jpg.chip.jpg", "does not match the pattern of utkface"),  # no race
        ("utkface", "12_0_0_1.jpg\n", "does not match"),
        ("utkface", "130_0_0_1.jpg", "age 130 is not between 0 and 120"),
        ("utkface", "9" * 200 + "_0_0_1.jpg", r"age 9{40}\.\.\. is not between 0 and 120"),
        ("fgnet", "1A02.JPG", "does not match the pattern of fgnet"),
    ],
)
def test_a_name_without_a_usable_age_says_why(sources, choice, name, problem):
    photograph = parse(sources[choice], name)
    assert photograph.age is None
    assert re.search(problem, photograph.problem)


def test_a_new_set_is_yaml_alone(tmp_path):
    (tmp_path / "conf/source").mkdir(parents=True)
    (tmp_path / "conf/source/cacd.yaml").write_text(
        "defaults: [utkface, _self_]\n"
        "name: cacd\n"
        r"pattern: '(?P<age>\d+)_(?P<subject>.+)_\d+\.jpg'"
        "\ngender_codes: null\n"
    )
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/14_Aaron_Johnson_0001.jpg").touch()
    made = source(
        "cacd", f"source.path={tmp_path}/photos", f"hydra.searchpath=[file://{tmp_path}/conf]", "source.ages=[1,14]"
    )
    (photograph,) = made.find()
    assert (photograph.source, *said(photograph)) == ("cacd", 14, "", "Aaron_Johnson")
    assert made.admits(photograph)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (r"source.pattern='(?P<age>\d+'", r"source\.pattern = .*: not a regular expression \(missing \)"),
        ("source.pattern='(?P<age>.)_(?P<race>.)'", "the group 'race' is unknown; known are age, subject, gender"),
        ("source.pattern='(?P<gender>.)'", r"needs a group \(\?P<age>"),
        ("source.pattern='(?P<age>.)(?P<gender>.)'", "gender_codes belong together"),
        ("source.gender_codes={a: male}", "gender_codes belong together"),
        ("source.gender_codes={a: man}", r"source\.gender_codes = 'man': should be 'male' or 'female'"),
        ("source.path=''", r"source\.path = '': .*should not be empty"),
        ("source.ages=[18,1]", r"source\.ages = \[18,1\]: the first age must not be above the last"),
        ("source.ages=[1,130]", r"source\.ages = 130: should be less than or equal to 120"),
        ("source.genders=[man]", "source.genders = 'man': should be 'male', 'female' or 'unknown'"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_work_starts(override, message):
    with pytest.raises(UserError, match=message):
        source("utkface", "source.path=photos", override)


def test_an_unknown_code_is_an_unknown_gender():
    pattern = "source.pattern='(?P<age>.)(?P<gender>.)'"
    made = source("utkface", "source.path=photos", pattern, "source.gender_codes={w: female}")
    assert [read(made, name) for name in ("7w", "7m")] == [(7, "female", ""), (7, "", "")]


def test_a_name_that_is_no_utf8_gives_a_subject_that_can_be_written(tmp_path):
    (tmp_path / os.fsdecode(b"1_J\xe9r\xf4me_30_m.jpg")).touch()
    (photograph,) = source("agedb", f"source.path={tmp_path}").find()
    assert said(photograph) == (30, "male", r"J\udce9r\udcf4me")
    photograph.subject.encode("utf-8")


def test_filters_take_whole_years_and_genders():
    made = source("utkface", "source.path=photos", "source.ages=[1,18]", "source.genders=[female,unknown]")
    faces = [(0.99, "female"), (1.0, "female"), (18.99, ""), (19.0, ""), (5.0, "male"), (None, "female")]
    taken = [made.admits(Photograph(Path("x"), "x", age, gender=gender)) for age, gender in faces]
    assert taken == [False, True, True, False, False, False]
    assert source("utkface", "source.path=photos").admits(Photograph(Path("x"), "x", None))


def test_filters_are_noted_and_several_sources_keep_names_and_persons_apart(tmp_path):
    for name in ("1_Ann_30_f.jpg", "2_Bob_70_m.jpg", "note.txt"):
        (tmp_path / name).touch()
    made = source("agedb", f"source.path={tmp_path}", "source.ages=[1,40]")
    alone, several = find_photographs(made, prefixed=False), find_photographs(made, prefixed=True)
    assert [p.problem_status if p.problem else "" for p in alone] == ["", "filtered", "no_age"]
    assert [p.name for p in several] == [f"agedb/{p.name}" for p in alone]
    assert [p.subject for p in several] == ["agedb/Ann", "agedb/Bob", ""]


@given(st.text(max_size=60))
def test_any_text_is_an_age_or_has_a_problem(text):
    age, problem = read_age(text)
    assert (age is None) == bool(problem)
    assert age is None or 0 <= age <= 120


def test_ages():
    assert [read_age(text)[0] for text in ("0", "120", "7.25")] == [0, 120, 7.25]
    for text in ("-1", "120.5", "nan", "inf", "", "1_2", "7 years"):
        assert read_age(text)[0] is None, text


def test_all_of_utkface_is_read_and_agrees_with_its_vectors(shared):
    found = source("utkface", f"source.path={shared}/data/utkface").find()
    assert len(found) == 4814
    assert {p.problem for p in found} == {""}
    assert {p.gender for p in found} == {"male", "female"}
    vectors = np.load(shared / "data/utkface_vectors.npz")
    ages = dict(zip(vectors["names"].tolist(), vectors["ages"].tolist(), strict=True))
    assert {p.name: p.age for p in found} == ages


def test_the_fgnet_face_of_the_paper(shared):
    found = {p.name: p for p in source("fgnet", f"source.path={shared}/data/original").find()}
    assert said(found["082A21.JPG"]) == (21, "", "082")
    assert "does not match" in found["SAN-396.ckpt"].problem
