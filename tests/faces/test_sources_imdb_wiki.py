"""IMDB-WIKI's metadata: dates become ages, scores filter, and no file whatever ends in more than a sentence."""

import math
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat
from shipped import source

from vec2uage.base.errors import UserError
from vec2uage.faces.sources.imdb_wiki import MATLAB_EPOCH, ImdbWiki, _age, plot_spans, read_metadata, spans


def cells(values: list[Any]) -> np.ndarray:
    made = np.empty((1, len(values)), dtype=object)
    made[0, :] = values
    return made


def day(when: date) -> float:
    return float(when.toordinal() + MATLAB_EPOCH)


def metadata(**changed: Any) -> dict[str, Any]:
    """Four photographs of three celebrities, laid out as in imdb.mat."""
    return {
        "dob": np.array([[day(date(1950, 7, 1)), day(date(1950, 7, 2)), day(date(1990, 1, 1)), 0.0]]),
        "photo_taken": np.array([[1968, 1968, 1980, 2001]], dtype=np.uint16),
        "full_path": cells(["01/a.jpg", "02/ü.jpg", "03/c.jpg", "04/d.jpg"]),
        "gender": np.array([[1.0, 0.0, np.nan, 1.0]]),
        "name": cells(["Ann", "Ann", "", "Bob"]),
        "face_location": cells([np.array([[1.0, 2.0, 3.0, 4.0]])] * 4),
        "face_score": np.array([[3.0, 0.5, -np.inf, 2.0]]),
        "second_face_score": np.array([[np.nan, np.nan, np.nan, 1.5]]),
        "celeb_names": cells(["Ann", "Bob"]),
        "celeb_id": np.array([[1, 1, 3, 2]], dtype=np.uint16),
    } | changed


def imdb(folder: Path, content: dict[str, Any], *overrides: str, name: str = "imdb") -> ImdbWiki:
    (folder / "01").mkdir(exist_ok=True)
    (folder / "01/a.jpg").touch()
    savemat(folder / f"{name}.mat", {name: content}, do_compression=True)
    return source("imdb_wiki", f"source.path={folder}/{name}.mat", *overrides)


def test_ages_run_to_the_first_of_july(tmp_path):
    found = {p.name: p for p in imdb(tmp_path, metadata()).find()}
    assert found["01/a.jpg"].age == 18
    assert found["02/ü.jpg"].age == pytest.approx(18 - 1 / 366)
    assert found["03/c.jpg"].age is None
    assert found["03/c.jpg"].problem.startswith("born 1990-01-01, photographed in 1980: age -9.5")
    assert "impossible dates" in found["04/d.jpg"].problem
    assert [(p.gender, p.subject) for p in found.values()] == [("male", "1"), ("female", "1"), ("", "3"), ("male", "2")]
    assert found["02/ü.jpg"].path == tmp_path / "02/ü.jpg"


def test_scores_and_ages_filter(tmp_path):
    content = metadata(dob=np.full((1, 4), day(date(1950, 1, 1))))
    made = imdb(tmp_path, content)
    assert [made.admits(p) for p in made.find()] == [True, False, False, False]
    made = imdb(tmp_path, content, "source.min_face_score=null", "source.max_second_face_score=null")
    assert [made.admits(p) for p in made.find()] == [True] * 4
    made = imdb(
        tmp_path, content, "source.min_face_score=0.5", "source.max_second_face_score=1.5", "source.ages=[0,18]"
    )
    assert [made.admits(p) for p in made.find()] == [True, True, False, False]


def test_wiki_has_names_instead_of_numbers(tmp_path):
    content = {key: value for key, value in metadata().items() if not key.startswith("celeb")}
    assert [p.subject for p in imdb(tmp_path, content, name="wiki").find()] == ["Ann", "Ann", "", "Bob"]


def test_paths_that_lead_outside_are_not_followed(tmp_path):
    paths = ["01/a.jpg", "../../etc/passwd", "/etc/passwd", ""]
    found = imdb(tmp_path, metadata(full_path=cells(paths), dob=np.full((1, 4), day(date(1950, 1, 1))))).find()
    assert {p.name: p.age is None for p in found} == {"01/a.jpg": False, **dict.fromkeys(paths[1:], True)}
    assert {p.name: p.outside for p in found} == {"01/a.jpg": False, **dict.fromkeys(paths[1:], True)}
    with pytest.raises(UserError, match=r"none of the 4 files .* is there"):
        imdb(tmp_path, metadata(full_path=cells(["../01/a.jpg", "/", "", "a\0b"]))).find()


DATES = st.dates(date(1850, 1, 1), date(2020, 12, 31))


@given(DATES, st.integers(1850, 2020))
def test_the_whole_years_are_those_that_people_count(born, year):
    age, problem = _age(day(born), float(year))
    whole = year - born.year - ((born.month, born.day) > (7, 1))
    if 0 <= whole <= 119:
        assert age is not None
        assert math.floor(age) == whole
    if whole < 0:
        assert age is None
        assert "not between" in problem


@given(st.floats(), st.floats())
def test_no_dates_whatever_are_a_defect(born, year):
    age, problem = _age(born, year)
    assert (age is None) == bool(problem)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(1900, 2020)), max_size=30))
def test_spans_are_last_minus_first(photographs):
    subjects = np.array([subject for subject, _ in photographs], dtype=object)
    years = np.array([year for _, year in photographs], dtype=np.float64)
    per_person = {s: [y for who, y in photographs if who == s] for s in sorted({s for s, _ in photographs} - {""})}
    assert spans(subjects, years).tolist() == [max(y) - min(y) for y in per_person.values()]


def test_the_figure_counts_every_celebrity_once_and_has_a_bar_for_every_span(tmp_path):
    figure = imdb(tmp_path, metadata(photo_taken=np.array([[1968, 1970, 1980, 2001]]))).figures()["imdb_wiki_spans"]
    assert [bar.get_height() for bar in figure.axes[0].patches] == [2, 0, 1]
    figure.savefig(tmp_path / "figure.png")
    plot_spans(np.array([], dtype=np.int64)).savefig(tmp_path / "empty.png")


def test_metadata_that_is_missing_or_damaged_is_one_sentence(tmp_path):
    made = imdb(tmp_path, metadata())
    path = tmp_path / "imdb.mat"
    whole = path.read_bytes()
    header_of_7_3 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384)
    for content, message in [
        (b"", r"not a \.mat file of level 5"),
        (whole[:200], r"a damaged \.mat file"),
        (b"text " * 100, r"not a \.mat file of level 5"),
        (header_of_7_3 + b"\x89HDF\r\n\x1a\n", r"7\.3 \(HDF5\) file; save it in MATLAB with"),
    ]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            made.find()
    for content, message in [
        ({"other": 1}, "holds no struct"),
        ({"imdb": 1}, "holds no struct"),
        ({"imdb": {"dob": 1.0}}, r"its struct has no usable .*full_path"),
        ({"imdb": metadata(dob=np.array([[1.0]]))}, "its fields differ in length"),
        ({"imdb": metadata(dob=cells(["a", "b", "c", "d"]))}, "dob of another type than in IMDB-WIKI"),
    ]:
        savemat(path, content)
        with pytest.raises(UserError, match=message):
            made.find()
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        made.find()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[ImdbWiki, tuple[bytes, bytes]]:
    """A source and the content of its metadata, compressed and not."""
    folder = tmp_path_factory.mktemp("imdb")
    made = imdb(folder, metadata())
    compressed = Path(made.path).read_bytes()
    savemat(made.path, {"imdb": metadata()})
    return made, (compressed, Path(made.path).read_bytes())


@given(st.booleans(), st.integers(0), st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 4, bytes(4)]))
def test_damage_anywhere_never_ends_in_a_traceback(whole, compressed, place, garbage):
    made, contents = whole
    content = bytearray(contents[0 if compressed else 1])
    place %= len(content)
    content[place : place + len(garbage)] = garbage
    Path(made.path).write_bytes(content)
    with suppress(UserError):
        for photograph in made.find():
            made.admits(photograph)
            photograph.name.encode("utf-8")
        read_metadata(Path(made.path))
