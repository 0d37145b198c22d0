"""Naming schemes: one that fits is found, one that is meant otherwise is not guessed."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.data.naming import SCHEMES, NameFacts, naming, recognise

NAMES = {
    "paper": ["6f1b2c_11_x.jpg", "p_7.5_a_b.webp", "_3_0.JPG", "case/9_4_2.jpg"],
    "numbered": ["Mary_Jane_5_0.jpg", "a_b_c_7.25_12.jpeg"],
    "utkface": [
        "25_0_2_20170116174525125.jpg",
        "30_0_2_2017.jpg.chip.jpg",
        "faces/9_1_3_20161219140623097.jpg.chip.jpg",
    ],
    "agedb": ["1_Name_30_f.jpg", "16_Mary_Jane_5_m.jpg"],
    "fgnet": ["082A21.JPG", "001a43a.jpg"],
    "morph": ["012345_1M54.JPG", "7_00F09.jpg"],
}
AGES = {"paper": [11, 7.5, 3, 4], "numbered": [5, 7.25], "utkface": [25, 30, 9], "agedb": [30, 5], "fgnet": [21, 43]}
AGES |= {"morph": [54, 9]}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_names_of_each_scheme_are_recognised(scheme):
    found = recognise(NAMES[scheme], "f.json")
    assert found is SCHEMES[scheme]
    assert [float(found.read(name).age) for name in NAMES[scheme]] == AGES[scheme]


def test_facts_of_a_name():
    assert SCHEMES["utkface"].read("9_1_3_2016.jpg") == NameFacts("9", "", "female")
    assert SCHEMES["agedb"].read("16_Mary_Jane_5_m.jpg") == NameFacts("5", "Mary_Jane", "male")
    assert SCHEMES["numbered"].read("Mary_Jane_5_0.jpg") == NameFacts("5", "Mary_Jane", "")


@pytest.mark.parametrize(
    ("name", "age", "subject"),
    [
        ("set_5_a/s0_2_x.jpg", 2, "set_5_a/s0"),  # not 5
        ("my_faces/s0_12_x.jpg", 12, "my_faces/s0"),
        (r"C:\my_3_faces\s0_12_x.jpg", 12, r"C:\my_3_faces\s0"),
        (r"C:\my_3_faces\9_1_3_20161219140623097.jpg", 9, ""),
        ("12_a/3_Name_30_f.jpg", 30, "Name"),
        (r"a_1\082A21.JPG", 21, "082"),
    ],
)
def test_folders_of_a_name_say_no_age(name, age, subject):
    facts = recognise([name], "f.json").read(name)
    assert (float(facts.age), facts.subject) == (age, subject)


@pytest.mark.parametrize(
    "names",
    [
        ["p_11_3_0.jpg"],  # the authors' code says 11
        ["25_0_2_1.jpg"],  # UTKFace without its time, or subject 25
        ["a_5_5_0.jpg"],  # subject a or a_5
        ["1_30_45_f.jpg", "2_31_46_m.jpg"],
        [*(f"p_{age}_3_0.jpg" for age in range(9)), "Mary_Jane_5_0.jpg"],
    ],
    ids=str,
)
def test_names_that_can_be_read_in_two_ways_are_refused(names):
    with pytest.raises(UserError, match=r"^f\.json: names can be read in two ways: .*pattern=\w+.*pattern=\w+"):
        recognise(names, "f.json")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a.jpg",
            "IMG_2023_01.jpg",
            "DSC_0012_1.jpg",
            "14_Aaron_Johnson_0001.jpg",
            "p_1_1",
            "p_-1_1.jpg",
            "7/a.jpg",
            "set_5_a/1.jpg",
        ),
        *("nm0000001_rm124825600_1899-5-10_1968.jpg", "000000.jpg_face.jpg", "39_1_20170116174525125.jpg", ""),
        "set_5_a/1.jpg",
    ],
)
def test_other_names_say_no_age(name):
    assert recognise([name], "f.json") is None


def test_a_few_names_of_another_kind_are_not_read_by_it():
    utkface = [f"{age}_0_2_2017011617452512{age}.jpg" for age in range(10, 20)]
    assert recognise([*utkface, "39_1_20170116174525125.jpg"], "f.json") is SCHEMES["utkface"]
    assert SCHEMES["utkface"].read("39_1_20170116174525125.jpg") is None
    cacd = [f"14_Aaron_Johnson_{k:04}.jpg" for k in range(9)]
    with pytest.raises(
        UserError, match=r"only 1 of 10 names are like <subject>_<age>_<rest>\.jpg, others like '14_Aaron"
    ):
        recognise([*cacd, "14_50_Cent_0001.jpg"], "f.json")


@given(st.lists(st.text(), max_size=5))
def test_any_names_are_recognised_or_refused(names):
    with suppress(UserError):  # any other error fails
        assert recognise(names, "f.json") in (None, *SCHEMES.values())


def test_a_pattern_of_ones_own():
    found = naming(r"(?P<age>\d+)_(?P<subject>.+)_\d+\.jpg")
    assert found.read("14_50_Cent_0001.jpg") == NameFacts("14", "50_Cent", "")
    assert naming(r"(?P<age>\d+)(?P<gender>.)").read("7F") == NameFacts("7", "", "female")
    assert naming("fgnet") is SCHEMES["fgnet"]
    for pattern, message in [
        ("utkfaces", "one of paper, numbered, utkface"),
        ("(?P<age>", "not a regular"),
        ("(?P<race>.)", "race"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            naming(pattern)
