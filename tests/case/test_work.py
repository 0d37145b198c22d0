"""The work of a case: a result for every file, the same whatever was done before and however it is cut."""

import hashlib
import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy_cases
from drawn_face import save
from toy_cases import OPTIONS, examine, picture, pictures, video
from toys import Halves, OneByOne

from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import Interrupted
from vec2uage.case.examine import look_into
from vec2uage.case.predictor import Estimates
from vec2uage.case.records import CaseFile, FileResult
from vec2uage.faces.quality import BasicQuality


def md5(file: CaseFile) -> str:
    return hashlib.md5(file.path.read_bytes(), usedforsecurity=False).hexdigest()


def sha256(file: CaseFile) -> str:
    return hashlib.sha256(file.path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> list[CaseFile]:
    """A file of each kind, in no order."""
    folder = tmp_path_factory.mktemp("files")
    good = pictures(folder, 9)
    (folder / "empty.jpg").touch()
    (folder / "nothing.dat").touch()
    (folder / "text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("no picture")
    (folder / "cut.png").write_bytes(good[0].path.read_bytes()[:60])
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    cut = video(folder / "cut.mkv", *range(10, 250, 10))
    cut.path.write_bytes(cut.path.read_bytes()[: cut.path.stat().st_size // 2])
    return [
        *reversed(good),
        *(CaseFile(name, folder / name) for name in ("empty.jpg", "nothing.dat", "text.jpg", "notes.txt", "cut.png")),
        *(CaseFile(name, folder / name) for name in ("folder.jpg", "pipe.jpg", "gone.jpg", "z\udce4ro.jpg")),
        CaseFile("zero\0byte.jpg", folder / "zero\0byte.jpg"),
        CaseFile("link", folder / "link", problem="a link, which is not followed", status="no_media"),
        picture(folder / "black.png", 0, 0, 0),
        picture(folder / "red.png", 255, 0, 0),  # kills the process that looks for faces in it
        picture(folder / "known.png", 1, 2, 3),
        replace(picture(folder / "right.png", 4, 5, 6), hashes={"md5": md5(good[0]), "sha1": "0"}),
        replace(good[3], name="again.png"),
        replace(good[3], hashes={"md5": md5(good[3])}),  # one name twice
        CaseFile("bomb.png", save(folder / "bomb.png", np.zeros((400, 400, 3), np.uint8))),
        video(folder / "film.mp4", 50, 100, 150),
        cut,
    ]


@pytest.fixture(scope="module")
def results(case: list[CaseFile], tmp_path_factory: pytest.TempPathFactory) -> list[FileResult]:
    return whole(case, tmp_path_factory.mktemp("case"))


def whole(case: list[CaseFile], folder: Path, **how) -> list[FileResult]:
    known = next(md5(file) for file in case if file.name == "known.png")
    return examine(case, folder, known=[known], **how)


def test_every_file_has_one_result_that_says_what_became_of_it(case: list[CaseFile], results: list[FileResult]):
    assert Counter(result.file.name for result in results) == Counter(file.name for file in case)
    assert [result.file.name for result in results] == sorted(file.name for file in case)
    status = {result.file.name: result.status for result in results}
    assert status == {
        **{f"{k:03d}.png": "ok" for k in range(9)},
        **dict.fromkeys(["again.png", "film.mp4", "cut.mkv"], "ok"),
        **dict.fromkeys(["empty.jpg", "text.jpg", "cut.png", "folder.jpg", "pipe.jpg", "bomb.png"], "unreadable"),
        **dict.fromkeys(["nothing.dat", "notes.txt", "link"], "no_media"),
        **dict.fromkeys(["gone.jpg", "z\udce4ro.jpg", "zero\0byte.jpg"], "missing"),
        "black.png": "no_face",
        "red.png": "unreadable",
        "known.png": "skipped_known",
        "right.png": "hash_mismatch",
    }
    reason = {result.file.name: result.reason for result in results}
    assert {name for name, why in reason.items() if not why} == {
        name for name, found in status.items() if found == "ok" and name != "cut.mkv"
    }
    assert "killed" in reason["red.png"]
    assert "max_pixels" in reason["bomb.png"]
    assert all(result.faces for result in results if result.status == "ok")
    unhashed = {"folder.jpg", "pipe.jpg", "gone.jpg", "z\udce4ro.jpg", "zero\0byte.jpg", "link"}
    assert {result.file.name for result in results if result.hashes is None} == unhashed
    for result in results:
        if result.hashes is not None:
            assert (result.size, result.hashes.md5) == (result.file.path.stat().st_size, md5(result.file))
            assert result.hashes.sha256 == sha256(result.file)


def test_every_face_has_its_number_box_and_estimate(results: list[FileResult]):
    photograph, film = (
        next(result for result in results if result.file.name == name) for name in ("004.png", "film.mp4")
    )
    assert [(face.number, face.face.left, face.age, face.flagged) for face in photograph.faces] == [
        (1, 0, 2.5, True),  # red is 5, the model's input twice that
        (2, 15, 2.5, True),
    ]
    assert {face.face.seconds for face in photograph.faces} == {None}
    assert [(face.number, face.face.seconds) for face in film.faces] == [
        (1, 0.0), (2, 0.0), (3, 1.0), (4, 1.0), (5, 2.0), (6, 2.0)
    ]  # fmt: skip
    assert [round(face.age) for face in film.faces[::2]] == pytest.approx([25, 50, 75], abs=2)
    assert all(face.vector is None for result in results for face in result.faces)


def test_one_name_twice_is_two_results_and_one_content_is_looked_into_once(results: list[FileResult]):
    three = [result for result in results if result.file.name in ("003.png", "again.png")]
    assert [(result.file.name, result.number) for result in three] == [("003.png", 1), ("003.png", 2), ("again.png", 1)]
    assert three[0].faces == three[1].faces == three[2].faces


def test_neither_order_nor_batch_nor_workers_move_anything(
    case: list[CaseFile], results: list[FileResult], tmp_path: Path
):
    shuffled = [case[k] for k in np.random.default_rng(1).permutation(len(case))]
    assert whole(shuffled, tmp_path, how=replace(OPTIONS, embedder=OneByOne()), workers=1) == results


def test_stopped_work_is_gone_on_with(tmp_path: Path):
    files, stop, asked = pictures(tmp_path / "files", 60), threading.Event(), list[bytes]()

    def predict(vectors: np.ndarray) -> Estimates:
        asked.extend(map(bytes, vectors))
        stop.set()
        return toy_cases.predict(vectors)

    with pytest.raises(Interrupted):
        examine(files, tmp_path / "case", predict=predict, stop=stop)
    before = len(asked)
    results = examine(files, tmp_path / "case", predict=predict)
    assert results == examine(files, tmp_path / "apart")
    assert 0 < before < 120
    assert len(asked) <= 120 + 2 * 2  # at most what the two processes were at is done twice


def test_what_is_done_is_not_done_again(case: list[CaseFile], tmp_path: Path):
    files = case[:4]
    first = examine(files, tmp_path)
    forgetful = replace(OPTIONS, detector=Halves(count=2, name="fails"))
    assert examine(files, tmp_path, forgetful) == first
    assert examine(files[1:], tmp_path) == [result for result in first if result.file != files[0]]


def test_a_changed_file_is_another_content(tmp_path: Path):
    file = picture(tmp_path / "a.png", 8, 8, 8)
    (before,) = examine([file], tmp_path / "case")
    picture(file.path, 16, 8, 8)
    (after,) = examine([file], tmp_path / "case")
    assert [before.faces[0].age, after.faces[0].age] == [4, 8]


def test_vectors_are_kept_where_asked_for(tmp_path: Path):
    (result,) = examine([picture(tmp_path / "a.png", 8, 9, 10)], tmp_path / "case", keep_vectors=True)
    assert [np.frombuffer(face.vector or b"", "<f4").tolist() for face in result.faces] == [[16, 18, 20]] * 2


def test_a_source_that_fails_ends_the_work(tmp_path: Path):
    def files():
        yield picture(tmp_path / "a.png", 8, 9, 10)
        raise UserError("the list is damaged")

    with pytest.raises(UserError, match="damaged"):
        examine(files(), tmp_path / "case")


def parts(file: CaseFile, how) -> list:
    return [*look_into([file.path], sha256(file), how, how.detector.open())]


def test_faces_that_cannot_be_used_are_counted_and_have_no_number(tmp_path: Path):
    options = {"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0, "max_clipped": 1.0}
    strict = replace(OPTIONS, quality=BasicQuality(min_size=20, **options))
    one, two = picture(tmp_path / "a.png", 8, 9, 10), replace(strict, detector=Halves(count=1))
    (outcome,) = parts(one, strict)  # halves are 15 pixels wide
    assert (outcome.status, outcome.lasts) == ("no_face", True)
    assert "2 faces cannot be used" in outcome.reason
    face, outcome = parts(one, two)
    assert (face[0], outcome.status, outcome.reason) == (1, "ok", "")


def test_what_may_be_otherwise_the_next_time_is_looked_into_again(tmp_path: Path):
    file = picture(tmp_path / "a.png", 0, 0, 255)
    (failed,) = parts(file, replace(OPTIONS, detector=Halves(name="fails")))
    (changed,) = look_into([file.path], "0" * 64, OPTIONS, OPTIONS.detector.open())
    file.path.unlink()
    (gone,) = look_into([file.path], "0" * 64, OPTIONS, OPTIONS.detector.open())
    assert [(each.status, each.lasts) for each in (failed, changed, gone)] == [("unreadable", False)] * 3
    assert ["blue" in failed.reason, "changed" in changed.reason, "opened" in gone.reason] == [True] * 3


def test_a_content_is_read_where_it_still_lies(tmp_path: Path):
    file = picture(tmp_path / "a.png", 8, 9, 10)
    places = [tmp_path / "gone.png", picture(tmp_path / "changed.png", 1, 1, 1).path, file.path]
    *faces, outcome = look_into(places, sha256(file), OPTIONS, OPTIONS.detector.open())
    assert (len(faces), outcome.status, outcome.reason) == (2, "ok", "")


@pytest.mark.parametrize(("change", "reason"), [(Path.touch, "changed"), (Path.unlink, "opened")])
def test_a_video_that_changes_while_it_is_read_is_looked_into_again(change, reason: str, tmp_path: Path):
    film = video(tmp_path / "film.mp4", 50, 100, 150)
    parts = look_into([film.path], sha256(film), OPTIONS, OPTIONS.detector.open())
    next(parts)
    change(film.path)
    *_, outcome = parts
    assert (outcome.status, outcome.lasts) == ("ok", False)
    assert reason in outcome.reason


def test_a_file_larger_than_any_photograph_is_not_read_as_a_whole(tmp_path: Path):
    file = picture(tmp_path / "a.png", 8, 9, 10)
    with file.path.open("r+b") as content:
        content.truncate(2_000_000)
    (outcome,) = parts(file, OPTIONS)
    assert outcome.status == "unreadable"
    assert "larger" in outcome.reason
