"""The page of a case holds what is known of it, as text, and nothing of its pixels."""

import json
import math
import re
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_case import face, file, info, results

from vec2uage.calibration.recall import Flagged, Threshold
from vec2uage.case import page as page_module
from vec2uage.case.drift import Drift
from vec2uage.case.listing import ListedColumn, Listing
from vec2uage.case.page import write_page
from vec2uage.case.records import FileResult
from vec2uage.case.scope import AGE, Scope
from vec2uage.case.summary import summarise
from vec2uage.case.vectors import NO_PICTURE
from vec2uage.evaluation.breakdown import Group
from vec2uage.evaluation.statement import Data, Statement
from vec2uage.faces.records import Face
from vec2uage.predictions.operating import OperatingTable
from vec2uage.statistics.bootstrap import Interval

EVIL = "</script><img src=x onerror=alert(1)>\n\x1b[31m\u202e'\"&=1+1\udce4.jpg"
SHOWN = "</script><img src=x onerror=alert(1)>\\n\\x1b[31m\\u202e'\"&=1+1\\udce4.jpg"
THRESHOLD = Threshold(
    recall=0.95,
    confidence=0.95,
    boundary=17.5,
    p_minor=0.125,
    age=21.0,
    fitted_to=Flagged(minors=300, adults=900, flagged_minors=291, flagged_adults=210),
)


def statement(**others: Any) -> Statement:
    """Of a model that was validated on 800 faces of 4 to 40 years."""
    groups = tuple(
        Group(
            "age",
            str(age),
            30,
            28,
            Interval(2.5, 2.25, 2.75),
            Interval(0.5, 0.25, 0.75),
            Interval(0.4, 0.2, 0.6),
            Interval(1.5, 1.25, 1.75),
            Interval(0.9, 0.8, 0.95),
            Interval(9.0, 8.5, 9.5),
        )
        for age in (4, 17, 40)
    )
    told: dict[str, Any] = {
        "model": "d" * 16,
        "files": {"model.safetensors": "f" * 64},
        "traits": {},
        "encoder": "facenet-x",
        "data": Data(
            described="data/faces.npz",
            part="test",
            fingerprint="0123456789abcdef",
            encoder="facenet-x",
            faces=800,
            persons=750,
            ages=(4.0, 40.0),
            boundary=17.5,
            maybe_learnt=0,
        ),
        "scores": {"mae": 2.625},
        "groups": groups,
        "operating": OperatingTable((18,), ()),
        "calibration": None,
        "calibrated_by": "",
        "flagged": None,
        "measures": {"size": (80.0, 120.0, 200.0), "eyes": (70.0, 80.0, 90.0)},
        "reference": None,
        "limits": ("Nothing is known of faces in profile.",),
        "code": "e" * 16,
        "provenance": {},
        "command": "python -m vec2uage.evaluate",
    }
    return Statement(**told | others)


class Page(HTMLParser):
    """A written page: its tags, its text outside of scripts, and the rows of its listings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._name: str | None = None
        self._is_data = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append((tag, told))
        if told.get("class") == "listing":
            self._name = (told["id"] or "").removeprefix("listing-")
        self._is_data = tag == "script" and told.get("type") == "application/json"

    def handle_data(self, data: str) -> None:
        if self._is_data and data.strip():
            assert self._name is not None
            plain = json.loads(data)
            heads = [column["head"] for column in plain["columns"]]
            self.rows[self._name] = [dict(zip(heads, row, strict=True)) for row in plain["rows"]]
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._is_data = False

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all tags of a kind."""
        return [attributes for found, attributes in self.tags if found == tag]


def written(folder: Path, *files: FileResult, **facts: Any) -> Page:
    path, read = folder / "case.html", results(*files)
    write_page(path, read, summarise(read), info(**facts))
    return Page(path.read_text(encoding="utf-8"))


CASE = (
    file("b/two.jpg", face(1, 30.0, p_minor=0.0, flagged=False), face(2, 9.0, p_minor=1.0)),
    file("a/one.jpg", face(1, 15.0, p_minor=0.75, doubts=("few pixels between the eyes", "blurred"))),
    file("c/none.jpg"),
    file("d/broken.jpg", status="unreadable", reason="damaged: truncated"),
    file("e/part.mp4", face(1, 15.0, p_minor=0.75), reason="damaged after 3.0 s"),
    file("f/known.jpg", status="skipped_known"),
)
FACTS = {"threshold": THRESHOLD, "statement": statement(), "calibrated_by": "conformal\n  of 300 faces"}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return written(tmp_path_factory.mktemp("page"), *CASE, **FACTS)


def test_every_face_is_in_a_row_and_the_likeliest_minors_come_first(case: Page) -> None:
    found = [(row["file"], row["face"], row["P(age < 18)"], row["age"]) for row in case.rows["faces"]]
    assert found == [
        ("b/two.jpg", 2, 1.0, 9.0),
        ("a/one.jpg", 1, 0.75, 15.0),
        ("e/part.mp4", 1, 0.75, 15.0),
        ("b/two.jpg", 1, 0.0, 30.0),
    ]
    first = case.rows["faces"][1]
    assert (first["90% from"], first["to"], first["flag"], first["MD5"]) == (13.0, 17.0, "flagged", "c" * 32)
    assert first["reliability"] == "few pixels between the eyes; blurred"
    assert case.rows["faces"][3]["flag"] == "not flagged"


def test_every_file_without_an_age_is_in_a_row_and_failed_ones_come_first(case: Page) -> None:
    found = [(row["file"], row["status"], row["reason"]) for row in case.rows["files"]]
    assert found == [
        ("d/broken.jpg", "unreadable", "damaged: truncated"),
        ("e/part.mp4", "ok", "damaged after 3.0 s"),
        ("c/none.jpg", "no_face", ""),
        ("f/known.jpg", "skipped_known", ""),
    ]


def test_where_a_face_is_tells_its_box_turn_and_time(tmp_path: Path) -> None:
    turned = replace(face(1), face=Face(1, 2, 30, 40, 0.9, "yunet", turn=90, seconds=12.5))
    vector = replace(face(2), face=NO_PICTURE)
    first, second = written(tmp_path, file("film.mp4", turned, vector)).rows["faces"]
    assert re.fullmatch(r"1,2 to 30,40, .*90.*, .*12\.50 s", first["where"])
    assert second["where"] == ""


def test_the_model_and_what_it_was_validated_on_are_told(case: Page) -> None:
    for told in ("facenet-x", "d" * 16, "e" * 16, "800 faces of 750 persons", "0123456789abcdef", "faces in profile"):
        assert told in case.text
    assert "2.50 [2.25, 2.75]" in case.text
    assert "conformal; of 300 faces" in case.text
    assert "with a confidence of 95%" in case.text
    assert "before any calibration" in case.text
    assert "0.40 [0.20, 0.60]" in case.text, "the bias of the ages that are told"
    assert "17.5 years, as ages are whole years" in case.text


def test_what_lies_outside_of_the_validation_is_pointed_out(tmp_path: Path) -> None:
    inside, small = ({"size": size, "eyes": 80.0} for size in (100.0, 40.0))
    faces = [face(k, 20.0, measures=small if k <= 2 else inside) for k in range(1, 21)]
    page = written(tmp_path, file("a.jpg", *faces), statement=statement())
    assert "10.0%" in warnings(page)
    assert "(80 to 200): 2 below." in warnings(page)
    assert "(80 to 200)" in warnings(page)
    assert "eyes" not in warnings(page)


def warnings(page: Page) -> str:
    return page.text.partition("Beware")[2].partition("Contents")[0]


def test_page_warns_of_what_nobody_knows_and_of_what_differs(case: Page, tmp_path: Path) -> None:
    drift = Drift(10, 9, 0.01, 0.99, 500, 10, 1e6)
    page = written(tmp_path, file("a.jpg", face()), vectors_encoder="dlib-resnet-y", drift=drift)
    for word in ("no validation statement", "no guaranteed threshold", "another way", "not by chance"):
        assert word in warnings(page)
    assert all(sentence in page.text for sentence in drift.words())
    few = written(tmp_path, file("a.jpg", face()), drift=Drift(10, 5, 0.01, 0.5, 500, 10, 12.0), statement=statement())
    assert "5 of 10 faces are far" in warnings(few), "too few for strong evidence"
    assert "not by chance" not in warnings(few)
    sound = warnings(case)
    assert "1 file of 6 could not be looked into" in sound
    assert not any(word in sound for word in ("statement", "threshold", "another way", "chance"))


def test_a_model_of_points_has_neither_intervals_nor_probabilities(tmp_path: Path) -> None:
    point = replace(face(p_minor=None, flagged=None), low=math.nan, high=math.nan)
    page = written(tmp_path, file("a.jpg", point))
    assert "gives points" in page.text
    assert {row[head] for row in page.rows["faces"] for head in ("P(age < 18)", "90% from", "to", "flag")} == {None}
    assert len(page.of("figure")) == 1


def test_a_case_without_faces_has_a_page(tmp_path: Path) -> None:
    page = written(tmp_path, file("a.jpg"), statement=statement())
    assert page.rows.keys() == {"files"}
    assert page.of("figure") == []


def test_hostile_names_are_text(tmp_path: Path) -> None:
    page = written(tmp_path, file(EVIL, face()), file(EVIL + "2", reason=EVIL), source=EVIL, line=EVIL, model=EVIL)
    assert page.rows["faces"][0]["file"] == SHOWN
    assert page.rows["files"][0]["reason"] == SHOWN
    assert page.text.count(SHOWN) >= 4
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert [told.get("type") for told in page.of("script")] == ["application/json"] * 2 + [None]
    assert "\x1b" not in page.source


def test_there_is_no_pixel_and_nothing_is_loaded(case: Page) -> None:
    images = [told["src"] or "" for told in case.of("img") if "src" in told]
    assert images
    assert all(source.startswith("data:image/svg+xml;base64,") for source in images)
    (policy,) = (told["content"] or "" for told in case.of("meta") if "http-equiv" in told)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "script-src 'sha256-" in policy
    assert not re.search(r"https?://|@import|url\(|fetch\(", re.sub(r"base64,[\w+/=]+", "", case.source))


def test_the_same_results_give_the_same_bytes_for_their_owner_alone(case: Page, tmp_path: Path) -> None:
    assert written(tmp_path, *CASE, **FACTS).source == case.source
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_more_rows_than_a_page_holds_it_says_where_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "Listing", partial(Listing, most=2))
    page = written(tmp_path, *CASE)
    assert [row["age"] for row in page.rows["faces"]] == [9.0, 15.0]
    assert [row["status"] for row in page.rows["files"]] == ["unreadable", "ok"]
    assert "first 2 of 4; predictions.csv" in page.text
    assert "first 2 of 4; files.csv" in page.text


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))), st.integers(1, 5))
def test_a_listing_keeps_the_first_rows_in_their_order(ranks: list[tuple[int, int]], most: int) -> None:
    listing = Listing("rows", "Rows", (ListedColumn("row", "count"),), most=most)
    for number, (first, second) in enumerate(ranks):
        listing.add((float(first), float(second)), (number,))
    kept = [json.loads(row)[0] for row in listing.rows()]
    assert kept == sorted(range(len(ranks)), key=lambda number: ranks[number])[:most]
    assert listing.is_cut == (len(ranks) > most)


@given(st.lists(st.floats(0, 100) | st.just(float("nan"))), st.floats(0, 50), st.floats(50, 100))
def test_scope_counts_what_lies_outside(sizes: list[float], low: float, high: float) -> None:
    scope = Scope({"size": (low, high), AGE: (4.0, 40.0), "roll": (0.0, 1.0)})
    for size in sizes:
        scope.add(face(age=50.0, measures={"size": size}))
    known = [size for size in sizes if size == size]
    assert scope.measured["size"] == len(known)
    assert scope.below["size"] == len([size for size in known if size < low])
    assert scope.above["size"] == len([size for size in known if size > high])
    assert scope.above[AGE] == scope.measured[AGE] == len(sizes)
    assert scope.measured["roll"] == 0
