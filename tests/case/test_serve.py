"""What another program may ask, and what it is answered."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_case import HASHES, face, file

from vec2uage.case.records import FileResult
from vec2uage.case.serve import answer, match, own_output
from vec2uage.faces.records import Face

BOXES = {"two.jpg": ((100, 50, 160, 120), (10, 20, 110, 140)), "one.jpg": ((0, 0, 50, 60),)}  # left, top, right, bottom


def look(paths: Sequence[Path]) -> list[FileResult]:
    """Find the faces of these boxes."""
    return [
        file(str(path), *(found(number, box) for number, box in enumerate(BOXES.get(path.name, ()), 1)))
        for path in paths
    ]


def found(number: int, box: tuple[int, int, int, int]) -> Any:
    return face(number, age=9.5 + number, measures={"yaw": float("nan")}, at=Face(*box, 0.9, "yunet"))


def ask(question: object) -> Any:
    return json.loads(json.dumps(answer(json.dumps(question), look), allow_nan=False))


def test_a_file_is_answered_with_the_cells_of_the_tables() -> None:
    told = ask({"path": "photos/two.jpg", "id": 7})
    assert (told["id"], told["path"], told["status"], told["sha256"]) == (7, "photos/two.jpg", "ok", HASHES.sha256)
    assert (told["age"], told["p_minor"], told["flagged"]) == (10.5, 0.9, True)
    first, second = told["faces"]
    assert (first["face"], first["age"], first["low_90"], first["high_90"]) == (1, 10.5, 8.5, 12.5)
    assert (second["left"], second["top"], second["right"], second["bottom"]) == (10, 20, 110, 140)
    assert (first["reliability"], first["yaw"]) == ("ok", None)


def test_a_list_is_answered_by_a_list_in_its_order() -> None:
    told = ask([{"path": "one.jpg"}, {"path": "none.jpg"}, {"path": "one.jpg", "id": "b"}])
    assert [(each["path"], each["id"], each["status"]) for each in told] == [
        ("one.jpg", None, "ok"),
        ("none.jpg", None, "no_face"),
        ("one.jpg", "b", "ok"),
    ]
    assert ask([]) == []


def test_faces_come_in_the_order_of_the_locations_and_none_is_lost() -> None:
    near, far = [25, 105, 135, 12], [300, 400, 400, 300]  # top, right, bottom, left
    faces = ask({"path": "two.jpg", "face_locations": [far, near]})["faces"]
    assert [None if each is None else each["face"] for each in faces] == [None, 2, 1]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        (b'{"path": "\xff"}', "JSON"),
        ("3", "question"),
        ('{"id": 1}', "path"),
        ('{"path": ""}', "path"),
        ('{"path": "a", "face_location": []}', "face_location"),
        ('{"path": "a", "face_locations": [[1, 2, 3]]}', "face_locations"),
        ('[{"path": "a"}, {"path": 3}]', "path"),
    ],
)
def test_what_is_no_question_is_said_to_be_none(line: bytes | str, word: str) -> None:
    told: Any = answer(line, look)
    assert told["status"] == "not_understood"
    assert word in told["reason"]


def test_bytes_that_are_no_text_reach_the_file_and_come_back() -> None:
    asked = []

    def note(paths: Sequence[Path]) -> list[FileResult]:
        asked.extend(map(bytes, paths))
        return look(paths)

    told: Any = answer('{"path": "caf\\udce9.jpg"}', note)
    assert asked == [b"caf\xe9.jpg"]
    assert json.dumps(told["path"]) == '"caf\\udce9.jpg"'


def test_nothing_but_answers_is_written_where_answers_are(capfd: pytest.CaptureFixture[str]) -> None:
    with own_output() as write_line:
        os.write(1, b"of a library\n")
        write_line({"path": "caf\udce9"})
    os.write(1, b"after\n")
    told = capfd.readouterr()
    assert told.out == '{"path": "caf\\udce9"}\nafter\n'
    assert told.err == "of a library\n"


edges = st.integers(-50, 300)
boxes = st.tuples(edges, edges, st.integers(1, 200), st.integers(1, 200)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@settings(max_examples=40)
@given(st.lists(boxes, max_size=5), st.randoms(use_true_random=False))
def test_each_face_lies_where_it_is_and_at_one_place(placed: list[tuple[int, int, int, int]], luck: Any) -> None:
    faces = [found(number, box) for number, box in enumerate(placed, 1)]
    order = luck.sample(range(len(placed)), len(placed))
    locations = [(placed[n][1], placed[n][2], placed[n][3], placed[n][0]) for n in order]
    at = match(locations, faces)
    assert [placed[n] for n in at if n is not None] == [placed[n] for n in order]
    assert len(set(at)) == len(at)


def test_a_location_without_extent_is_nowhere() -> None:
    assert match([(5, 5, 5, 5)], [found(1, (0, 0, 10, 10))]) == [None]
    assert match([(5, 5, 5, 5)], []) == [None]
